"""Torn and twisted manifests, reports and chapters: a named error, or a manifest that works."""

import hashlib
import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from publishing import HEAD, REPOSITORY, make_course, notebook

from course_utils.commands.book.front import status_page
from course_utils.commands.book.page import facts_of
from course_utils.commands.manifest import load_manifest
from course_utils.commands.notebooks import parameter_cell, select_chapters
from course_utils.commands.run.batch import settings_of
from course_utils.commands.run.report import Report, read_report
from course_utils.commands.run.report_page import html_text, junit_text
from course_utils.commands.run.resume import PARTS, reason_to_run
from course_utils.errors import CourseError, ManifestError, RunError
from faults.harness import SOAK, how_many

# The bar for one case is 2 s; the short sample asserts no time, for it may share the machine.
fuzzed = settings(
    max_examples=how_many(50, 1000),
    deadline=timedelta(seconds=2) if SOAK else None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

MANIFEST = (REPOSITORY / "book.toml").read_bytes()
SMALL = (
    HEAD
    + '[output.html]\ndefault-theme = "dark"\n'
    + '[[chapter]]\nfile = "01_a.ipynb"\ntitle = "T"\nminutes = 1\nsummary = "S"\n'
    + '[[chapter]]\nfile = "02_b.ipynb"\ntitle = "T"\nminutes = 1\nsummary = "S"\n'
    + 'needs = ["01_a"]\n[chapter.full]\nlr = 0.5\n'
    + '[chapter.published]\ntest_acc = [0.7, 0.8]\nsource = "s"\n'
)
# what a value of the manifest may be replaced by
VALUES_IN_TOML = [
    "nan", "-inf", "1e999", "true", "[]", "{}", '""', '"\\u0000"', '"03_\\u0000.ipynb"',
    '"../../01_a.ipynb"', '"/01_a.ipynb"', '"٣_a.ipynb"', "1979-05-27T07:32:00Z", "[nan, nan]",
    "[-inf, inf]", "[[1, 2], 3]", f'"03_{"x" * 300}.ipynb"', f'"{"9" * 5000}_a.ipynb"', "9" * 5000,
    "1" + "0" * 400, "[" * 5000,
]  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(VALUES_IN_TOML),
    st.text(max_size=20).map(json.dumps),
    st.integers().map(str),
    st.floats().map(str),
)


@st.composite
def torn(draw, whole):
    """Bytes that were cut, overwritten, doubled or lost somewhere."""
    start = draw(st.integers(0, len(whole)))
    length = draw(st.integers(0, 40))
    kind = draw(st.sampled_from(["cut", "lose", "double", "zeros", "noise"]))
    head, middle, tail = whole[:start], whole[start : start + length], whole[start + length :]
    put = {"lose": b"", "double": middle * 2, "zeros": bytes(len(middle))}
    if kind == "cut":
        return head
    return head + (put[kind] if kind in put else draw(st.binary(max_size=40))) + tail


@st.composite
def twisted(draw, text):
    """A manifest in which the value of one to three keys is another one."""
    lines = text.splitlines()
    keyed = [number for number, line in enumerate(lines) if " = " in line]
    for number in draw(st.lists(st.sampled_from(keyed), min_size=1, max_size=3)):
        lines[number] = f"{lines[number].split(' = ')[0]} = {draw(VALUES)}"
    return "\n".join(lines).encode()


@pytest.fixture
def folder(tmp_path):
    return make_course(tmp_path, {name: notebook("lr = 1") for name in ("01_a", "02_b")})


@fuzzed
@given(data=st.one_of(torn(SMALL.encode()), twisted(SMALL), torn(MANIFEST), st.binary()))
@example(data=SMALL.encode())
@example(data=SMALL.replace("01_a.ipynb", "01_" + "a" * 300 + ".ipynb").encode())
@example(data=SMALL.replace("01_a.ipynb", "9" * 5000 + "_a.ipynb").encode())
@example(data=SMALL.replace("chapters", "\\u0000").encode())
@example(data=SMALL.replace("01_a.ipynb", "01_\\u0000.ipynb").encode())
@example(data=SMALL.replace("[0.7, 0.8]", "[nan, nan]").encode())
@example(data=SMALL.replace("[0.7, 0.8]", "[0, 1" + "0" * 400 + "]").encode())
@example(data=SMALL.replace("minutes = 1", "minutes = " + "9" * 5000).encode())
@example(data=SMALL.replace("1", "[" * 5000).encode())
def test_a_fuzzed_manifest_is_read_or_refused(folder, data):
    path = folder / "book.toml"
    path.write_bytes(data)
    try:
        manifest = load_manifest(path)
    except ManifestError as error:
        assert str(error).startswith(("book.toml: ", f"{path}: "))
        assert len(str(error).splitlines()) <= 2 and len(str(error)) < 1000
        return
    # what was accepted works
    for chapter in manifest.chapters:
        assert chapter.file.is_file() and chapter.file.parent == manifest.book.src
        assert chapter.minutes > 0
        for low, high in (chapter.published or {}).values():
            assert low <= high
    try:
        settings_of(manifest, select_chapters(manifest, ()), "full", ["lr=2"])
    except RunError as error:
        assert "parameters" in str(error) or "parameter" in str(error)


