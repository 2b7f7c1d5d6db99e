"""The loss of each recipe again, by a slow loop over samples and patches that shares no code with it."""

import math

import pytest
import torch
from helpers import N, build, calls, generator, raw

from minimim.data.views import normalize


def pixel(images, b, n, p, q, c, patch=4):
    """One number of the patch layout, straight from the image."""
    row, col = divmod(n, images.shape[-1] // patch)
    return float(images[b, c, row * patch + p, col * patch + q])


def content(images, b, n):
    """The 48 numbers of a patch."""
    return [pixel(images, b, n, p, q, c) for p in range(4) for q in range(4) for c in range(3)]


@pytest.mark.parametrize("normalize_target", [True, False])
def test_mae_is_the_mean_square_over_hidden_patches(normalize_target):
    method = build("mae", normalize_target=normalize_target).double().eval()
    x = normalize(raw()).double()
    output = method(x, generator=generator())
    errors = []
    for b in range(4):
        for n in range(N):
            if output.mask[b, n]:
                target = content(x, b, n)
                if normalize_target:
                    mean = sum(target) / 48
                    variance = sum((v - mean) ** 2 for v in target) / 47
                    target = [(v - mean) / math.sqrt(variance + 1e-6) for v in target]
                guess = output.prediction[b, n].tolist()
                errors.append(sum((g - t) ** 2 for g, t in zip(guess, target, strict=True)) / 48)
    assert len(errors) == 48 and output.loss.item() == pytest.approx(sum(errors) / 48, rel=1e-12)


def test_simmim_is_the_mean_absolute_error_over_hidden_patches():
    method = build("simmim").double().eval()
    x = normalize(raw()).double()
    output = method(x, generator=generator())
    errors = []
    for b in range(4):
        for n in range(N):
            if output.mask[b, n]:
                guess = output.prediction[b, n].tolist()
                errors.append(sum(abs(g - t) for g, t in zip(guess, content(x, b, n), strict=True)) / 48)
    assert len(errors) == 40 and output.loss.item() == pytest.approx(sum(errors) / 40, rel=1e-12)


def standard(values, eps=1e-5):
    """Layer norm without parameters, of a list of numbers."""
    mean = sum(values) / len(values)
    variance = sum((v - mean) ** 2 for v in values) / len(values)
    return [(v - mean) / math.sqrt(variance + eps) for v in values]


def test_data2vec_predicts_the_mean_of_the_teachers_last_layers():
    method = build("data2vec", layers=3).double().eval()
    with torch.no_grad():
        for p in method.teacher.encoder.blocks.parameters():
            p.add_(0.05 * torch.randn(p.shape))
    x = normalize(raw(2)).double()
    blocks = [calls(block) for block in method.teacher.encoder.blocks]
    output = method(x, generator=generator())
    assert torch.equal(method.teacher.encoder.norm.weight, torch.ones(128).double())
    outputs = [seen[0][1][:, 1:] for seen in blocks]  # (B, N, D) after each block
    errors = []
    for b in range(2):
        for n in range(N):
            layers = [standard(layer[b, n].tolist()) for layer in outputs[-3:]]
            target = standard([sum(values) / 3 for values in zip(*layers, strict=True)])
            assert output.target[b, n].tolist() == pytest.approx(target, abs=1e-4)
            if output.mask[b, n]:
                gaps = [abs(g - t) for g, t in zip(output.prediction[b, n].tolist(), target, strict=True)]
                errors.append(sum(g - 1.0 if g > 2 else g * g / 4 for g in gaps) / 128)  # beta = 2
    assert output.loss.item() == pytest.approx(sum(errors) / len(errors), rel=1e-4)


def log_softmax(scores):
    top = max(scores)
    total = math.log(sum(math.exp(s - top) for s in scores))
    return [s - top - total for s in scores]


def test_ibot_compares_patches_with_the_same_view_and_cls_with_the_other():
    method = build("ibot", prototypes=6).double()
    method.views.jitter = 0.0
    method.target.patch_centre.normal_()
    method.target.cls_centre.normal_()
    centres = {name: method.target.get_buffer(f"{name}_centre").tolist() for name in ("patch", "cls")}
    student, teacher = calls(method.decoder), calls(method.teacher.decoder)
    output = method(normalize(raw(6)).double(), progress=0.15, generator=generator())
    temperature = 0.055  # half of the way from 0.04 to 0.07, which takes 0.3 of the run
    assert len(student) == len(teacher) == 2

    def error(stream, view, other, place):
        scores = teacher[other][1][stream][place].tolist()
        target = log_softmax([(s - c) / temperature for s, c in zip(scores, centres[stream], strict=True)])
        guess = log_softmax([s / 0.1 for s in student[view][1][stream][place].tolist()])
        return -sum(math.exp(t) * g for t, g in zip(target, guess, strict=True))

    hidden = [student[view][0][1].hidden for view in range(2)]
    empty = [int((~h.any(1)).sum()) for h in hidden]
    assert 0 < sum(empty) < 12  # some views are masked, some are not
    patch = [error("patch", v, v, (b, n)) for v in range(2) for b in range(6) for n in range(N) if hidden[v][b, n]]
    cls = [error("cls", v, 1 - v, b) for v in range(2) for b in range(6)]
    assert output.metrics["patch"].item() == pytest.approx(sum(patch) / len(patch), rel=1e-9)
    assert output.metrics["cls"].item() == pytest.approx(sum(cls) / 12, rel=1e-9)
    assert output.loss.item() == pytest.approx(sum(patch) / len(patch) + sum(cls) / 12, rel=1e-9)


def test_ibot_without_a_masked_view_still_has_its_cls_loss():
    method = build("ibot", prototypes=6)
    method.masking.chance = 0.0
    output = method(raw(), generator=generator())
    assert not output.mask.any() and output.metrics["patch"] == 0
    torch.testing.assert_close(output.loss, output.metrics["cls"], check_dtype=False)


def test_hpm_learns_which_of_two_hidden_patches_is_harder():
    method = build("hpm").double().eval()
    x = normalize(raw()).double()
    answers = calls(method.decoder)
    output = method(x, progress=0.5, generator=generator())
    difficulty = answers[0][1]["difficulty"].squeeze(-1)
    total, count, painted = 0.0, 0, []
    for b in range(4):
        hidden = output.mask[b].nonzero().flatten().tolist()
        error = {}
        for n in hidden:
            target = content(x, b, n)
            mean = sum(target) / 48
            spread = math.sqrt(sum((v - mean) ** 2 for v in target) / 47 + 1e-6)
            guess = output.prediction[b, n].tolist()
            error[n] = sum((g - (t - mean) / spread) ** 2 for g, t in zip(guess, target, strict=True)) / 48
        painted += error.values()
        for i in hidden:
            for j in hidden:
                if i != j:
                    lead = (difficulty[b, i] - difficulty[b, j]).item()
                    total += math.log1p(math.exp(-lead if error[i] > error[j] else lead))
                    count += 1
    assert output.metrics["patch"].item() == pytest.approx(sum(painted) / len(painted), rel=1e-9)
    assert output.metrics["difficulty"].item() == pytest.approx(total / count, rel=1e-9)
    assert output.loss.item() == pytest.approx(sum(painted) / len(painted) + total / count, rel=1e-9)


def test_hpm_judges_what_was_painted_but_does_not_bend_the_painting():
    method = build("hpm")
    method.terms[0].weight = 0.0
    method(raw(), generator=generator()).loss.backward()
    painter, judge = method.decoder.decoders["patch"], method.decoder.decoders["difficulty"]
    assert all(p.grad is None or not p.grad.any() for p in painter.parameters())
    assert judge.pred.weight.grad.abs().max() > 0


def test_hpm_hides_more_and_more_of_what_its_teacher_finds_hardest():
    method, x = build("hpm", hardest=0.5).eval(), normalize(raw(64))
    answers = calls(method.teacher.decoder)
    shares = []
    for progress in (0.0, 0.25, 0.5, 0.75, 1.0):
        output = method(x, progress=progress, generator=generator())
        difficulty = answers[-1][1]["difficulty"].squeeze(-1)  # (B, N)
        chosen = int(12 * 0.5 * progress)
        hardest = difficulty.argsort(dim=1, descending=True)[:, :6]
        assert torch.all(output.mask.gather(1, hardest)[:, :chosen]) and torch.all(output.mask.sum(1) == 12)
        shares.append(float(output.mask.gather(1, hardest).float().mean()))
    assert shares == sorted(shares) and shares[-1] == 1.0 and 0.65 < shares[0] < 0.85
