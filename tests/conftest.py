"""Each test starts from the same seed, whatever ran before it. One thread each: the tests themselves run side by side."""

import os
import socket
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start
os.environ["MINIMIM_QUICK"] = "1"  # the two-minute run of the build notebook takes three steps (minimim/feedback/build/use.py)
os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """A machine with no data on it, and no network: the folder that data would be in."""

    def unreachable(*args, **more):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.chdir(tmp_path)
    for name in ("MINIMIM_PACKS", "MINIMIM_IMAGENET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MINIMIM_DATA", str(tmp_path / "data"))
    return tmp_path / "data"
