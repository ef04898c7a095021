"""As a new learner would: a wrong answer and a right one in a real JupyterLab; *Run All* there.

Answers are typed; JupyterLab's own commands do what menus do; what is seen is read from the page.
"""

import json
import re
import socket
import subprocess
import time
from contextlib import contextmanager

import pytest
from browser import Watch, chromium_or_skip
from conftest import REPOSITORY
from kernels import every_chapter
from publishing import command, environment

from course_utils.exercises import book_boxes, exercises_of

# The group keeps it to one worker, in this order; the browsers of other tests are on another.
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.timeout(300)]

CHAPTER, NAME = "02_pooling.ipynb", "ex02_3_pool2d"
WRONG = f"""def {NAME}(X, pool_size, mode="max", stride=None):
    return pool2d(X, pool_size, mode)"""
RIGHT = book_boxes("02.3")[1].rstrip()
TOTAL = len(exercises_of("02"))
SECONDS = 120  # for anything that a busy machine may take long over


@contextmanager
def jupyterlab(folder):
    """`course lab` for a learner whose home is in `folder`; yields the address that it prints."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / f"{port}.log"
    settings = {"COURSE_FAST_DEV_RUN": "1", "COURSE_STANDIN": "1", "COURSE_OFFLINE": "1"}
    settings |= {"COURSE_PROGRESS_FILE": str(folder / "progress.json"), "HOME": str(folder)}
    arguments = ["lab", "--dir", folder / "my-course", "--no-browser", "--port", port, "--"]
    arguments += ["--allow-root", "--LabApp.expose_app_in_browser=True"]
    with log.open("w") as file:
        process = subprocess.Popen(
            command(*arguments),
            cwd=REPOSITORY,
            env=environment(**settings),
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield _address(process, log, port)
        finally:
            process.terminate()  # JupyterLab ends its kernels, too
            process.wait(60)


def _address(process, log, port):
    for _ in range(SECONDS * 10):
        found = re.search(rf"http://127\.0\.0\.1:{port}/lab\S*\?token=\w+", log.read_text())
        if found:
            return found[0]
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(log.read_text())


class Lab:
    """One JupyterLab page, and the notebook in front."""

    def __init__(self, page, address):
        self.page = page
        page.set_default_timeout(SECONDS * 1000)
        page.goto(address)
        # opened last of all; earlier, it would push itself before what a test opens
        page.get_by_role("heading", name="How far you are").wait_for()
        page.get_by_text(f" of {TOTAL}").first.wait_for()  # the cell below it has run
        self.first_page = page.locator(".jp-Notebook:visible").inner_text()

    def open(self, path):
        self.page.evaluate(
            """async path => {
              const app = window.jupyterapp;
              const panel = await app.commands.execute("docmanager:open", {path});
              await panel.context.ready;
              await panel.sessionContext.ready;
              app.shell.activateById(panel.id);
              window.panel = panel;
            }""",
            path,
        )

    def execute(self, name):
        """One of JupyterLab's own commands, done when it has ended."""
        self.page.evaluate("name => window.jupyterapp.commands.execute(name)", name)

    def cells(self):
        """The notebook as JupyterLab holds it: a list of cells."""
        return self.page.evaluate("() => window.panel.content.model.toJSON()")["cells"]

    def find(self, start):
        """Number of the one cell whose source starts so."""
        sources = ["".join(cell["source"]) for cell in self.cells()]
        (number,) = [i for i, source in enumerate(sources) if source.startswith(start)]
        return number

    def select(self, number):
        """Make a cell the active one and bring it into view; returns its element."""
        self.page.evaluate(
            """async number => {
              window.panel.content.activeCellIndex = number;
              await window.panel.content.scrollToItem(number);
            }""",
            number,
        )
        panel = self.page.evaluate("() => window.panel.id")
        return self.page.locator(f'[id="{panel}"] .jp-Cell[data-windowed-list-index="{number}"]')

    def replace(self, number, text):
        """Type `text` over what stands in a cell."""
        self.select(number).locator(".cm-content").click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(text)

    def run(self, number):
        """Run a cell as a learner does, with Shift+Enter; returns its output's element."""
        cell = self.select(number)
        before = self.cells()[number]["execution_count"]
        cell.locator(".cm-content").press("Shift+Enter")
        self.page.wait_for_function(
            """([number, before]) => {
              const cell = window.panel.content.model.cells.get(number);
              return cell.executionCount && cell.executionCount !== before;
            }""",
            arg=[number, before],
        )
        self.select(number)
        return cell.locator(".jp-Cell-outputArea")

    def run_all(self, path):
        """Open a notebook: every cell runs, none complains, and every explorer is there."""
        self.open(path)
        self.execute("notebook:run-all-cells")
        for number, cell in enumerate(self.cells()):
            if cell["cell_type"] != "code":
                continue
            assert cell["execution_count"] or not cell["source"], cell["source"]
            for output in cell["outputs"]:
                assert output["output_type"] != "error", output["evalue"]
                assert output.get("name") != "stderr", output["text"]
                html = "".join(output.get("data", {}).get("text/html", ""))
                for element in re.findall(r"<(course-\w+)", html):
                    explorer = self.select(number).locator(element)
                    explorer.scroll_into_view_if_needed()
                    assert explorer.evaluate("e => e.shadowRoot.childElementCount") > 1
                    assert explorer.bounding_box()["height"] > 100


