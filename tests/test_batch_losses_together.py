"""Losses of the whole batch: what two processes with uneven rows compute is what one does, gradients too.

Run as a program, with a folder and its rank, this file is one of the two processes.
"""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from minimim.losses import Term, info_nce, koleo, me_max, nt_xent, uniformity
from minimim.methods.sums import Sums
from minimim.processes import rank, summed, together, world
from minimim.targets import sinkhorn

pytestmark = pytest.mark.slow

FIRST, BATCH = 4, 7  # rows of the first process, and of both
ONE = {  # loss of one answer an image, against a second one or alone
    "info_nce": partial(info_nce, temperature=0.3),
    "uniformity": uniformity,
    "me_max": me_max,
    "koleo": koleo,
}
VIEWS = {"nt_xent": nt_xent, "me_max of views": me_max}


def own():
    """The rows of this process."""
    return slice(0, BATCH) if not together() else slice(0, FIRST) if rank() == 0 else slice(FIRST, BATCH)


def numbers(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3)).double()


def by_method(term, answers, targets):
    """The loss as a Method sums it, and its gradient for a weight that all processes share, as DDP averages it."""
    weight = numbers(5, 5).requires_grad_()
    sums = Sums([term])
    if term.pair == "views":
        for answer in answers:
            sums.compare({"cls": answer[own()] @ weight}, {}, None, None, None)
        sums.compare_views()
    else:
        made = {0: {"cls": targets[own()]}} if term.pair else {}
        sums.compare({"cls": answers[own()] @ weight}, made, 0, None, None)
    loss, _ = sums.total()
    loss.backward()
    return summed(loss.detach()) / world(), summed(weight.grad) / world()


def computed():
    """Everything that two processes must agree about with one."""
    torch.manual_seed(0)
    found, answers, targets = {}, numbers(BATCH, 5), torch.roll(numbers(BATCH, 5), 1, 1)
    for name, loss in ONE.items():
        term = Term("cls", loss, on="all", pair="same" if name == "info_nce" else None)
        found[name], found[f"{name} gradient"] = by_method(term, answers, targets)
    for name, loss in VIEWS.items():
        found[name], found[f"{name} gradient"] = by_method(Term("cls", loss, pair="views"), numbers(3, BATCH, 5), None)
    both = numbers(2, BATCH, 5).requires_grad_()  # keys with gradient too
    summed_error = info_nce(both[0, own()], both[1, own()], None, 0.2).sum()
    summed_error.backward()
    found["keys"], found["keys gradient"] = summed(summed_error.detach()), summed(both.grad)
    scores = numbers(BATCH, 3, 4)
    for name, by_place in (("sinkhorn", False), ("sinkhorn by place", True)):
        mine = torch.zeros_like(scores)
        mine[own()] = sinkhorn(scores[own()], 0.2, by_place=by_place)
        found[name] = summed(mine)
    return found


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp("two")
    started = [subprocess.Popen([sys.executable, __file__, str(folder), str(number)], stderr=subprocess.PIPE, text=True) for number in (0, 1)]
    try:
        for process in started:
            _, said = process.communicate(timeout=60)
            assert process.returncode == 0, said
    finally:
        for process in started:
            process.kill()
    return [torch.load(folder / f"{number}.pt") for number in (0, 1)]


@pytest.fixture(scope="module")
def one():
    return computed()


NAMES = [name + more for name in [*ONE, *VIEWS, "keys"] for more in ("", " gradient")] + ["sinkhorn", "sinkhorn by place"]


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_with_uneven_rows_equal_one(name, one, two):
    assert set(one) == set(NAMES) and one[name].abs().sum() > 0
    for found in two:
        torch.testing.assert_close(found[name], one[name], rtol=1e-10, atol=1e-12)


def main(folder: Path, number: int):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=number, world_size=2)
    torch.save(computed(), folder / f"{number}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
