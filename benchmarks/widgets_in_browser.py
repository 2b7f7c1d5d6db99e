"""How long does a widget's picture take to follow the hand in JupyterLab? The sliders and lists of the five widgets are moved by keyboard.

    python benchmarks/widgets_in_browser.py          some three minutes of two quiet CPU cores, after make test-browser, which installs what it needs
    python benchmarks/widgets_in_browser.py --smoke  few moves, to see that it works

A time runs from the press of a key in Chromium to the first frame that has the new picture, so it holds the way to the kernel and back.
What is wanted is what widgets.py says.
"""

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from machine import options, quartiles, write
from playwright.sync_api import TimeoutError, sync_playwright
from widgets import LIMITS, MOVES

sys.path.append(str(Path(__file__).parent.parent / "tests_browser"))

from chromium import FLAGS, found, root
from lab import Notebook, Server
from mover import controls, widgets

KEYS = {"slider": ("ArrowRight", "ArrowLeft"), "list": ("ArrowDown", "ArrowUp")}
SWING = 5  # moves in one direction, then as many back
WATCH = """widget => {
    window.taken = []
    addEventListener('keydown', event => { window.pressed = event.timeStamp }, true)
    const picture = () => widget.querySelector('img').src
    let before = picture()
    new MutationObserver(() => {
        if (picture() === before) return
        before = picture()
        requestAnimationFrame(() => taken.push(performance.now() - pressed))
    }).observe(widget, {subtree: true, childList: true, attributes: true, attributeFilter: ['src']})
}"""


def timed(page, keys: tuple[str, str], count: int) -> list[float]:
    """Milliseconds of each press that changed the picture."""
    page.evaluate("taken.length = 0")
    for n in range(count):
        before = page.evaluate("taken.length")
        page.keyboard.press(keys[n // SWING % 2])
        try:
            page.wait_for_function(f"taken.length > {before}", timeout=2000)
        except TimeoutError:
            continue  # nothing changes at the end of a list
    return page.evaluate("taken")


def main() -> None:
    args = options("How long each widget's picture takes to follow the hand in JupyterLab.").parse_args()
    rows, count = [], 4 if args.smoke else 30
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play, ExitStack() as at_the_end:
        server = Server(Path(folder))
        at_the_end.callback(server.stop)
        browser = play.chromium.launch(executable_path=found(), chromium_sandbox=not root(), args=FLAGS)
        for widget, parts in MOVES.items():
            path = server.write(f"{widget}.ipynb", f"from minimim import show\n\nshow.{widget}()")
            notebook = Notebook(browser.new_page(viewport={"width": 1440, "height": 900}), server, path)
            notebook.run_all()
            (box,) = widgets(notebook)
            box.evaluate(WATCH)
            for control in controls(box):
                if control.kind not in KEYS or control.name not in parts:
                    continue
                control.focus()
                ends = [control.handle.get_attribute(f"aria-value{name}") for name in ("now", "max")]
                back = control.kind == "slider" and ends[0] == ends[1]
                taken = timed(notebook.page, KEYS[control.kind][:: -1 if back else 1], count)
                spread, how = {key: round(value, 1) for key, value in quartiles(taken).items()}, parts[control.name]
                rows.append({"widget": widget, "control": control.name, "how": how, "limit": LIMITS[how], "moves": len(taken), "milliseconds": spread | {"longest": round(max(taken), 1)}})
                print(f"{widget}, {control.name}: {spread['median']:.0f} ms (quartiles {spread['low']:.0f} to {spread['high']:.0f}, longest {max(taken):.0f}) of {LIMITS[how]}", flush=True)
                if control.name == "how much":
                    notebook.page.keyboard.press("End")  # the next control shows nothing where nothing is changed
                    notebook.idle(60)
            notebook.page.close()
            server.end_kernels()
        version = browser.version
    write("widgets-in-browser", args.device, 0, {"browser": f"Chromium {version}", "limits": LIMITS, "rows": rows}, args.out)


if __name__ == "__main__":
    main()
