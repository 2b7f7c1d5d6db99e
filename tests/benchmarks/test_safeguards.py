"""benchmarks/safeguards.py: what is taken out is out, and nothing else is changed."""

import pytest
import torch
from helpers import TOP

from minimim import methods
from minimim.errors import UserError

SMALL = {"image_size": (16, 16), "patch_size": 4, "size": "micro"}


@pytest.fixture
def safeguards(monkeypatch):
    monkeypatch.syspath_prepend(TOP / "benchmarks")
    import safeguards

    return safeguards


def pair(safeguards, name, safeguard):
    """The method as it is and without the safeguard, of the same weights."""
    made = []
    for _ in range(2):
        torch.manual_seed(0)
        made.append(methods.create(name, **SMALL))
    safeguards.take_out(safeguard, name, made[1])
    return made


def step(method, seed=1):
    """Loss and metrics of one step, and what the teacher has become after a step of plain descent."""
    images = torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    output = method.train()(images, generator=torch.Generator().manual_seed(seed))
    method.zero_grad()
    output.loss.backward()
    with torch.no_grad():
        for p in method.parameters():
            if p.grad is not None:
                p -= 0.01 * p.grad
    method.after_step(0.1)
    return output


def test_every_safeguard_changes_each_method_that_has_it(safeguards):
    for safeguard, (having, _) in safeguards.SAFEGUARDS.items():
        for name in having or ("ibot", "ijepa"):
            whole, without = pair(safeguards, name, safeguard)
            first, changed = (step(method) for method in (whole, without))
            second, moved = (step(method, 2) for method in (whole, without))  # centres and slow teachers tell in the second step
            assert changed.loss.isfinite() and moved.loss.isfinite()
            assert (first.loss - changed.loss).abs() + (second.loss - moved.loss).abs() > 1e-6, (safeguard, name)


def test_without_a_slow_teacher_the_teacher_is_the_student(safeguards):
    whole, without = pair(safeguards, "ijepa", "slow-teacher")
    for method, same in ((whole, False), (without, True)):
        step(method)
        pairs = zip(method.teacher.encoder.parameters(), method.encoder.parameters(), strict=True)
        assert all(torch.equal(t, s) for t, s in pairs) is same


def test_without_negatives_the_loss_is_a_cosine_and_its_batch_may_be_cut(safeguards):
    _, without = pair(safeguards, "simclr", "negatives")
    images = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)).repeat(4, 1, 1, 1)
    without.eval()
    assert without(images / 255.0).loss.item() == pytest.approx(-1.0, abs=1e-5)  # the same picture twice agrees wholly
    assert "nt_xent" not in without.whole_batch


def test_without_me_max_the_term_is_gone_and_without_centring_the_centre_stays(safeguards):
    _, msn = pair(safeguards, "msn", "me-max")
    assert "me_max" not in step(msn).metrics
    whole, ibot = pair(safeguards, "ibot", "centring")
    for method in (whole, ibot):
        step(method)
    assert whole.target.cls_centre.abs().max() > 0 and ibot.target.cls_centre.abs().max() == 0


def test_a_safeguard_that_a_method_lacks_is_refused_with_those_that_have_it(safeguards):
    with pytest.raises(UserError, match="mae has no safeguard called centring, ibot, attmask have"):
        safeguards.take_out("centring", "mae", methods.create("mae", **SMALL))
    with pytest.raises(UserError, match="methods with a slow teacher"):
        safeguards.take_out("slow-teacher", "eva", methods.create("mae", **SMALL))
    with pytest.raises(UserError, match="unknown safeguard"):
        safeguards.take_out("magic", "mae", methods.create("mae", **SMALL))
