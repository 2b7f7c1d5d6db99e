"""SimCLR, MSN and ADIOS: what makes each of them itself, again in slow loops that share no code with it."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from helpers import N, calls, generator, raw
from torch import nn

from minimim.errors import UserError
from minimim.masking.learned import AdversarialMasking, Reversed, UNet, area_penalty
from minimim.methods import create
from minimim.norms import BatchNorm
from minimim.targets.balanced import BalancedPrototypes
from minimim.train import TrainConfig
from minimim.train.schedule import decay_groups
from minimim.train.step import Stepper, adamw

B = 4


def small(name, **more):
    torch.manual_seed(0)
    return create(name, image_size=16, patch_size=4, **more).train()


def cross(scores, right):
    """Cross-entropy of a list of scores against a number, or against probabilities."""
    top = max(scores)
    whole = top + math.log(sum(math.exp(s - top) for s in scores))
    if isinstance(right, int):
        return whole - scores[right]
    return sum(p * (whole - s) for p, s in zip(right, scores, strict=True))


def found(one, other, temperature):
    """SimCLR's loss of two sets of answers, (B, T) each: every one of the 2B looks for its partner among all but itself."""
    both = F.normalize(torch.cat([one, other]), dim=-1).double()
    total, rows = 0.0, len(both)
    for i in range(rows):
        others = [j for j in range(rows) if j != i]
        scores = [float(both[i] @ both[j]) / temperature for j in others]
        total += cross(scores, others.index((i + rows // 2) % rows))
    return total / rows


# SimCLR


def test_simclr_hides_nothing_and_compares_two_views_with_all_others():
    method = small("simclr")
    encoded, answered = calls(method.encoder), calls(method.decoder)
    output = method(raw(B), generator=generator())
    assert len(encoded) == 2 and not output.mask.any() and output.target is None and method.teacher is None
    assert not torch.equal(encoded[0][0][0]["image"], encoded[1][0][0]["image"])
    assert all(out.patches.shape == (B, N, 128) for _, out in encoded)
    one, other = (out["cls"].detach() for _, out in answered)
    assert output.loss.item() == pytest.approx(found(one, other, 0.1), rel=1e-5)


def test_simclr_learns_through_both_views_by_a_projector_with_batch_norm_on_the_hidden_layers_alone():
    method = small("simclr")
    answered = calls(method.decoder)
    output = method(raw(B), generator=generator())
    gradients = torch.autograd.grad(output.loss, [out["cls"] for _, out in answered], retain_graph=True)
    assert all(gradient.abs().sum() > 0 for gradient in gradients)
    layers = list(method.decoder.mlp)
    assert [type(layer) for layer in layers] == [nn.Linear, BatchNorm, nn.ReLU, nn.Linear, BatchNorm, nn.ReLU, nn.Linear]
    assert method.whole_batch == ["BatchNorm", "nt_xent"]


# MSN


def msn(**more):
    return small("msn", **{"prototypes": 8, "focal": 3, **more})


def test_msn_drops_patches_of_the_random_view_alone_and_the_teacher_sees_another_one_whole():
    method = msn()
    encoded, taught = calls(method.encoder), calls(method.teacher.encoder)
    method(raw(B), generator=generator())
    assert [out.patches.shape[1] for _, out in encoded] == [int(N * 0.85), 4, 4, 4]
    assert [len(args[0]["image"][0, 0]) for args, _ in encoded] == [16, 8, 8, 8]
    assert len(taught) == 1 and taught[0][1].patches.shape[1] == N
    assert not torch.equal(taught[0][0][0]["image"], encoded[0][0][0]["image"])


def shared_out(scores, temperature, iterations=3):
    """Sharpen, then Sinkhorn, in plain numbers."""
    shares = []
    for row in scores:
        weights = [math.exp((s - max(row)) / temperature) for s in row]
        shares.append([w / sum(weights) for w in weights])
    for _ in range(iterations):
        sums = [sum(column) for column in zip(*shares, strict=True)]
        shares = [[s / total for s, total in zip(row, sums, strict=True)] for row in shares]
        shares = [[s / sum(row) for s in row] for row in shares]
    return shares


def cosines(rows, prototypes):
    return (F.normalize(rows, dim=-1) @ F.normalize(prototypes, dim=-1).T).double().detach()


def test_msn_is_cross_entropy_with_sharpened_balanced_targets_and_the_entropy_of_the_mean_over_all_anchors():
    method = msn(me_max_weight=0.7)
    with torch.no_grad():  # a teacher that is not the student
        for p in method.teacher.encoder.parameters():
            p.add_(0.02 * torch.randn(p.shape))
    anchors, taught = calls(method.decoder.head), calls(method.teacher.decoder.head)
    output = method(raw(B), generator=generator())
    prototypes = method.decoder.prototypes.weight
    targets = shared_out(cosines(taught[0][1]["cls"], prototypes).tolist(), 0.025)
    assert len(anchors) == 4 and len(taught) == 1
    errors, mean = [], [0.0] * 8
    for _, out in anchors:
        scores = (cosines(out["cls"], prototypes) / 0.1).tolist()
        for row, target in zip(scores, targets, strict=True):
            errors.append(cross(row, target))
            mean = [m + math.exp(-cross(row, k)) / (4 * B) for k, m in enumerate(mean)]
    spread = math.log(8) + sum(m * math.log(m) for m in mean)
    assert output.metrics["cls"].item() == pytest.approx(sum(errors) / len(errors), rel=1e-4)
    assert output.metrics["me_max"].item() == pytest.approx(spread, rel=1e-4, abs=1e-6)
    assert output.loss.item() == pytest.approx(sum(errors) / len(errors) + 0.7 * spread, rel=1e-4)


def test_msn_targets_use_prototypes_alike():
    scores = torch.rand(32, 8, generator=generator()) * 0.2 + torch.tensor([0.5] + [0.0] * 7)
    seen = SimpleNamespace(streams={"cls": scores})
    plain, shared = (scores / 0.025).softmax(-1).sum(0), BalancedPrototypes(0.025, 100)(None, seen)["cls"]
    assert plain[0] > 31 and shared.sum(0).tolist() == pytest.approx([4.0] * 8, rel=1e-3)
    assert BalancedPrototypes()(None, seen)["cls"].sum(1).tolist() == pytest.approx([1.0] * 32)


def test_msn_prototypes_are_one_thing_for_student_and_teacher_and_learn_while_the_teacher_does_not():
    method = msn()
    assert method.teacher.decoder.prototypes is method.decoder.prototypes
    assert method.teacher.decoder.head.mlp[0].weight is not method.decoder.head.mlp[0].weight
    method(raw(B), generator=generator()).loss.backward()
    assert method.decoder.prototypes.weight.grad.abs().sum() > 0
    own = [p for p in method.teacher.parameters() if p is not method.decoder.prototypes.weight]
    assert all(p.grad is None and not p.requires_grad for p in own)
    weight = method.decoder.prototypes.weight.detach().clone()
    method.after_step(0.5)  # averages leave alone what is shared
    assert torch.equal(method.decoder.prototypes.weight, weight)


def test_msn_teachers_batch_norm_takes_its_own_batch_and_its_average_is_of_weights_alone():
    method = msn(momentum=(0.9, 0.9))
    norm = method.teacher.decoder.head.mlp[1]
    assert norm.training and not method.teacher.encoder.training
    student, teacher = method.encoder.blocks[0].mlp.fc1.weight, method.teacher.encoder.blocks[0].mlp.fc1.weight
    method(raw(B), generator=generator())
    buffers = norm.running_mean.clone()
    with torch.no_grad():
        student.add_(1)
    before = teacher.clone()
    method.after_step(0.5)
    torch.testing.assert_close(teacher, before + 0.1)
    assert torch.equal(norm.running_mean, buffers) and buffers.abs().sum() > 0
    assert not torch.equal(buffers, method.decoder.head.mlp[1].running_mean)
    assert not method.eval().teacher.decoder.head.mlp[1].training


def test_msn_clips_its_prototypes_by_themselves():
    groups = decay_groups(msn(), 0.05)
    players = {group.get("player"): group for group in groups}
    assert players["Prototypes"]["scale"] == 1.0 and len(players["Prototypes"]["params"]) in (0, 1)


# ADIOS


def adios(**more):
    return small("adios", **{"masks": 3, **more})


def test_adios_leaves_view_0_whole_and_shares_view_1_out_among_soft_masks():
    method = adios()
    encoded, painted = calls(method.encoder), calls(method.masking.painter)
    method(raw(B), generator=generator())
    assert len(encoded) == 4 and len(painted) == 1
    (image,), scores = painted[0]
    soft = scores.softmax(1)
    assert soft.shape == (B, 3, 16, 16)
    assert not torch.equal(encoded[0][0][0]["image"], image)  # the whole view is another crop, and nothing is hidden from it
    assert not encoded[0][0][1].hidden.any()
    total = 0
    for k in range(3):
        masked = encoded[1 + k][0][0]["image"]
        torch.testing.assert_close(masked, image * (1 - soft[:, k : k + 1]))
        assert len(encoded[1 + k][0]) == 1  # the encoder sees all places
        total = total + masked
    torch.testing.assert_close(total, 2 * image, rtol=0, atol=1e-5)  # masks sum to one


def test_adios_hidden_is_where_a_mask_is_the_strongest():
    masking = AdversarialMasking((16, 16), masks=3)
    masks = masking({"image": torch.randn(B, 3, 16, 16), "label": torch.arange(B)}, (4, 4), view=1)
    hidden = torch.stack([mask.hidden for mask in masks])
    assert hidden.shape == (3, B, N) and (hidden.sum(0) == 1).all()
    assert all(torch.equal(mask.inputs["label"], torch.arange(B)) for mask in masks)
    assert len(masking({"image": torch.randn(B, 3, 16, 16)}, (4, 4), view=0)) == 1
    with pytest.raises(UserError, match="two or more"):
        AdversarialMasking((16, 16), masks=1)


def test_adios_sums_simclrs_loss_over_masks_and_adds_the_penalty():
    method = adios(alpha=0.3)
    answered, painted = calls(method.decoder), calls(method.masking.painter)
    output = method(raw(B), generator=generator())
    whole, *masked = (out["cls"].detach() for _, out in answered)
    contrast = sum(found(whole, one, 0.2) for one in masked)
    areas = painted[0][1].detach().softmax(1).mean((2, 3))  # (B, 3)
    penalty = sum(1 / (math.sin(math.pi * float(a)) + 1e-4) / B for a in areas.flatten())
    assert output.metrics["penalty"].item() == pytest.approx(0.3 * penalty, rel=1e-4)
    assert output.loss.item() == pytest.approx(contrast + 0.3 * penalty, rel=1e-4)


def descended(method, rate):
    """The contrast and the penalty of one batch, before and after a step down the gradient of the U-Net alone."""
    told = []
    for _ in range(2):
        output = method(raw(16), generator=generator())
        told.append((output.metrics["cls"].item(), output.metrics["penalty"].item()))
        if len(told) == 1:
            output.loss.backward()
            with torch.no_grad():
                for p in method.masking.parameters():
                    p -= rate * p.grad
    return told


def test_a_step_of_the_masker_makes_the_contrast_harder():
    (before, _), (after, _) = descended(adios(alpha=1e-9), 0.3)
    assert after > before + 1e-4


def test_a_step_of_the_masker_makes_the_penalty_smaller():
    (_, before), (_, after) = descended(adios(alpha=100.0), 1e-4)
    assert after < before - 1e-2


def test_the_encoder_has_the_gradient_of_the_contrast_as_it_is():
    method = adios()
    x = raw(16)
    output = method(x, generator=generator())
    output.loss.backward()
    with torch.no_grad():
        for p in [*method.encoder.parameters(), *method.decoder.parameters()]:
            if p.grad is not None:
                p -= 2e-3 * p.grad
    assert method(x, generator=generator()).metrics["cls"] < output.metrics["cls"] - 1e-3


def test_the_masker_gets_the_opposite_of_the_contrasts_own_gradient_and_the_penaltys_as_it_is(monkeypatch):
    def gradient(alpha):
        method = adios(alpha=alpha)
        method(raw(B), generator=generator()).loss.backward()
        return torch.cat([p.grad.flatten() for p in method.masking.parameters()]).double()

    none, all_of_it = gradient(1e-12), gradient(5.0)
    monkeypatch.setattr(Reversed, "backward", staticmethod(lambda ctx, g: g))
    torch.testing.assert_close(none, -gradient(1e-12), rtol=1e-3, atol=1e-7)
    plain, both = gradient(1e-12), gradient(5.0)
    torch.testing.assert_close(all_of_it - none, both - plain, rtol=1e-2, atol=1e-5)  # the penalty's part


@pytest.mark.parametrize("area, least", [(0.5, 1.0), (0.25, math.sqrt(2)), (0.75, math.sqrt(2))])
def test_the_penalty_is_least_at_half_the_image(area, least):
    assert area_penalty(torch.full((2, 4, 4), area)).item() == pytest.approx(least, rel=1e-3)


@pytest.mark.parametrize("area", [0.0, 1.0])
def test_the_penalty_of_an_empty_or_a_full_mask_is_large_and_its_gradient_finite(area):
    soft = torch.full((2, 4, 4), area, requires_grad=True)
    penalty = area_penalty(soft)
    penalty.backward()
    assert 1000 < penalty < 2e4 and soft.grad.isfinite().all()


def test_the_masker_is_a_player_of_its_own():
    method = adios(masker_lr=0.5)
    own = {id(p) for p in method.masking.parameters()}
    groups = [group for group in decay_groups(method, 0.05) if group.get("player") == "AdversarialMasking"]
    assert {id(p) for group in groups for p in group["params"]} == own and all(group["scale"] == 0.5 for group in groups)
    config = TrainConfig(batch_size=B, lr=1.0, device="cpu")
    step = Stepper(method, adamw(method, config), config, 10)
    before = [p.detach().clone() for p in method.masking.parameters()]
    told = step(0, [raw(B)])
    assert told["grad_norm AdversarialMasking"] > 0 and told["grad_norm"] > 0
    assert all(not torch.equal(p, b) for p, b in zip(method.masking.parameters(), before, strict=True))


@pytest.mark.parametrize("built, given", [((16, 16), (16, 16)), ((32, 48), (32, 48)), ((16, 16), (32, 24)), ((20, 28), (20, 28)), ((4, 4), (4, 4))])
def test_a_unet_answers_for_each_pixel_of_images_of_any_size(built, given):
    net = UNet(built, 3, 5, width=8)
    assert net(torch.randn(2, 3, *given)).shape == (2, 5, *given)


def test_a_unet_is_halved_down_to_4_pixels_or_7_of_224():
    assert len(UNet((32, 32), 3, 4).down) == 4 and UNet((32, 32), 3, 4).coarsest == (4, 4)
    assert len(UNet((64, 64), 3, 4).down) == 5 and UNet((224, 224), 3, 4, width=8).coarsest == (7, 7)


def test_adios_projector_has_one_hidden_layer_and_batch_norm_only_where_it_is_asked():
    kinds = {norm: [type(layer) for layer in adios(batch_norm=norm).decoder.mlp] for norm in (True, False)}
    assert kinds == {True: [nn.Linear, BatchNorm, nn.ReLU, nn.Linear], False: [nn.Linear, nn.ReLU, nn.Linear]}
    assert adios(batch_norm=False).whole_batch == ["nt_xent"]


# All three


@pytest.mark.parametrize("name", ["simclr", "msn", "adios"])
def test_a_few_steps_on_the_same_images_bring_the_loss_down_and_leave_answers_apart(name):
    more = {"msn": {"prototypes": 16, "focal": 1}, "adios": {"masks": 2}}.get(name, {})
    method = small(name, crop_scale=(0.6, 1.0), **more)
    config = TrainConfig(batch_size=16, lr=0.016, warmup=0.0, device="cpu", clip=3.0)
    step = Stepper(method, adamw(method, config), config, 100)
    method.views.colour = None  # it is quick where views are not too unlike
    losses = [float(step(number, [raw(16)])["cls" if name == "adios" else "loss"]) for number in range(16)]
    assert sum(losses[-4:]) < 0.93 * sum(losses[:4])
    features = method.eval().encoder.features(raw(16))
    assert features.std(0).mean() > 0.05