@contextmanager
def lab_of(browser, home):
    """A learner's JupyterLab in a page that asks nothing of the world outside."""
    with jupyterlab(home) as address, Watch(browser) as watch:
        yield Lab(watch.page, address)
        assert not [problem for problem in watch.problems if "outside request" in problem]


@pytest.fixture(scope="module")
def browser():
    with chromium_or_skip() as instance:
        yield instance


@pytest.mark.full
@every_chapter
def test_run_all(browser, chapter, tmp_path):
    with lab_of(browser, tmp_path) as lab:
        lab.run_all(chapter.name)


def test_a_learner_solves_an_exercise(browser, tmp_path):
    with lab_of(browser, tmp_path) as lab:
        assert f"0 of {TOTAL}" in lab.first_page
        # JupyterLab alone asks at its first start whether it may fetch news
        where = "/lab/api/settings/@jupyterlab/apputils-extension:notification"
        settings = lab.page.evaluate("async where => (await fetch(where)).json()", where)
        assert settings["schema"]["properties"]["fetchNews"]["default"] == "false"
        assert lab.page.locator(".jp-Dialog, .Toastify__toast").count() == 0

        lab.run_all(CHAPTER)
        stub, check = lab.find(f"def {NAME}("), lab.find('check("02.3"')
        bar = lab.find('progress_bar("02")')
        assert "not attempted" in lab.run(check).inner_text()
        assert f"0 of {TOTAL}" in lab.run(bar).inner_text()

        lab.replace(stub, WRONG)
        lab.run(stub)
        shown = lab.run(check).inner_text()
        assert "❌" in shown and "expected" in shown and "yours" in shown
        assert "stride" in shown, "it names the mistake"
        assert f"0 of {TOTAL}" in lab.run(bar).inner_text()

        lab.replace(stub, RIGHT)
        lab.run(stub)
        assert "✅" in lab.run(check).inner_text()
        moved = lab.run(bar)
        assert f"1 of {TOTAL}" in moved.inner_text()
        assert moved.locator("progress").get_attribute("value") == "1"
        lab.execute("docmanager:save")

    copy = json.loads((tmp_path / "my-course" / CHAPTER).read_text(encoding="utf-8"))
    assert RIGHT in ["".join(cell["source"]) for cell in copy["cells"]]
    assert copy["metadata"]["course"]["version"], "JupyterLab keeps what the copy was made from"
    with lab_of(browser, tmp_path) as lab:
        assert f"1 of {TOTAL}" in lab.first_page
        lab.open(CHAPTER)
        assert "".join(lab.cells()[stub]["source"]) == RIGHT, "what was typed is there"
        # the chapter's own imports stand in a cell whose code is closed
        lab.replace(check, "from course_utils.exercises import progress_bar")
        lab.run(check)
        assert f"1 of {TOTAL}" in lab.run(bar).inner_text()
