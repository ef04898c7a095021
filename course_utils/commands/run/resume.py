"""What an earlier run in a folder is still good for.

A chapter is kept when it passed, its output is as it was written, and nothing that its result
depends on has changed since. Times of files and clocks play no part in it.
"""

import hashlib
import json
import os
from pathlib import Path

import course_utils
from course_utils.commands.notebooks import code_cells, read_notebook, tags_of
from course_utils.commands.run.used_data import COMPARES, identify, used_by

# part of a fingerprint -> what to say when it differs
PARTS = {
    "notebook": "its notebook changed",
    "parameters": "its parameters changed",
    "data": "its data changed",
    "library": "course_utils changed",
    "packages": "the installed packages changed",
    "environment": "a COURSE_ variable changed",
}
_STATUSES = {
    "failed": "it failed",
    "interrupted": "it was stopped",
    "running": "it was stopped",
    "not run": "it had not run yet",
}
_NEEDED = ("seconds", "cells", "records", "parameters", "fingerprint", "output_sha256")
# where the data is: what is in it counts instead; and how progress is shown
_NO_MATTER = (
    "COURSE_DATA",
    "COURSE_OFFLINE",
    "COURSE_STANDIN",
    "COURSE_REPORT",
    "COURSE_PROGRESS",
    "COURSE_PROGRESS_FILE",
)
_LIBRARY = (".py", ".mplstyle")


class Fingerprints:
    """Fingerprints of chapters as they would run now: part -> hash, parts as in `PARTS`.

    chapters: all that will be asked for. Raises RunError if a file is no notebook.
    """

    def __init__(self, chapters, profile, versions):
        self.notebooks = {chapter.name: read_notebook(chapter.file) for chapter in chapters}
        code = {name: "\n".join(code_cells(made)) for name, made in self.notebooks.items()}
        self.used = {name: used_by(text) for name, text in code.items()}
        self.comparing = {name for name, text in code.items() if COMPARES in text}
        self.identities = identify(sorted(set().union(*self.used.values())))
        self.profile = profile
        variables = {
            name: value
            for name, value in os.environ.items()
            if name.startswith("COURSE_") and name not in _NO_MATTER
        }
        self.shared = {
            "library": library_hash(),
            "packages": _hash(versions),
            "environment": _hash(variables),
        }

    def of(self, name, parameters):
        """The fingerprint of a chapter with these parameters; saved outputs do not count."""
        cells = [
            [cell["cell_type"], cell["source"], tags_of(cell)]
            for cell in self.notebooks[name]["cells"]
        ]
        return self.shared | {
            "notebook": _hash(cells),
            "parameters": _hash([self.profile, parameters]),
            "data": _hash({used: self.identities[used] for used in self.used[name]}),
        }


def reason_to_run(entry, fingerprint, output):
    """Why a chapter must run; None if its earlier result can be kept.

    entry: of the chapter in the earlier report, or None. fingerprint: as it would run now.
    output: path of its executed notebook.
    """
    if entry is None or not all(key in entry for key in _NEEDED):
        return "it has not run here yet"
    if entry["status"] != "passed":
        return _STATUSES[entry["status"]]
    before = entry["fingerprint"] or {}
    changed = [words for part, words in PARTS.items() if before.get(part) != fingerprint[part]]
    if changed:
        return ", ".join(changed)
    if not output.is_file():
        return "its output is missing"
    if hashlib.sha256(output.read_bytes()).hexdigest() != entry["output_sha256"]:
        return "its output is not as it was written"
    return None


def reasons_to_run(names, entries, parameters, fingerprints, out):
    """Name -> why that chapter must run, None if it is kept; see `reason_to_run`.

    entries: name -> entry of the earlier report. parameters: name -> the chapter's parameters.
    fingerprints: a `Fingerprints`.
    """
    reasons = {
        name: reason_to_run(
            entries.get(name), fingerprints.of(name, parameters[name]), out / f"{name}.ipynb"
        )
        for name in names
    }
    for name in fingerprints.comparing & reasons.keys():
        others = [other for other, reason in reasons.items() if reason and other != name]
        if others and reasons[name] is None:
            reasons[name] = f"it compares results, and {others[0]} runs"
    return reasons


def library_hash():
    """Hash of the code that chapters import; the publisher's wing cannot change their results."""
    folder = Path(course_utils.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix in _LIBRARY and not name.startswith("commands/"):
            digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _hash(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
