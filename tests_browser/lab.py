"""What a test has in its hands: `minimim lab`, started in a fresh folder as for somebody who never opened Jupyter, and a notebook in it."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

import nbformat
from playwright.sync_api import Locator, Page, expect

COURSE = Path(__file__).parent.parent
SHOTS = COURSE / "runs" / "browser"
START, RUN = 180, 900  # seconds to wait at most: for what starts, and for a lesson that runs
ERROR = '[data-mime-type="application/vnd.jupyter.stderr"]'  # what JupyterLab shows on red: errors, and what is printed to stderr
FIGURES = """notebook => [...notebook.querySelectorAll('.jp-OutputArea-output img, .jp-RenderedMarkdown img')].map(img => {
    const box = img.getBoundingClientRect(), room = img.closest('.jp-OutputArea-output, .jp-RenderedMarkdown').getBoundingClientRect()
    const cell = [...notebook.querySelectorAll('.jp-Cell')].indexOf(img.closest('.jp-Cell'))
    return {cell, intended: img.naturalWidth, width: box.width, over: box.right - room.right, column: room.width}
})"""


class Server:
    """JupyterLab, started by `minimim lab` in `folder`/work. What a learner would have in the home folder lies in `folder`, too.

    python: the Python that minimim is installed in."""

    def __init__(self, folder: Path, python: str | Path = sys.executable):
        self.work, self.folder = folder / "work", folder
        homes = {f"JUPYTER_{name.upper()}_DIR": str(folder / name) for name in ("config", "data", "runtime")}
        (folder / "config").mkdir(parents=True)
        own = {"ServerApp": {"open_browser": False, "allow_root": True}}  # a learner's own settings, which minimim lab leaves in force
        (folder / "config" / "jupyter_server_config.json").write_text(json.dumps(own))
        command = [python, "-m", "minimim", "lab", "--out", str(self.work)]
        environment = os.environ | homes | {"IPYTHONDIR": str(folder / "ipython")}
        with (folder / "jupyterlab.log").open("w") as log:
            self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        told = self.told()
        self.url, self.token, self.pid = told["url"], told["token"], told["pid"]

    def told(self) -> dict:
        """What JupyterLab writes down of itself once it listens."""
        deadline = time.monotonic() + START
        while time.monotonic() < deadline and self.process.poll() is None:
            for file in (self.folder / "runtime").glob("jpserver-*.json"):
                if told := file.read_text():  # it is made empty, and then written
                    return json.loads(told)
            time.sleep(0.2)
        self.process.terminate()
        raise AssertionError(f"minimim lab did not start:\n{(self.folder / 'jupyterlab.log').read_text()[-2000:]}")

    def write(self, path: str, *cells: str) -> str:
        """A notebook of these code cells in the work folder; returns its path there."""
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata=kernel), self.work / path)
        return path

    def ask(self, path: str, method: str = "GET"):
        """What the server answers."""
        request = Request(f"{self.url}api/{path}", method=method, headers={"Authorization": f"token {self.token}"})
        with urlopen(request, timeout=START) as answer:
            return json.loads(answer.read() or "null")

    def end_kernels(self) -> None:
        """Give the memory of lessons back."""
        for session in self.ask("sessions"):
            self.ask(f"sessions/{session['id']}", "DELETE")

    def stop(self) -> None:
        """End the kernels, and then the server: by the way it offers, which also ends `minimim lab`."""
        self.end_kernels()
        self.ask("shutdown", "POST")
        self.process.wait(START)


class Notebook:
    """A notebook of the work folder, opened in JupyterLab."""

    def __init__(self, page: Page, server: Server, path: str):
        self.page, self.server, self.path = page, server, path
        self.cells = nbformat.read(server.work / path, 4).cells
        self.code = [n for n, cell in enumerate(self.cells) if cell.cell_type == "code" and cell.source.strip()]
        page.goto(f"{server.url}lab/tree/{path}?reset&token={server.token}")
        self.all = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook")
        self.idle(START)

    def menu(self, *names: str) -> None:
        """Choose an entry from the menus, by mouse."""
        self.page.locator(".lm-MenuBar-item", has_text=re.compile(f"^{names[0]}$")).click()
        self.page.locator(".lm-Menu-item", has_text=re.compile(f"^{names[1]}$")).click()

    def idle(self, seconds: float) -> None:
        """Wait until the kernel is there and has nothing to do, and no cell waits for it."""
        expect(self.page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=1000 * seconds)
        expect(self.all.locator(".jp-InputPrompt", has_text="[*]")).to_have_count(0, timeout=1000 * seconds)

    def is_idle(self) -> bool:
        """Whether the kernel has nothing to do at this moment."""
        return "| Idle" in self.page.locator("#jp-main-statusbar").text_content()

    def run_all(self) -> None:
        """Run All Cells from the menu, until the last cell has its number."""
        self.menu("Run", "Run All Cells")
        expect(self.cell(self.code[-1]).locator(".jp-InputPrompt").first).to_have_text(re.compile(r"\[\d+\]"), timeout=1000 * RUN)
        self.idle(RUN)

    def cell(self, number: int) -> Locator:
        """A cell, counted from 0."""
        return self.all.locator(f'.jp-Cell[data-windowed-list-index="{number}"]')

    def number(self, start: str) -> int:
        """Which cell begins with these words."""
        return next(n for n, cell in enumerate(self.cells) if cell.source.startswith(start))

    def run(self, number: int) -> Locator:
        """Run one cell from the keyboard, and give what it shows."""
        cell = self.cell(number)
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")
        self.idle(RUN)
        return cell.locator(".jp-OutputArea-output")

    def errors(self) -> list[str]:
        """What is shown of errors and warnings, with the number of the cell."""
        return [f"cell {cell_of(output)}: {output.text_content().strip()[-500:]}" for output in self.all.locator(ERROR).all()]

    def not_run(self) -> list[int]:
        """The code cells that have no number."""
        return [n for n in self.code if not re.search(r"\[\d+\]", self.cell(n).locator(".jp-InputPrompt").first.text_content())]

    def figures(self) -> list[dict]:
        """Every picture on the page: its cell, its width in its file and on the page, its column's width, and how far it hangs over."""
        return self.all.evaluate(FIGURES)

    def shots(self) -> Path:
        """Where screenshots of this notebook lie."""
        folder = SHOTS / Path(self.path).stem
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def shoot(self, name: str, what: Locator | None = None) -> None:
        """Keep a screenshot, of the window or of one thing in it."""
        (what or self.page).screenshot(path=self.shots() / (re.sub(r"[^\w.-]+", "_", name)[:60] + ".png"))


def cell_of(what: Locator) -> str:
    """The number of the cell that something stands in."""
    return what.locator("xpath=ancestor::*[@data-windowed-list-index][1]").get_attribute("data-windowed-list-index")