@pytest.mark.parametrize("end", range(0, len(SMALL), how_many(97, 1)))
def test_a_manifest_cut_anywhere(folder, end):
    (folder / "book.toml").write_text(SMALL[:end])
    try:
        chapters = load_manifest(folder / "book.toml").chapters
    except ManifestError:
        return
    assert chapters, "a manifest without chapters was accepted"


# --- reports ------------------------------------------------------------------------------------

OUTPUT = Path(__file__)  # any file that is there
NOW = dict.fromkeys(PARTS, "1")
ENTRY = {
    "name": "01_a",
    "title": "T",
    "status": "passed",
    "seconds": 1.5,
    "cells": [2, 2],
    "records": {"test_acc": 0.75, "source": "Fashion-MNIST"},
    "verdict": "–",
    "error": None,
    "parameters": {},
    "resumed": False,
    "fingerprint": NOW,
    "output_sha256": hashlib.sha256(OUTPUT.read_bytes()).hexdigest(),
}
TOP = {
    "profile": "quick",
    "fast_dev_run": False,
    "started": "s",
    "finished": None,
    "interrupted": False,
    "versions": {"python": "3.11"},
    "platform": "p",
    "cpu_count": 2,
    "accelerator": None,
    "matmul_gflops": 100.5,
}
REPORT = json.dumps(TOP | {"chapters": [ENTRY]}).encode()
_PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    _PLAIN | st.just(10**400),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def twisted_report(draw):
    """A report in which one to three values are of another kind."""
    top, entry = dict(TOP), dict(ENTRY)
    for _ in range(draw(st.integers(1, 3))):
        where = draw(st.sampled_from([top, entry, entry]))
        key = draw(st.sampled_from(sorted(where)))
        if draw(st.booleans()):
            where[key] = draw(JSON)
        else:
            where.pop(key)
    chapters = draw(st.sampled_from([[entry], [entry, ENTRY], entry, [[entry]], None]))
    return json.dumps(top | {"chapters": chapters}).encode()


@fuzzed
@given(data=st.one_of(torn(REPORT), twisted_report(), JSON.map(json.dumps).map(str.encode)))
@example(data=REPORT)
@example(data=b"[" * 100_000)
@example(data=b"\xff" + REPORT)
def test_a_fuzzed_report_is_read_or_refused(folder, data):
    """What is accepted can be resumed from, shown and made a book of."""
    (folder / "book.toml").write_text(SMALL)
    (folder / "report.json").write_bytes(data)
    try:
        earlier = read_report(folder)
    except RunError as error:
        assert str(error) == f"{folder / 'report.json'} is damaged"
        return
    manifest = load_manifest(folder / "book.toml")
    report = Report(manifest.chapters, "quick", folder, TOP)
    for entry in earlier["chapters"]:
        if entry["name"] == "01_a" and reason_to_run(entry, NOW, OUTPUT) is None:
            report.keep("01_a", entry)
    assert html_text(report.data, "T") and junit_text(report.data)
    facts = {}
    for chapter in manifest.chapters:
        try:
            facts[chapter.name] = facts_of(notebook("1"), earlier, chapter.name)
        except CourseError:
            return
    assert status_page(manifest, facts, earlier)


# --- chapters and parameters --------------------------------------------------------------------

NOTEBOOK = json.dumps(notebook("print(lr)", parameters="lr = 1\nname = 'a'")).encode()


@fuzzed
@given(data=st.one_of(torn(NOTEBOOK), JSON.map(json.dumps).map(str.encode)))
def test_a_fuzzed_chapter_is_read_or_refused(folder, data):
    path = folder / "chapters" / "01_a.ipynb"
    path.write_bytes(data)
    try:
        names = parameter_cell(path)
    except RunError as error:
        assert str(error).startswith("01_a.ipynb") and len(str(error).splitlines()) == 1
        return
    assert names is None or all(isinstance(name, str) for name in names)


@fuzzed
@given(text=st.one_of(st.text(), st.text().map(lambda value: f"lr={value}")))
@example(text="lr=" + "(" * 10_000)
@example(text="lr=" + "-" * 100_000 + "1")
@example(text="lr=\0")
@example(text="lr=" + "9" * 5000)
def test_a_fuzzed_parameter_is_given_or_refused(text):
    manifest = load_manifest(REPOSITORY / "book.toml")
    try:
        given = settings_of(manifest, select_chapters(manifest, ["03"]), "quick", [text])
    except RunError as error:
        assert "--param" in str(error) and len(str(error).splitlines()) == 1
        return
    (name,) = given["03_lenet"]
    assert name.isidentifier() and json.dumps(given, allow_nan=False)
