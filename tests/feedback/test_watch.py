"""What tests stand on is put back before each of them and told, and what a notebook may do is no matter."""

import builtins
import json
import sys
from types import SimpleNamespace

import pytest
import torch

from minimim.feedback.watch import Watch

SET_UP = "import torch\nfrom minimim.feedback import check\n\n\nclass Tiny:\n    pass"
TEST = "# 1 point: the same\nassert torch.equal(torch.ones(2), torch.ones(2)) and abs(-1) == sum([1]) and check and Tiny"
TEST_THAT_CALLS = "answer()"


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """Runs cells as IPython does, between the two events: what was noted of the last one, and its names."""
    monkeypatch.setenv("WATCH_NOTES", str(tmp_path / "notes"))
    tricks = []
    shell = SimpleNamespace(
        user_ns={"open": open, "tricks": tricks}, input_transformers_cleanup=[], input_transformers_post=[], ast_transformers=tricks
    )
    watch = Watch(shell, {TEST, TEST_THAT_CALLS}, {SET_UP})

    def run(*cells):
        for cell in cells:
            info = SimpleNamespace(raw_cell=cell)
            watch.before(info)
            exec(cell, shell.user_ns)  # noqa: S102
            watch.after(SimpleNamespace(info=info))
        notes = [json.loads(line) for line in (tmp_path / "notes").read_text().splitlines()]
        assert [text for kind, text in notes if kind == "runs"] == list(cells)
        return {text for kind, text in notes if kind == "replaced"}, shell

    yield run
    watch.put_back()


@pytest.mark.parametrize(
    "cell, names",
    [
        ("torch.equal = lambda *given: False", {"torch.equal"}),
        ("torch.Tensor.tolist = lambda self: []", {"torch.Tensor.tolist"}),
        ("torch.Tensor.__eq__ = lambda *given: True", {"torch.Tensor.__eq__"}),
        ("torch.nn.functional.softmax = print", {"torch.nn.functional.softmax"}),
        ("torch.testing.assert_close = print", {"torch.testing.assert_close"}),
        ("import builtins\nbuiltins.abs = lambda x: 0", {"abs"}),
        ("import sys\nsys.modules['torch'] = sys", {"the module torch"}),
        ("import minimim.feedback.check\nminimim.feedback.check.__globals__['examine'] = print", {"minimim.feedback.examine"}),
        ("sum = 3", {"sum"}),
        ("def check(*given):\n    pass", {"check"}),
        ("class Tiny:\n    pass", {"Tiny"}),
        ("class torch:\n    equal = print", {"torch"}),
    ],
)
def test_what_is_replaced_is_put_back_and_told(kernel, cell, names):
    replaced, _ = kernel(SET_UP, cell, TEST, TEST)
    assert replaced == names


def test_what_a_test_calls_leaves_nothing_behind(kernel):
    replaced, _ = kernel(SET_UP, "def answer():\n    torch.equal = print", TEST_THAT_CALLS)
    assert replaced == {"torch.equal"} and torch.equal(torch.ones(1), torch.ones(1)) is True


def test_a_module_that_is_another_from_the_start(kernel):
    replaced, shell = kernel("import sys, types\nsys.modules['torch'] = types.ModuleType('mine')", SET_UP, TEST)
    assert replaced == {"the module torch"} and shell.user_ns["torch"] is torch is sys.modules["torch"]


def test_the_submission_keeps_its_own_names(kernel):
    _, shell = kernel(SET_UP, "sum = 3", TEST)
    assert shell.user_ns["sum"] == 3 and builtins.sum([1]) == 1


def test_how_cells_are_read_is_put_back_before_the_next_one(kernel):
    replaced, shell = kernel(SET_UP, "tricks.append(1)")
    assert replaced == {"how IPython reads a cell"} and shell.ast_transformers == []


@pytest.mark.parametrize(
    "cell",
    [
        "total, mine = 3, torch.equal\nfrom torch import equal, nn\nimport torch.nn.functional as F",
        "torch.manual_seed(0)\ntorch.set_printoptions(precision=2)\ntorch.Tensor.__repr__ = torch.Tensor.__repr__",
        "import matplotlib.pyplot as plt\nfrom minimim import show",
        "torch.manual_seed = torch._disable_dynamo(torch.manual_seed)",  # as PyTorch's compiler does when it is loaded
        "import copy, math\nimport torch\nfrom minimim.feedback import check",
        "class Mine(torch.nn.Linear):\n    pass\n\nMine(2, 2)(torch.ones(1, 2)).sum().backward()",
        "torch.Tensor.__repr__ = lambda self: 'a tensor'",
    ],
)
def test_what_a_notebook_may_do_is_not_told(kernel, monkeypatch, cell):
    monkeypatch.setattr(torch.Tensor, "__repr__", torch.Tensor.__repr__)
    monkeypatch.setattr(torch, "manual_seed", torch.manual_seed)
    assert kernel(SET_UP, cell, TEST)[0] == set()
