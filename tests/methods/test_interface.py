"""The interface carries methods that nobody has written yet, I: what is hidden, and from what. Fakes of a few lines."""

import pytest
import torch
from helpers import N, calls, generator, images, mean_over
from torch import nn

from minimim.data.views import RandomViews
from minimim.decoders import LinearDecoder, Together, TransformerDecoder
from minimim.encoders import Encoded, ViT
from minimim.losses import Term, l1, l2
from minimim.masking import Mask, RandomMasking, mask_by_noise
from minimim.methods import Method, reconstruction
from minimim.patches import patchify, unpatchify
from minimim.targets import Pixels

GRID = (4, 4)  # of 16×16 images in patches of 4


def vit(**more):
    return ViT(16, 4, "micro", **more)


def same_views():
    return RandomViews((16, 16)).eval()


# An adversary that learns what to hide (ADIOS, AutoMAE, AMT)


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return -gradient


class Adversary(nn.Module):
    """Covers patches by a learnt amount; what is good for the loss is bad for it, except for its own penalty."""

    def __init__(self, penalty=0.0):
        super().__init__()
        self.judge, self.weight = nn.Linear(48, 1), penalty

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0):
        patches = patchify(inputs["image"], 4)
        cover = self.judge(patches).sigmoid()  # (B, N, 1)
        seen = unpatchify((1 - Reversed.apply(cover)) * patches, 4, grid)
        hidden = torch.ones(cover.shape[:2], dtype=torch.bool)
        return [Mask(hidden, inputs={"image": seen}, penalty=self.weight * (cover.mean() - 0.5) ** 2)]


def adversarial(penalty):
    torch.manual_seed(0)  # the same start each time
    encoder, masking = vit(cls=False), Adversary(penalty)
    method = reconstruction(
        views=same_views(), masking=masking, encoder=encoder, decoder=LinearDecoder(128, 48), target=Pixels(4)
    )
    return method.double()


def moved(module, step):
    """Take a step of plain gradient descent on one module."""
    with torch.no_grad():
        for p in module.parameters():
            if p.requires_grad:
                p -= step * p.grad


def test_descent_lowers_the_loss_for_the_encoder_and_raises_it_for_an_adversary():
    for part, sign in (("encoder", -1), ("masking", 1)):
        method, x = adversarial(penalty=0.0), images().double()
        before = method(x).loss
        before.backward()
        module = method.get_submodule(part)
        slope = sum(float((p.grad**2).sum()) for p in module.parameters() if p.requires_grad)
        step = 1e-4 / slope
        moved(module, step)
        change = float(method(x).loss.detach() - before.detach())
        assert change == pytest.approx(sign * step * slope, rel=0.05), part


def test_a_penalty_joins_the_loss_and_its_gradient_is_not_reversed():
    x = images().double()
    free, held = adversarial(penalty=0.0), adversarial(penalty=100.0)
    for method in (free, held):
        method.masking.judge.bias.data.fill_(1.0)
        method(x).loss.backward()
    cover = held.masking.judge(patchify(x, 4)).sigmoid()
    penalty = 100 * (cover.mean() - 0.5) ** 2
    torch.testing.assert_close(held(x).loss - free(x).loss, penalty)
    (by_penalty,) = torch.autograd.grad(penalty, held.masking.judge.weight)
    torch.testing.assert_close(held.masking.judge.weight.grad - free.masking.judge.weight.grad, by_penalty)
    assert torch.equal(held.encoder.norm.weight.grad, free.encoder.norm.weight.grad)
    assert "masking.judge.weight" in dict(held.named_parameters())  # so that an optimiser finds it


# Two modalities (MultiMAE)


class TwoEyes(nn.Module):
    """Reads colour and depth, patch by patch, with the same places hidden in both."""

    def __init__(self):
        super().__init__()
        self.colour, self.depth = vit(cls=False), vit(cls=False, channels=1)
        self.grid = self.colour.grid

    def forward(self, inputs, mask=None, want=()):
        colour, depth = self.colour(inputs["image"], mask), self.depth(inputs["depth"], mask)
        return Encoded(colour.patches + depth.patches, grid=colour.grid)


class BothPixels(nn.Module):
    def forward(self, content, teacher=None, mask=None, progress=0.0):
        return {name: patchify(x, 4) for name, x in content.items()}


def two_modalities():
    sizes = {"dim": 32, "depth": 1, "heads": 2}
    colour, depth = (TransformerDecoder(128, width, GRID, **sizes) for width in (48, 16))
    return Method(
        views=same_views(),
        masking=RandomMasking(0.75),
        encoder=TwoEyes(),
        decoder=Together(image=colour, depth=depth),
        target=BothPixels(),
        terms=[Term("image", l2), Term("depth", l1, weight=0.5, on="all")],
    )


