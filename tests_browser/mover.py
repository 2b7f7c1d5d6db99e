"""Moves whatever controls a widget has, by mouse and by keyboard, and sees whether its picture follows.

Controls are found by what they are in the page (sliders, lists, boxes to tick or to write in, buttons), so that a new widget is moved
without being named here. A picture is compared by the pixels that the browser shows; a widget without one, by its words.
"""

import base64
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lab import ERROR, Notebook, cell_of
from PIL import Image
from playwright.sync_api import Locator

from minimim.survey.definitions import DEFINITIONS

WAIT = 30  # seconds for a picture to change; a kernel may have a pass through a network to do
LONG = 300  # the same for what trains a network when it is told to
CALM, STEP = 0.4, 0.05  # seconds without a change, after which a picture is looked at; seconds between two looks
Seen = tuple[list[int], list[str]]
ALONE = {("slider", "brush"), *(("button", name) for name in DEFINITIONS)}  # (kind, name) of controls that only say what another one will do: they must move, and the picture need not
RUN = "Run Interact"  # what ipywidgets writes on the button of a widget that waits for it
KINDS = {  # kind → how it is found inside a widget; in the order of moving: lists come late, because under some choices a slider does nothing
    "play": ".widget-play button:first-child",
    "slider": "[role=slider]",
    "box": "input[type=checkbox], input[type=radio]",
    "button": "button:not(.widget-play button):not(.widget-upload):not([tabindex='-1'])",
    "patch": "button[tabindex='-1']",
    "words": "input[type=text]:not([readonly]), input[type=number], textarea",
    "list": "select",
    "file": ".widget-upload",
    "drop": "[ondrop]",
}
SEEN = """widget => {
    const controls = '.widget-inline-hbox:has(input, select, textarea, [role=slider], button), button, .widget-play, style, script'
    const pictures = [...widget.querySelectorAll('img, canvas')].map(one => {
        const paper = document.createElement('canvas')
        paper.width = one.naturalWidth ?? one.width
        paper.height = one.naturalHeight ?? one.height
        if (!paper.width || !one.checkVisibility()) return 0
        const pen = paper.getContext('2d')
        pen.drawImage(one, 0, 0)
        return pen.getImageData(0, 0, paper.width, paper.height).data.reduce((sum, value) => (31 * sum + value) | 0, paper.width)
    })
    const words = []
    for (const walk = document.createTreeWalker(widget, NodeFilter.SHOW_TEXT); walk.nextNode();)
        if (!walk.currentNode.parentElement.closest(controls)) words.push(walk.currentNode.data.trim())
    return [pictures, words]
}"""
CARRIED = """content => {
    const carried = new DataTransfer()
    carried.items.add(new File([Uint8Array.from(atob(content), letter => letter.charCodeAt(0))], 'fallen.png', {type: 'image/png'}))
    return carried
}"""
STATE = "one => [one.ariaValueNow, one.value, one.checked, one.className, one.ariaPressed].join()"
NAME = """one => {
    const label = one.closest('.widget-inline-hbox')?.querySelector('.widget-label')
    const names = [label?.textContent, one.closest('label')?.textContent, one.textContent, one.title, one.placeholder, one.type]
    return names.map(name => (name ?? '').replace('\u200b', '').trim()).find(name => name) ?? 'unnamed'
}"""


@dataclass
class Control:
    """One control of a widget: what kind it is, what it is called, and where it is in the page."""

    kind: str
    name: str
    handle: Locator

    def state(self) -> str:
        """What it is set to."""
        return self.handle.evaluate(STATE)

    def focus(self) -> None:
        """Give it the keyboard, as Tab does."""
        self.handle.focus()
        assert self.handle.evaluate("one => one === document.activeElement"), f"{self.name} cannot be reached by keyboard"


def widgets(notebook: Notebook) -> list[Locator]:
    """The outputs of the notebook that hold widgets."""
    return [one for one in notebook.all.locator(".jp-OutputArea-output:has(.jupyter-widgets)").all() if not one.locator("xpath=ancestor::*[contains(@class,'jupyter-widgets')]").count()]


