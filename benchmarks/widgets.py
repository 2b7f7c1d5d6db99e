"""How long does a widget's picture take to follow the hand? Every control of the five widgets is moved many times.

    python benchmarks/widgets.py                less than half a minute of one quiet CPU core
    python benchmarks/widgets.py --smoke        few moves, to see that it works

A time runs from the moment at which the kernel hears of a new value to that at which the new picture is encoded and handed over to be
sent; widgets_in_browser.py times the whole way. What is wanted: 100 ms where all is computed before, 300 ms where a move needs the bundled
model.
"""

import itertools
import time

import torch
from machine import options, quartiles, write

from minimim import show

LIMITS = {"looked up": 100, "through the model": 300}  # milliseconds
MOVES = {  # widget → control → whether a move looks up what was computed before or goes through the model; values, or "board" for its buttons
    "mask_explorer": {"mask": "through the model", "hidden": "looked up", "draw": "looked up", "photograph": "looked up"},
    "live_fill_in": {"picture": "through the model", "hidden": "through the model", "row": "through the model", "board": "through the model", "hide or show": "through the model"},
    "attention_lens": {"picture": "looked up", "block": "looked up", "row": "looked up", "column": "looked up", "board": "looked up"},
    "target_gallery": {"target": "through the model", "photograph": "looked up", "change": "through the model", "how much": "through the model"},
    "collapse_theatre": {"step": "looked up"},
}


def values(control) -> list:
    """What a control can be moved to, at most 40 of them."""
    if hasattr(control, "options"):
        return [*control.options]
    step = getattr(control, "step", 1)
    count = round((control.max - control.min) / step)
    inside = range(1, count) if isinstance(step, float) else range(count + 1)  # all or nothing hidden is refused
    return [control.min + n * step for n in inside][:: max(1, count // 40)]


def timed(live, moves) -> list[float]:
    """Milliseconds of each move that changed the picture."""
    taken = []
    for move in moves:
        before, began = live.picture.value, time.perf_counter()
        move()
        took = 1000 * (time.perf_counter() - began)
        if live.picture.value != before:
            taken.append(took)
    return taken


def moves_of(live, name: str):
    """Moves of a control, over and over."""
    if name == "board":
        buttons = live.children[-2].children[1].children
        return itertools.cycle([button.click for button in buttons[::3]])
    (control,) = [each for each in live.controls if getattr(each, "description", "") == name]
    if hasattr(control, "click"):
        return itertools.repeat(control.click)
    return itertools.cycle([lambda value=value: setattr(control, "value", value) for value in values(control)])


def main() -> None:
    args = options("How long each widget's picture takes to follow the hand.").parse_args()
    torch.set_num_threads(1)  # models as small as these gain nothing from more
    count, rows, built = 4 if args.smoke else 60, [], {}
    for widget, parts in MOVES.items():
        began = time.perf_counter()
        live = getattr(show, widget)()
        built[widget] = round(time.perf_counter() - began, 2)
        for name, how in parts.items():
            if widget == "target_gallery" and name == "change":
                next(each for each in live.controls if each.description == "how much").value = 1.0
            taken = timed(live, itertools.islice(moves_of(live, name), count))
            spread = {key: round(value, 1) for key, value in quartiles(taken).items()}
            rows.append({"widget": widget, "control": name, "how": how, "limit": LIMITS[how], "moves": len(taken), "milliseconds": spread | {"longest": round(max(taken), 1)}})
            print(f"{widget}, {name}: {spread['median']:.0f} ms (quartiles {spread['low']:.0f} to {spread['high']:.0f}, longest {max(taken):.0f}) of {LIMITS[how]}", flush=True)
    write("widgets", args.device, 0, {"limits": LIMITS, "rows": rows, "seconds_to_build": built}, args.out)


if __name__ == "__main__":
    main()