def test_two_modalities_are_two_streams_and_two_terms():
    method, pair = two_modalities(), {"image": images(), "depth": images(channels=1, seed=1)}
    answers = calls(method.decoder)
    output = method(pair, generator=generator())
    prediction = answers[0][1]
    colour = (prediction["image"] - patchify(pair["image"], 4)).square().mean(-1)
    depth = (prediction["depth"] - patchify(pair["depth"], 4)).abs().mean(-1)
    expected = mean_over(colour, output.mask), mean_over(depth, torch.ones(3, N, dtype=torch.bool))
    assert output.metrics["image"].item() == pytest.approx(expected[0], rel=1e-5)
    assert output.metrics["depth"].item() == pytest.approx(expected[1], rel=1e-5)
    assert output.loss.item() == pytest.approx(expected[0] + 0.5 * expected[1], rel=1e-5)


def test_each_modality_teaches_both_eyes_and_hides_its_hidden_pixels():
    pair = {"image": images().requires_grad_(), "depth": images(channels=1, seed=1).requires_grad_()}
    method = two_modalities()
    answers = calls(method.decoder)
    output = method(pair, generator=generator())
    for stream in ("image", "depth"):
        gradients = torch.autograd.grad(answers[0][1][stream].sum(), list(pair.values()), retain_graph=True)
        for gradient in gradients:
            touched = patchify(gradient, 4).abs().sum(-1) > 0  # (B, N)
            assert torch.equal(touched, ~output.mask)


def test_modalities_are_cropped_and_mirrored_together():
    views = RandomViews((16, 16), scale=(0.2, 1.0)).train()
    x = images(8)
    (view,) = views({"image": x, "depth": x[:, :1]}, generator()).student
    assert torch.equal(view["depth"], view["image"][:, :1]) and not torch.allclose(view["image"], x)


class OneSequence(nn.Module):
    """Colour patches and then depth patches in one row of 2N tokens: each modality has hidden places of its own."""

    def __init__(self):
        super().__init__()
        self.colour, self.depth = nn.Linear(48, 8), nn.Linear(16, 8)

    def grid(self, inputs):
        return 2 * GRID[0], GRID[1]

    def forward(self, inputs, mask=None, want=()):
        tokens = torch.cat([self.colour(patchify(inputs["image"], 4)), self.depth(patchify(inputs["depth"], 4))], dim=1)
        return Encoded(torch.where(mask.hidden.unsqueeze(-1), 0.0, tokens).cumsum(1), grid=self.grid(inputs))


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.colour, self.depth = nn.Linear(8, 48), nn.Linear(8, 16)

    def forward(self, encoded, mask=None, question=None):
        return {"image": self.colour(encoded.patches[:, :N]), "depth": self.depth(encoded.patches[:, N:])}


def test_modalities_can_be_hidden_and_scored_each_in_its_own_places():
    method = Method(
        views=same_views(),
        masking=RandomMasking(0.75),
        encoder=OneSequence(),
        decoder=TwoHeads(),
        target=BothPixels(),
        terms=[
            Term("image", l2, on=lambda mask: mask.hidden[:, :N]),
            Term("depth", l2, on=lambda mask: mask.hidden[:, N:]),
        ],
    )
    answers = calls(method.decoder)
    pair = {"image": images(), "depth": images(channels=1, seed=1)}
    output = method(pair, generator=generator())
    assert not torch.equal(output.mask[:, :N], output.mask[:, N:])
    for stream, part in (("image", slice(0, N)), ("depth", slice(N, 2 * N))):
        errors = (answers[0][1][stream] - patchify(pair[stream], 4)).square().mean(-1)
        assert output.metrics[stream].item() == pytest.approx(mean_over(errors, output.mask[:, part]), rel=1e-5)


# A corrupted input (CIM; blur, noise, low-pass)


class Blur(nn.Module):
    """Half of the patches lose their detail; nothing is taken away."""

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0):
        mask = mask_by_noise(torch.rand(len(inputs["image"]), N, generator=generator), 8)
        patches = patchify(inputs["image"], 4)
        flat = patches.mean(-1, keepdim=True).expand_as(patches)
        mask.inputs = {"image": unpatchify(torch.where(mask.hidden.unsqueeze(-1), flat, patches), 4, grid)}
        return [mask]


def test_a_corrupted_image_is_seen_whole_and_compared_with_the_clean_one():
    method = reconstruction(
        views=same_views(),
        masking=Blur(),
        encoder=vit(hidden="token"),
        decoder=TransformerDecoder(128, 48, GRID, dim=32, depth=1, heads=2),
        target=Pixels(4),
    )
    seen, x = calls(method.encoder), images()
    output = method(x, generator=generator())
    (inputs, *more), encoded = seen[0]
    assert more == [] and encoded.patches.shape == (3, N, 128)  # no mask: every place is a place to look at
    changed = (patchify(inputs["image"], 4) != patchify(x, 4)).any(-1)
    assert torch.equal(changed, output.mask)
    errors = (output.prediction - patchify(x, 4)).square().mean(-1)
    assert output.loss.item() == pytest.approx(mean_over(errors, output.mask), rel=1e-5)
    output.loss.backward()
    assert method.encoder.mask_token.grad is None