def controls(widget: Locator) -> Iterator[Control]:
    """The controls of a widget, in the order of KINDS, each marked so that it stays the same one; of the clear buttons over a picture
    only three. A button that is pressed already comes last, because only after another one can it be pressed."""
    for kind, selector in KINDS.items():
        count = widget.locator(selector).count()
        numbers = sorted({0, count // 3, count - 1}) if kind == "patch" and count else range(count)
        for number in numbers:
            widget.locator(selector).nth(number).evaluate("(one, mark) => { one.dataset.mark = mark }", f"{kind} {number}")
        handles = [widget.locator(f"[data-mark='{kind} {number}']") for number in numbers]
        handles.sort(key=lambda handle: "mod-active" in (handle.get_attribute("class") or ""))
        yield from (Control(kind, handle.evaluate(NAME), handle) for handle in handles)


class Mover:
    """Moves the controls of one widget. names: of those that were moved; faults: what went wrong, in words."""

    def __init__(self, notebook: Notebook, widget: Locator, name: str, wait: float = WAIT):
        self.notebook, self.widget, self.name, self.wait = notebook, widget, name, wait
        self.names, self.faults = [], []

    def move_all(self) -> None:
        """Every control by mouse, then every control by keyboard; a button that runs what the others say comes after them."""
        self.widget.scroll_into_view_if_needed()
        self.notebook.shoot(f"{self.name} before", self.widget)
        every = list(controls(self.widget))
        manual = any(control.name == RUN for control in every)
        every.sort(key=lambda control: control.name == RUN)
        for hand in ("mouse", "keyboard"):
            for control in every:
                if (control.kind, hand) not in MOVES:
                    continue
                alone = (control.kind, control.name) in ALONE or manual and control.name != RUN
                try:
                    self.move(control, hand, alone)
                except Exception as error:  # noqa: BLE001 (whatever it is: the other controls are tried, too)
                    self.faults.append(f"{control.name} by {hand}: {str(error).splitlines()[0]}")
                for wrong in self.widget.locator(ERROR).all():
                    self.faults.append(f"{control.name} by {hand}: {wrong.text_content()[-300:]}")
            self.notebook.shoot(f"{self.name} by {hand}", self.widget)
        self.names = [control.name for control in every]

    def move(self, control: Control, hand: str, alone: bool) -> None:
        """Move a control until its picture changes; where the first step has no effect, some steps further. A list goes back to what it
        said, because under another choice the other controls may have nothing to do."""
        before, state, entry = self.calm(), control.state(), control.handle.evaluate("one => one.selectedIndex")
        steps, differ = MOVES[control.kind, hand], ran if control.name == RUN else follows
        for step in steps:
            step(self.notebook, control)
            start, patience, plays = time.monotonic(), LONG if control.name == RUN else self.wait / len(steps), control.kind == "play"
            while time.monotonic() - start < patience:
                if plays and differ(before, self.seen()):
                    control.handle.click()  # pause, so that it becomes calm before it has come back to where it was
                    plays = self.goes_on()
                if alone and control.state() != state:
                    return
                if not alone and differ(before, self.seen()) and differ(before, now := self.calm()):
                    if control.kind == "list":
                        control.handle.select_option(index=entry)
                        self.wait_for(lambda now=now: follows(now, self.seen()))
                    return
                if step is not steps[-1] and time.monotonic() - start > 1 and control.state() == state:
                    break  # it is at its end, where this step leads nowhere
                time.sleep(STEP)
        moved = "" if control.state() != state else ", and it did not move itself"
        self.faults.append(f"{control.name} by {hand}: the picture stayed as it was{moved}")

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds, or no longer than for a picture."""
        start = time.monotonic()
        while not condition() and time.monotonic() - start < self.wait:
            time.sleep(STEP)

    def seen(self) -> Seen:
        """What the browser shows of the widget besides its controls: a number for the pixels of each picture, and the words."""
        return self.widget.evaluate(SEEN)

    def goes_on(self) -> bool:
        """Whether what plays is still playing, a second after it was told to pause."""
        time.sleep(1)
        now = self.seen()
        time.sleep(1)
        return self.seen() != now

    def calm(self) -> Seen:
        """What is seen once the kernel has nothing to do and the page has stopped changing."""
        last, since = self.seen(), time.monotonic()
        deadline = since + self.wait
        while time.monotonic() - since < CALM and time.monotonic() < deadline:
            time.sleep(STEP)
            now = self.seen()
            if now != last or not self.notebook.is_idle():
                last, since = now, time.monotonic()
        return last


def follows(before: Seen, now: Seen) -> bool:
    """Whether the picture is another one; where there never was one, the words. While a picture is missing, it is not there yet."""
    return bool(now[0]) and 0 not in now[0] and now[0] != before[0] if before[0] else now != before


def ran(before: Seen, now: Seen) -> bool:
    """Whether there is something else than before: a picture, or a sentence that says why there is none."""
    return now != before and any(now[0] + now[1])


def drag(part: float) -> Callable:
    """Drag a slider's handle to a part of its track, by mouse."""

    def act(notebook: Notebook, control: Control) -> None:
        handle = control.handle.bounding_box()
        track = control.handle.locator("xpath=ancestor::*[contains(@class,'noUi-target')]").bounding_box()
        middle = handle["y"] + handle["height"] / 2
        mouse = notebook.page.mouse
        mouse.move(handle["x"] + handle["width"] / 2, middle)
        mouse.down()
        mouse.move(track["x"] + part * track["width"], middle, steps=5)
        mouse.up()

    return act


def press(*keys: str) -> Callable:
    """Press keys, after Tab brought the keyboard to a control."""

    def act(notebook: Notebook, control: Control) -> None:
        control.focus()
        for key in keys:
            notebook.page.keyboard.press(key)

    return act


def click(notebook: Notebook, control: Control) -> None:
    """Press with the mouse."""
    control.handle.click()


def choose(notebook: Notebook, control: Control) -> None:
    """Choose the next entry of a list with the mouse. The list that a browser unfolds is out of its page, so there it is chosen for the mouse."""
    entries, now = control.handle.locator("option"), control.handle.evaluate("list => list.selectedIndex")
    other = (now + 1) % entries.count()
    if control.handle.evaluate("list => list.size > 1"):
        entries.nth(other).click()
    else:
        control.handle.click()
        notebook.page.keyboard.press("Escape")
        control.handle.select_option(index=other)


def picture() -> bytes:
    """A PNG of one's own: each time another one."""
    file = io.BytesIO()
    Image.effect_noise((64, 64), 80).convert("RGB").save(file, "PNG")
    return file.getvalue()


def upload(open_it: Callable) -> Callable:
    """Choose a picture of one's own in the window that a control opens."""

    def act(notebook: Notebook, control: Control) -> None:
        with notebook.page.expect_file_chooser() as chosen:
            open_it(notebook, control)
        chosen.value.set_files({"name": f"mine-{time.monotonic():.3f}.png", "mimeType": "image/png", "buffer": picture()})

    return act


def drop(notebook: Notebook, control: Control) -> None:
    """Let a picture of one's own fall, as if it came from another window."""
    carried = notebook.page.evaluate_handle(CARRIED, base64.b64encode(picture()).decode())
    control.handle.dispatch_event("drop", {"dataTransfer": carried})


MOVES = {  # what is not here has a control beside it that does the same: sliders for the patches, a button for what falls
    ("play", "mouse"): [click],
    ("play", "keyboard"): [press("Space")],
    ("slider", "mouse"): [drag(0.25), drag(0.8)],
    ("slider", "keyboard"): [press("ArrowRight"), press("ArrowLeft"), press("PageUp"), press("Home")],
    ("box", "mouse"): [click],
    ("box", "keyboard"): [press("Space")],
    ("button", "mouse"): [click],
    ("button", "keyboard"): [press("Space")],
    ("patch", "mouse"): [click],
    ("words", "mouse"): [lambda notebook, control: (control.handle.click(), notebook.page.keyboard.type("1"))],
    ("words", "keyboard"): [press("2"), press("Enter")],
    ("list", "mouse"): [choose, choose],
    ("list", "keyboard"): [press("ArrowDown"), press("ArrowUp"), press("ArrowUp")],
    ("file", "mouse"): [upload(click)],
    ("file", "keyboard"): [upload(press("Enter"))],
    ("drop", "mouse"): [drop],
}


def try_all(notebook: Notebook) -> tuple[dict[str, list[str]], list[str]]:
    """Move every control of every widget in a notebook: ({widget: its controls}, faults)."""
    moved, faults = {}, []
    for number, widget in enumerate(widgets(notebook), 1):
        mover, name = Mover(notebook, widget, f"widget {number}"), f"widget {number} in cell {cell_of(widget)}"
        mover.move_all()
        moved[name] = mover.names
        faults += [f"{name}: {fault}" for fault in mover.faults]
    lines = [f"{name}: {', '.join(names)}" for name, names in moved.items()]
    (notebook.shots() / "controls.txt").write_text("\n".join(lines + faults) + "\n")
    return moved, faults
