"""What two processes make of uneven rows by `gathered` and by BatchNorm, beside what one makes. Run with a folder and a rank."""

import functools
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import torch.distributed as dist

from minimim.norms import BatchNorm
from minimim.processes import gathered, rank, together, world

ROWS = (slice(0, 3), slice(3, 8))  # of eight, by process
STATISTICS = ("running_mean", "running_var")


def own(x):
    """This process's rows, or all where it is alone."""
    return x[ROWS[rank()]] if together() else x


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def look_at_all():
    """A loss of every pair of rows, of a map that is learnt: all rows, and the gradients of own rows and of the map."""
    x, weight = own(numbers(8, 4)).requires_grad_(), numbers(4, 3, seed=1).requires_grad_()
    rows = gathered((x @ weight).tanh())  # (8, 3) on every process
    (rows @ rows.T).exp().triu(1).mean().backward()
    return {"rows": rows, "gradient": x.grad / world(), "weight": mean(weight.grad)}


def look_with_own():
    """A loss of own rows against all rows: on each process the sum of its own errors."""
    x = own(numbers(8, 4)).requires_grad_()
    (x @ gathered(x).T).square().sum().backward()
    return {"gradient": x.grad}


def normalise():
    """Batch norm in training, on rows of patches of which only some are active, twice."""
    norm = BatchNorm(4).double().train()
    norm.weight.data.copy_(numbers(4, seed=2))
    answers = {}
    for step, active in enumerate((None, numbers(8, 5, seed=4) > 0)):
        x, grow = own(numbers(8, 5, 4, seed=step)).requires_grad_(), own(numbers(8, 5, 4, seed=3))
        norm.zero_grad()
        y = norm(x, None if active is None else own(active))
        (y.tanh() * grow).sum().backward()
        answers |= {f"output {step}": y, f"gradient {step}": x.grad, f"weight {step}": world() * mean(norm.weight.grad)}
        answers |= {f"{name} {step}": norm.get_buffer(name).clone() for name in STATISTICS}
    return answers


def mean(gradient):
    """What DistributedDataParallel makes of the gradients of a weight."""
    if together():
        gradient = gradient.clone()
        dist.all_reduce(gradient)
    return gradient / world()


CASES = (look_at_all, look_with_own, normalise)


@functools.cache
def of_two():
    """What each of two processes found: {case: [answers, answers]}."""
    with tempfile.TemporaryDirectory() as folder:
        started = [subprocess.Popen([sys.executable, __file__, folder, str(n)]) for n in range(2)]
        try:
            codes = [process.wait(timeout=120) for process in started]
        finally:
            for process in started:
                process.kill()
        assert codes == [0, 0]
        found = [torch.load(Path(folder, f"found {n}")) for n in range(2)]
    return {case.__name__: [one[case.__name__] for one in found] for case in CASES}


def put_together(found, name):
    """The rows of both processes in one."""
    return torch.cat([one[name] for one in found])


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, number = Path(sys.argv[1]), int(sys.argv[2])
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=number, world_size=2)
    answers = {case.__name__: {name: x.detach() for name, x in case().items()} for case in CASES}
    torch.save(answers, folder / f"found {number}")
    dist.destroy_process_group()
