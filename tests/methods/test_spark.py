"""SparK: what is visible, what is scored, what learns, and that hidden pixels move no prediction."""

import pytest
import torch
from helpers import build, generator, images, raw

import minimim
from minimim.config import TrainConfig
from minimim.data import Images
from minimim.diagnose import leak
from minimim.encoders import ConvNet
from minimim.errors import UserError
from minimim.methods import create
from minimim.patches import unpatchify
from minimim.train import train

KINDS = ["convnext", "resnet"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("image_size", [16, 32, (64, 96)])
def test_a_step_teaches_everything_that_can_learn(kind, image_size):
    method = build("spark", encoder=kind, image_size=image_size)
    assert isinstance(method.encoder, ConvNet) and method.encoder.kind == kind and method.teacher is None
    height, width = method.spec["image_size"]
    x = torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8)
    output = method(x, generator=generator())
    output.loss.backward()
    places = height * width // 16
    assert output.prediction.shape == output.target.shape == (2, places, 48)
    assert torch.all((~output.mask).sum(1) == int(places * 0.4)) and not torch.equal(output.mask[0], output.mask[1])
    assert output.loss.isfinite()
    assert all(p.requires_grad and p.grad is not None and p.grad.isfinite().all() and p.grad.abs().sum() > 0 for p in method.parameters())


def test_the_loss_is_the_squared_error_of_hidden_cells_with_their_own_mean_and_spread_taken_out():
    method = build("spark").eval()
    x = images()
    output = method(x, generator=generator())
    total, count = 0.0, 0
    for b in range(3):
        for n in range(16):
            if output.mask[b, n]:
                r, c = n // 4 * 4, n % 4 * 4
                cell = x[b, :, r : r + 4, c : c + 4].permute(1, 2, 0).flatten()
                wanted = (cell - cell.mean()) / (cell.var(correction=1) + 1e-6).sqrt()
                total, count = total + float((output.prediction[b, n].detach() - wanted).square().mean()), count + 1
    assert count == 3 * 10 and float(output.loss) == pytest.approx(total / count, rel=1e-5)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_hidden_pixels_move_no_prediction(kind, training):
    method = build("spark", encoder=kind, crop_scale=None).train(training)
    method.views.flip = False
    x = images()
    output = method(x, generator=generator())
    pixels = unpatchify(output.mask.unsqueeze(-1).expand(-1, -1, 48).float(), 4, (4, 4)).bool()  # (B, C, H, W)
    other = build("spark", encoder=kind, crop_scale=None).train(training)
    other.views.flip = False
    again = other(torch.where(pixels, 100.0, x), generator=generator())
    assert torch.equal(again.mask, output.mask) and torch.equal(again.prediction, output.prediction)


@pytest.mark.parametrize("name, more", [("spark", {}), ("spark", {"encoder": "resnet"}), ("simmim", {"encoder": "swin"})])
def test_diagnosis_finds_no_leak(name, more):
    verdict = leak(build(name, **more), raw(8))
    assert verdict.numbers["moved"] == 0 and verdict.numbers["visible_credit"] == 0 and verdict.healthy, str(verdict)


@pytest.mark.parametrize("name, more", [("spark", {}), ("spark", {"encoder": "resnet"}), ("simmim", {"encoder": "swin"})])
def test_what_is_saved_is_loaded_with_its_statistics(tmp_path, name, more):
    method = create(name, image_size=16, **more)
    train(method, Images(raw(16)), TrainConfig(epochs=2, batch_size=8, device="cpu"), bar=False)
    minimim.save(tmp_path / "it.safetensors", method)
    again = minimim.load(tmp_path / "it.safetensors")
    ours, theirs = method.state_dict(), again.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours) and again.spec == method.spec
    assert torch.equal(method.eval().encoder.features(raw()), again.eval().encoder.features(raw()))


def test_its_defaults_are_the_papers():
    for kind, last in (("convnext", 0.999), ("resnet", 0.95)):
        config = create("spark", encoder=kind).defaults
        assert (config.lr, config.betas, config.clip, config.weight_decay, config.weight_decay_end) == (2e-4, (0.9, last), 5.0, 0.04, 0.2)
    method = create("spark", image_size=224, patch_size=32, size="tiny")
    assert method.encoder.widths == [96, 192, 384, 768] and method.decoder.climbs[0].up.in_channels == 128
    assert create("spark", decoder_dim=32).decoder.climbs[0].up.in_channels == 32
    assert [b.drop_path.rate for b in create("spark", drop_path=0.3).encoder.blocks] == pytest.approx([0, 0.1, 0.2, 0.3])


def test_it_is_refused_where_it_would_be_another_method():
    with pytest.raises(UserError, match="BatchNorm of this method looks at all images of a batch at once"):
        train(build("spark"), Images(raw(16)), TrainConfig(epochs=1, batch_size=8, accumulate=2, device="cpu"), bar=False)
    with pytest.raises(UserError, match="unknown encoder 'resnext'"):
        create("spark", encoder="resnext")
    with pytest.raises(UserError, match="patch_size must be even, not 5"):
        create("spark", image_size=20, patch_size=5)
