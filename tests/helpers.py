"""What several test files use: seeds, small images, small methods, and a way to watch a module work."""

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import torch

from minimim.data import Images
from minimim.methods import create

TOP = Path(__file__).parents[1]  # of the course
N = 16  # patches of 16×16 images in patches of 4

sys.path.append(str(TOP / "scripts"))  # some scripts import others


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(batch=3, channels=3, seed=0):
    """Images that are normalised already."""
    return torch.randn(batch, channels, 16, 16, generator=generator(seed))


def raw(batch=4, channels=3, seed=0):
    """Images as bytes."""
    return torch.randint(0, 256, (batch, channels, 16, 16), dtype=torch.uint8, generator=generator(seed))


def toy(n=24, seed=0, step=100):
    """Darker and brighter images in turn; a small step makes them hard to tell apart."""
    images, labels = raw(n, seed=seed) // 2, torch.arange(n) % 2
    images[1::2] += step
    return Images(images, labels)


def build(name, **more):
    """A small method whose tokens, biases and norms have left their start, so that none is zero or one by chance."""
    torch.manual_seed(0)
    method = create(name, **{"image_size": 16, "patch_size": 4, **more})
    with torch.no_grad():
        for p in method.parameters():
            if p.requires_grad:
                p.add_(0.05 * torch.randn(p.shape))
    return method


def calls(module):
    """A list that grows by (arguments, output) with every call of a module."""
    seen = []
    module.register_forward_hook(lambda module, args, output: seen.append((args, output)))
    return seen


def mean_over(errors, *places):
    """The mean of errors (B, N) over some places, one by one; places asked twice count twice."""
    total, count, errors = 0.0, 0, errors.detach()
    for where in places:
        for b in range(len(where)):
            for n in range(where.shape[1]):
                if where[b, n]:
                    total, count = total + float(errors[b, n]), count + 1
    return total / count


def start_together(script, folder, processes, timeout):
    """Run a script by torchrun, with a folder for what comes out; nothing of it is left behind, whatever happens."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    process = subprocess.Popen([*torchrun, script, folder], start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said, _ = process.communicate(timeout=timeout)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, said


def script(name):
    """A file of scripts/ as a module."""
    spec = importlib.util.spec_from_file_location(name, TOP / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
