"""What several processes compute together, and one alone. Run by torchrun with a folder for what comes out; the same
functions, called in a process that is alone, give what it has to equal."""

import itertools
import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import torch
import torch.distributed as dist
from helpers import build, raw
from safetensors.torch import save_file
from torch.nn.parallel import DistributedDataParallel

from minimim.data import Images
from minimim.data.batches import batches
from minimim.evaluate import FinetuneConfig, OfficialConfig, classify, finetune, official_probe
from minimim.processes import rank, together, world
from minimim.train import NotFinite, TrainConfig, train
from minimim.train.processes import join, leave
from minimim.train.step import Stepper, adamw

CASES = [("mae", 8, 1), ("mae", 7, 1), ("ibot", 7, 1), ("hpm", 10, 2)]  # recipe, batch, parts
THREE = [("ibot", 7, 1)]
OF_TWO, OF_ONE = ("mae", 4, 10), ("ibot", 7, 3)  # recipe, batch, epochs of runs that are stopped: by two processes, by one
OPTIONS = {"mae": {}, "ibot": {"prototypes": 64}, "hpm": {}}


def config(batch, parts, **more):
    return TrainConfig(**{"batch_size": batch, "accumulate": parts, "seed": 3, "lr": 0.1, "device": "cpu", **more})


def data():
    return Images(raw(24))


def first_step(name, batch, parts):
    """Gradients, masks and loss of one step; each process has the masks of its own images."""
    method = build(name, **OPTIONS[name]).train()
    found, masks = {}, []
    settings = config(batch, parts)
    optimizer = adamw(method, settings)
    method.register_forward_hook(lambda module, args, output: masks.append(output.mask))
    optimizer.register_step_pre_hook(
        lambda *_: found.update({f"gradient {n}": p.grad.clone() for n, p in method.named_parameters() if p.requires_grad})
    )
    step = Stepper(method, optimizer, settings, 10, model=DistributedDataParallel(method) if together() else method)
    stream = batches(data(), batch // parts, seed=3, rank=rank(), world=world())
    found["loss"] = step(4, list(itertools.islice(stream, parts)))["loss"]
    return found | {f"mask {number}": mask for number, mask in enumerate(masks)}


@contextmanager
def double():
    """Within it, everything is computed in double precision."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def told(lines):
    """What the lines of metrics.jsonl say, but for how fast it went."""
    keys = [key for key in lines[0] if key not in ("images_per_s", "waiting")]
    return {f"told {key}": torch.tensor([line[key] for line in lines], dtype=torch.float64) for key in keys}


def three_steps(name, batch, parts):
    """Everything that is saved of a method, and what is told, after three steps."""
    with double():
        method = build(name, **OPTIONS[name])
        result = train(method, data(), config(batch, parts, epochs=3 * batch / 24, log_every=1), bar=False)
        assert result.steps == 3
        return dict(method.state_dict()) | told(result.history)


def long(name, batch, epochs, out=None, *, resume=False, stopped_by=None):
    """A run of some length, which Ctrl-C on one process, at its fourth step, may stop: how it ended, and what it has."""
    with double():
        method, count = build(name, **OPTIONS[name]), itertools.count(1)

        def press(*_):
            if next(count) == 4 and rank() == stopped_by:
                os.kill(os.getpid(), signal.SIGINT)

        method.register_forward_hook(press)
        result = train(method, data(), config(batch, 1, epochs=epochs, log_every=1), out=out, resume=resume, bar=False)
        return f"{result.finished} {result.steps} of {result.total}", dict(method.state_dict()) | told(result.history)


def stopped(out):
    """How a run ends when the second process alone hears Ctrl-C."""
    return long(*OF_TWO, out / "stopped", stopped_by=1)[0]


def labelled():
    """Images to learn labels from, and to judge by."""
    return [Images(raw(count, seed=count), torch.arange(count) % 3, ("a", "b", "c")) for count in (24, 31)]


def finetuned(out):
    """How good a fine-tuned encoder is; its weights and what it told lie in a folder."""
    settings = FinetuneConfig(epochs=2, batch_size=7, lr=0.1, drop_path=0.0, log_every=1, device="cpu")
    with double():
        return str(finetune(build("mae").encoder, *labelled(), settings, out=out / "finetuned", bar=False))


def probed(out, resume=False):
    """How good the papers' linear probe finds an encoder, and the running mean that it was judged with."""
    settings, models, judge = OfficialConfig(epochs=2, batch_size=7, device="cpu"), [], classify.judge
    with patch.object(classify, "judge", lambda model, *args, **more: models.append(model) or judge(model, *args, **more)):
        score = official_probe(build("mae").encoder, *labelled(), settings, out=out / "probed", resume=resume, bar=False)
    return f"{score} {models[0].head[0].running_mean.tolist()}"


def not_finite(out):
    """How a run ends when the second process alone meets a loss that is not finite, at its fourth step."""
    method, count = build("mae"), itertools.count(1)

    def poison(module, args, output):
        if next(count) == 4 and rank() == 1:
            output.loss = output.loss * torch.nan

    method.register_forward_hook(poison)
    try:
        train(method, data(), config(4, 1, epochs=10, save_every=0), out=out / "not finite", bar=False)
    except NotFinite as error:
        return f"{all(p.isfinite().all() for p in method.parameters())} {next(count) - 1} {error}"


def everything(cases, out):
    """Both of it, into files that are named by case, number of processes and rank."""
    for case in cases:
        name = " ".join(map(str, case))
        for function in (first_step, three_steps):
            keep(function(*case), out / f"{function.__name__} {name} {world()} {rank()}")


def keep(tensors, path):
    save_file({key: t.detach().contiguous().clone() for key, t in tensors.items()}, path)


def main(out):
    torch.set_num_threads(1)
    join(torch.device("cpu"))
    everything(THREE, out)
    number = rank()
    keep(long(*OF_ONE, out / "of one", resume=True)[1], out / f"of one {number}")
    leave()
    if number == 2:
        return
    dist.init_process_group("gloo", init_method=f"file://{out}/meeting", rank=number, world_size=2)
    everything(CASES, out)
    for function in (stopped, not_finite, finetuned, probed):
        (out / f"{function.__name__} {number}").write_text(function(out))
    leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
