"""All diagnoses of a method at once."""

from minimim.data.beside import beside
from minimim.diagnose.features import collapse, head_output, mismatch
from minimim.diagnose.leaks import leak
from minimim.diagnose.neighbours import baseline
from minimim.diagnose.runs import stability
from minimim.diagnose.verdict import Verdict
from minimim.evaluate.compare import floors
from minimim.evaluate.features import extract
from minimim.evaluate.regression import place_and_size
from minimim.methods import anew


def checkup(method, train, test, history: list[dict] | None = None) -> list[Verdict]:
    """The verdicts of all diagnoses that fit a method. train, test: Images, with labels for `mismatch`; history: of its run.

    Without a `spec` there is no random encoder to compare with, so the probes are left out. print(*checkup(…), sep="\\n").
    """
    mine = tuple(extract(method.encoder, images) for images in (train, test))
    fresh = floors(method, train, test)["random_init"] if method.spec else None
    heads = {"head": head_output(method, test), "random_head": head_output(anew(method), test)} if method.spec else {}
    found = [collapse(mine[1].x, random=fresh[1].x if fresh else None, **heads)]
    if fresh and train.labels is not None:
        boxed = "box" in train.truth and "box" in test.truth
        found.append(mismatch(mine, fresh, (place_and_size(train), place_and_size(test)) if boxed else None))
    found.append(leak(method, known(test, 64, method.needs)))
    if getattr(method.target, "predicts", None) == "pixels":
        found.append(baseline(method, train.images[:2000], known(test, 1000, method.needs)))
    return [*found, stability(history)] if history else found


def known(data, count: int, needs) -> dict:
    """The first `count` images, and by name what else a method needs, such as their labels."""
    return {"image": data.images[:count]} | {name: beside(data, name)[:count] for name in needs}
