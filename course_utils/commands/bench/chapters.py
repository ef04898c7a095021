"""Whole chapters: the times of the latest batch run with the quick profile."""

from datetime import datetime

from course_utils.commands.bench.rounds import NotRun, at_most, measured
from course_utils.commands.run.report import read_report
from course_utils.errors import RunError

REFERENCE = 157  # GFLOP/s in fp32 of the two cores that the course's times are stated for


def chapters(sizes, manifest, tell):
    """Each chapter, and all of them as it would be at the reference rate.

    A whole run counts from its start to its end: chapters run side by side. Of one that was
    resumed, or did not end, only the sum of its chapters is known.
    """
    folder = manifest.build_dir / "run" / "quick"
    try:
        report = read_report(folder)
    except RunError as error:
        raise NotRun(error) from None
    if report is None:
        raise NotRun(f"no report in {folder} (course run)")
    if report["fast_dev_run"]:
        raise NotRun(f"the report in {folder} is of a fast dev run")
    entries = [e for e in report["chapters"] if e["status"] == "passed" and e.get("seconds")]
    if not entries:
        raise NotRun(f"no chapter passed in the report in {folder}")
    seconds = {entry["name"]: [entry["seconds"]] for entry in entries}
    results = [measured(f"chapters, run of {report.get('started', '?')}", "s", seconds)]
    total, how = sum(entry["seconds"] for entry in entries), "one after the other"
    if report.get("finished") and not any(entry.get("resumed") for entry in report["chapters"]):
        begun, ended = (datetime.fromisoformat(report[key]) for key in ("started", "finished"))
        total, how = (ended - begun).total_seconds(), "as run"
    rate = report.get("matmul_gflops")
    sums = {how: [total]}
    goal = None
    if rate:
        scaled = f"at {REFERENCE} GFLOP/s"
        sums[scaled] = [total * rate / REFERENCE]
        if {chapter.name for chapter in manifest.chapters} == set(seconds):
            goal = at_most(600, of=scaled)
    what = f"{len(entries)} of {len(manifest.chapters)} chapters, machine at {rate or '?'} GFLOP/s"
    return [*results, measured(what, "s", sums, goal=goal)]
