"""What every method of the registry promises, II: two processes compute what one does; compiled, it is traced once."""


import every_method
import pytest
import torch
from every_method import NAMES, data, settings, small
from helpers import start_together
from safetensors.torch import load_file

from minimim.train import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The folder with what two processes found of every method, from one start of torchrun."""
    folder = tmp_path_factory.mktemp("every method")
    start_together(every_method.__file__, folder, 2, timeout=600)
    return folder


@pytest.mark.parametrize("name", [*NAMES, "dimmed"])
def test_two_processes_compute_what_one_does(name, out):
    errors = [path.read_text() for path in out.glob(f"{name} *.error")]
    assert not errors
    alone, first, second = every_method.double(name), *(load_file(out / f"{name} {rank}") for rank in range(2))
    for key, expected in alone.items():
        assert torch.equal(first[key], second[key]), key
        torch.testing.assert_close(first[key], expected, atol=1e-6, rtol=1e-6, msg=lambda text, key=key: f"{key}: {text}")


@pytest.mark.parametrize("name", NAMES)
def test_a_compiled_method_is_traced_in_the_first_steps_and_never_again(name, monkeypatch):
    method = small(name)
    traced = []

    def backend(graph, inputs):
        traced.append(len(graph.graph.nodes))
        return graph.forward

    for holder in filter(None, (method, method.teacher)):
        for part in filter(None, (holder.encoder, holder.decoder)):
            part.compile(backend=backend)
    counts = []
    method.register_forward_hook(lambda *_: counts.append(len(traced)))
    torch._dynamo.reset()
    train(method, data(), settings(method, steps=6), bar=False)
    torch._dynamo.reset()
    assert counts[0] > 0 and counts[-1] == counts[2], counts
