"""ColorMAE, AttMask and SemMAE: what makes each of them itself."""

import pytest
import torch
from helpers import build, calls, generator, images, raw

from minimim.config import TrainConfig
from minimim.data import scenes
from minimim.methods import create
from minimim.methods.masking_strategy import attmask, colormae, semmae
from minimim.train import train


def other_weights(module, seed=1):
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.randn(p.shape, generator=generator(seed)))


def test_colormae_is_an_mae_but_for_what_is_hidden():
    torch.manual_seed(0)
    mae = create("mae", image_size=16)
    torch.manual_seed(0)
    method = create("colormae", image_size=16)
    assert {n: p.shape for n, p in method.named_parameters()} == {n: p.shape for n, p in mae.named_parameters()}
    x, masks = images(), []
    method.masking.register_forward_hook(lambda module, args, output: masks.append(output))
    loss = method.eval()(x, generator=generator()).loss
    mae.masking.forward = lambda *args, **more: masks[0]
    torch.testing.assert_close(mae.eval()(x).loss, loss)
    assert method.masking.colour == "green" and method.teacher is None


def test_colormae_does_not_look_at_the_image():
    method = build("colormae", colour="blue").eval()
    one, other = (method(images(seed=seed), generator=generator(4)).mask for seed in (0, 1))
    assert torch.equal(one, other)


def most_attended(method, view, inputs):
    """Patches by the teacher's last CLS attention to the whole image, the most attended first: (B, N)."""
    with torch.no_grad():
        attention = method.teacher.encoder(inputs, want="attention").attention
    return attention[:, :, 0, 1:].mean(dim=1).argsort(dim=1, descending=True)


def test_attmask_hides_from_each_view_what_the_teacher_attends_to_in_that_view():
    method, masks = build("attmask").train(), []
    other_weights(method.teacher)  # so that it attends to something
    method.masking.register_forward_hook(lambda module, args, output: masks.append((args[0], output[0])))
    method(raw(16), generator=generator())
    assert len(masks) == 2
    for view, (inputs, mask) in enumerate(masks):
        order, counts = most_attended(method, view, inputs), mask.hidden.sum(dim=1)
        assert 0 < (counts > 0).sum() < 16 and len(set(counts.tolist()) - {0}) == 1  # some whole, the others alike
        for b in range(16):
            assert set(mask.hidden[b].nonzero().flatten().tolist()) == set(order[b, : counts[b]].tolist())
    assert not torch.equal(masks[0][0]["image"], masks[1][0]["image"])


def test_attmasks_masks_come_from_the_teacher_and_not_from_the_student_and_carry_no_gradient():
    method = build("attmask").train()
    other_weights(method.teacher)
    before = method(raw(8), generator=generator()).mask
    other_weights(method.encoder, seed=2)
    after = method(raw(8), generator=generator())
    assert torch.equal(before, after.mask)
    after.loss.backward()
    assert all(p.grad is None for p in method.teacher.parameters())
    assert method.encoder.mask_token.grad.abs().sum() > 0


def test_attmasks_patch_loss_counts_hidden_patches_and_the_teacher_sees_all():
    method = build("attmask").train()
    seen = calls(method.teacher.encoder)
    method(raw(8), generator=generator())
    assert len(seen) == 2 and all(len(args) == 1 and out.patches.shape[1] == 16 for args, out in seen)  # once a view, no mask
    assert [(term.stream, term.on, term.pair) for term in method.terms] == [("patch", "scored", "same"), ("cls", "all", "other")]


def test_attmask_is_an_ibot_but_for_what_is_hidden():
    method, ibot = create("attmask", image_size=16), create("ibot", image_size=16)
    assert {n: p.shape for n, p in method.named_parameters()} == {n: p.shape for n, p in ibot.named_parameters()}
    assert method.defaults == ibot.defaults and method.teacher.momentum == (0.996, 1.0)


def test_semmae_goes_from_inside_parts_to_whole_parts_of_what_the_teachers_heads_look_at():
    method = build("semmae").eval()
    other_weights(method.teacher)
    x = images(batch=12)
    with torch.no_grad():
        attention = method.teacher.encoder(x, want="attention").attention[:, :, 0, 1:]  # (B, heads, N)
    part = (attention / attention.sum(-1, keepdim=True)).argmax(dim=1)  # (B, N)
    for progress, most in ((0.0, None), (1.0, 1)):
        hidden = method(x, progress=progress, generator=generator()).mask
        assert torch.all(hidden.sum(dim=1) == 12)
        for b in range(12):
            sizes = [int((part[b] == head).sum()) for head in range(4)]
            counts = [int((hidden[b] & (part[b] == head)).sum()) for head in range(4)]
            if most is None:
                assert all(abs(count - 0.75 * size) <= 2 for count, size in zip(counts, sizes, strict=True))
            else:
                assert sum(count not in (0, size) for count, size in zip(counts, sizes, strict=True)) <= most


def test_semmaes_teacher_follows_slowly_and_takes_no_part_in_the_loss():
    method = build("semmae")
    before = {n: p.clone() for n, p in method.teacher.named_parameters()}
    other_weights(method.encoder)
    method.after_step(0.0)
    for (name, mine), student in zip(method.teacher.encoder.named_parameters(), method.encoder.parameters(), strict=True):
        if student.requires_grad:
            torch.testing.assert_close(mine, 0.999 * before[f"encoder.{name}"] + 0.001 * student, atol=1e-6, rtol=1e-4)
    method(raw(), generator=generator()).loss.backward()
    assert all(p.grad is None for p in method.teacher.parameters())


def test_semmae_with_true_parts_needs_no_teacher_but_the_segmentation_and_cuts_it_as_it_cuts_the_image():
    method = create("semmae", image_size=16, parts="truth")
    assert method.teacher is None and method.needs == ("segmentation",)
    seen = []
    method.masking.register_forward_hook(lambda module, args, output: seen.append((args[0], output[0])))
    levels = torch.randint(0, 2, (8, 16, 16), generator=generator(), dtype=torch.uint8)
    inputs = {"image": (levels * 255).unsqueeze(1).expand(-1, 3, -1, -1).contiguous(), "segmentation": levels}
    method.train()(inputs, progress=1.0, generator=generator())
    view, mask = seen[0]
    bright = view["image"][:, 0] > 0
    assert (bright == view["segmentation"].bool()).float().mean() > 0.8  # but for what is mixed at borders
    assert torch.all(mask.hidden.sum(dim=1) == 12)


@pytest.mark.parametrize(("name", "more"), [("colormae", {"colour": "purple"}), ("attmask", {"kind": "hint"}), ("semmae", {"parts": "truth"})])
def test_they_train_on_scenes_with_their_options(name, more):
    method = create(name, image_size=16, **more)
    config = TrainConfig(epochs=3, batch_size=4, device="cpu", log_every=1, precision="bf16")
    run = train(method, scenes("train", 8, image_size=16), config, bar=False)
    assert all(line["loss"] > 0 for line in run.history if "loss" in line)


def test_options_arrive():
    assert colormae((16, 16), 4, "micro", colour="red", widths=(0.5, 1.0)).masking.widths == (0.5, 1.0)
    assert attmask((16, 16), 4, "micro", kind="low", mask_ratio=(0.2, 0.3)).masking.ratio == (0.2, 0.3)
    assert semmae((16, 16), 4, "micro", momentum=(0.9, 0.99)).teacher.momentum == (0.9, 0.99)
