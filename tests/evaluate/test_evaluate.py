"""Is it any good? One protocol, which the test set has no part in, against slow and independent solutions."""

import math

import pytest
import torch
from helpers import build, generator, toy

from minimim.data import Images
from minimim.diagnose import effective_rank
from minimim.encoders import ViT
from minimim.errors import UserError
from minimim.evaluate import (
    FinetuneConfig,
    OfficialConfig,
    Score,
    compare,
    extract,
    finetune,
    floors,
    knn,
    linear_probe,
    monitor,
    official_probe,
    raw_pixels,
    sweep,
    table,
)
from minimim.evaluate.features import Features, check_labels, in_their_span, pixel_size, standardise
from minimim.evaluate.probe import covariance, fit, predict, scores
from minimim.evaluate.regression import ridge
from minimim.evaluate.score import accuracy
from minimim.methods import create


def cloud(n=120, dim=6, classes=3, noise=1.0, seed=0, made_by="a test"):
    """Classes around centres that every seed shares, in dimensions of unlike size and place."""
    centres = 1.5 * torch.randn(classes, dim, generator=generator(99))
    labels = torch.arange(n) % classes
    x = centres[labels] + noise * torch.randn(n, dim, generator=generator(seed))
    return Features(x * torch.logspace(-2, 2, dim) + torch.arange(dim), labels, made_by)


@pytest.fixture
def error():
    """Run something that must be refused, and give its sentence."""

    def sentence(function, *args, **more):
        with pytest.raises(UserError) as caught:
            function(*args, **more)
        assert "\n" not in str(caught.value) and str(caught.value).count(". ") == 0
        return str(caught.value)

    return sentence


# Features


@pytest.mark.parametrize("layer, pool", [(-1, "mean"), (1, "cls")])
def test_features_do_not_depend_on_the_batch_or_on_the_neighbours(layer, pool):
    encoder, images = build("mae").encoder, toy(7)
    whole = extract(encoder, images, layer=layer, pool=pool)
    assert whole.x.shape == (7, 128) and whole.x.dtype == torch.float32 and whole.labels is images.labels
    for other in (
        extract(encoder, images, layer=layer, pool=pool, batch_size=3).x,
        torch.cat([extract(encoder, images.take([i]), layer=layer, pool=pool).x for i in range(7)]),
        encoder.features(images.images, layer=layer, pool=pool),
    ):
        torch.testing.assert_close(whole.x, other, atol=1e-5, rtol=0)


@pytest.mark.parametrize("training", [True, False])
def test_extract_takes_eval_features_and_leaves_the_encoder_as_it_was(training):
    encoder = ViT(16, 4, "micro", drop_path=0.9).train(training)
    one, two = (extract(encoder, toy()) for _ in range(2))
    assert torch.equal(one.x, two.x) and encoder.training == training
    assert all(p.grad is None for p in encoder.parameters())


def test_one_can_train_on_features():
    features = extract(build("mae").encoder, toy(4))
    head = torch.nn.Linear(128, 2)
    head(features.x).sum().backward()
    assert head.weight.grad.abs().max() > 0 and not features.x.requires_grad


def test_features_say_what_made_them():
    encoder, other = build("mae").encoder, create("mae", image_size=16).encoder
    name = extract(encoder, toy(2)).made_by
    assert name == extract(encoder, toy(5, seed=1)).made_by and name.startswith("ViT ")
    assert len({name, extract(other, toy(2)).made_by, *(extract(encoder, toy(2), layer=i).made_by for i in range(3))}) == 5
    assert extract(encoder, toy(2), pool="cls").made_by != name


def test_raw_pixels_are_the_pixels():
    images = toy(3)
    features = raw_pixels(images, batch_size=2)
    assert features.x.shape == (3, 3 * 16 * 16) and features.labels is images.labels
    torch.testing.assert_close(features.x.view(3, 3, 16, 16) * 255, images.images.float())


@pytest.mark.parametrize("size, small", [((64, 64), (32, 32)), ((96, 48), (32, 16)), ((4, 64), (2, 32)), ((32, 20), (32, 20))])
def test_raw_pixels_of_larger_images_are_means_of_areas_at_32_pixels_a_side(size, small):
    images = Images(torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8, generator=generator()))
    x, times = raw_pixels(images).x.view(2, 3, *small), size[0] // small[0]
    for row in range(small[0]):
        for column in range(small[1]):
            area = images.images[:, :, row * times : (row + 1) * times, column * times : (column + 1) * times]
            torch.testing.assert_close(x[:, :, row, column], area.float().mean((2, 3)) / 255)
    assert times > 1 or torch.equal(x, images.images.float() / 255)  # bit for bit


def test_a_side_of_the_raw_pixels_is_never_none_and_never_more_than_32():
    for height in range(1, 300, 7):
        for width in range(1, 9000, 131):
            assert 1 <= min(pixel_size(height, width)) <= max(pixel_size(height, width)) <= 32


def test_images_are_read_by_as_many_processes_as_are_asked_for(monkeypatch):
    seen, method, data = [], build("mae"), toy(12)

    def watched(images, batch_size, device, workers):
        seen.append(workers)
        return images.images.split(batch_size)

    monkeypatch.setattr("minimim.evaluate.features.in_order", watched)
    compare(method, data, data, workers=3)
    sweep(method.encoder, data, data, layers=[0], pools=["mean"], workers=3)
    assert seen == [3] * (3 * 2 + 2)


def test_one_row_is_standardised_to_nothing_without_a_word(recwarn):
    rows = standardise(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 4.0]]))
    assert rows[0].tolist() == [[0, 0]] and rows[1].tolist() == [[0, 2]] and not recwarn.list


def test_standardise_uses_the_statistics_of_the_first_alone():
    train, test = cloud(50).x, cloud(20, seed=1).x
    train[:, 2] = test[:, 2] = 7.0  # says nothing
    test[0, 2] = 8.0
    here, there = standardise(train, test)
    for d in range(train.shape[1]):
        column = [float(v) for v in train[:, d].double()]
        mean = sum(column) / len(column)
        spread = math.sqrt(sum((v - mean) ** 2 for v in column) / (len(column) - 1)) or 1.0
        for x, z in ((train, here), (test, there)):
            torch.testing.assert_close(z[:, d].double(), (x[:, d].double() - mean) / spread, atol=1e-4, rtol=1e-4)
    other, _ = standardise(train, 100 * test)
    assert torch.equal(other, here) and here[:, 2].abs().max() == 0


# What every evaluation refuses


@pytest.mark.parametrize("evaluation", [linear_probe, knn])
def test_features_that_were_not_made_alike_are_refused(error, evaluation):
    text = error(evaluation, cloud(made_by="this"), cloud(made_by="that"))
    assert "made by this" in text and "by that" in text


def without_labels(data):
    data.labels = None
    return data


def relabelled(data, label):
    data.labels = data.labels.clone()
    data.labels[-3:] = label
    return data


def one_class(data):
    data.labels = torch.zeros_like(data.labels)
    return data


def tune(train, test):
    return finetune(build("mae").encoder, train, test, FinetuneConfig(epochs=1), bar=False)


def probe_officially(train, test):
    return official_probe(build("mae").encoder, train, test, OfficialConfig(epochs=1), bar=False)


EVALUATIONS = {
    "probe": (linear_probe, cloud),
    "knn": (knn, cloud),
    "finetune": (tune, toy),
    "official": (probe_officially, toy),
}


@pytest.mark.parametrize("name", EVALUATIONS)
def test_images_that_cannot_be_judged_are_refused(error, name):
    evaluation, data = EVALUATIONS[name]
    assert "the train images have no labels" in error(evaluation, without_labels(data()), data())
    assert "the test images have no labels" in error(evaluation, data(), without_labels(data()))
    assert "all of one class" in error(evaluation, one_class(data()), data())
    assert "numbers [5]" in error(evaluation, data(), relabelled(data(), 5))


def test_a_class_that_no_train_image_has_is_told_by_its_name():
    train, test = toy(), relabelled(toy(), 3)
    test.classes = ("apple", "leaf", "sky", "zebra")
    with pytest.raises(UserError, match=r"classes that no train image has \(zebra\): leave these out, or add train images of them$"):
        check_labels(train, test)


@pytest.mark.parametrize("name", EVALUATIONS)
def test_a_class_that_the_test_set_lacks_is_no_mistake(name):
    evaluation, data = EVALUATIONS[name]
    assert 0 <= evaluation(relabelled(data(), 5), data()).value <= 1


# The linear probe


def slow_fit(x, labels, classes, l2, steps=6000, rate=1.0):
    """Gradient descent in fp64, the gradient by hand: the sum over rows of (p − y) xᵀ."""
    x = torch.cat([x.double(), torch.ones(len(x), 1, dtype=torch.float64)], dim=1)
    weights = torch.zeros(x.shape[1], classes, dtype=torch.float64)
    wanted = torch.zeros(len(x), classes, dtype=torch.float64)
    for i, label in enumerate(labels.tolist()):
        wanted[i, label] = 1
    for _ in range(steps):
        z = (x @ weights).exp()
        gradient = x.T @ (z / z.sum(1, keepdim=True) - wanted) / len(x)
        gradient[:-1] += l2 * weights[:-1]  # the bias is free
        weights -= rate * gradient
    assert gradient.abs().max() < 1e-6
    return weights


@pytest.mark.parametrize("at_once", [100_000, 50])
@pytest.mark.parametrize("l2", [1.0, 0.1, 0.01])
def test_the_probe_finds_what_plain_gradient_descent_finds(l2, at_once, monkeypatch):
    monkeypatch.setattr("minimim.evaluate.probe.ROWS", at_once)
    features = cloud(noise=2.0)
    (x,) = standardise(features.x)
    mine, slow = fit(x, features.labels, 3, l2, covariance(x)), slow_fit(x, features.labels, 3, l2)
    torch.testing.assert_close(mine[:-1].double(), slow[:-1], atol=3e-3, rtol=0)
    centred = mine[-1] - mine[-1].mean(), slow[-1] - slow[-1].mean()  # softmax does not feel a common bias
    torch.testing.assert_close(centred[0].double(), centred[1], atol=3e-3, rtol=0)
    torch.testing.assert_close(scores(mine, x), x @ mine[:-1] + mine[-1])


def test_neither_the_probes_beginning_nor_its_guess_of_the_steepness_matters():
    features = cloud(noise=2.0)
    (x,) = standardise(features.x)
    expected = fit(x, features.labels, 3, 0.01, covariance(x))
    for steepness, start in ((covariance(x), torch.randn(7, 3)), (torch.eye(6), None), (covariance(x[:4]), None)):
        other = fit(x, features.labels, 3, 0.01, steepness, start)
        torch.testing.assert_close(other[:-1], expected[:-1], atol=3e-3, rtol=0)


def test_the_probe_copes_with_more_dimensions_than_images_and_with_twins_among_them():
    x = torch.randn(30, 100)
    x = torch.cat([x, x, torch.zeros(30, 1)], dim=1)
    for l2 in (1.0, 1e-2, 1e-5):
        weights = fit(x, torch.arange(30) % 3, 3, l2, covariance(x))
        assert predict(weights, x).tolist() == [i % 3 for i in range(30)]


@pytest.mark.parametrize("n, same", [(30, False), (100, True), (300, True)])
def test_few_rows_are_judged_in_their_span_and_a_penalised_fit_is_the_same_there(n, same):
    x, others, y = torch.randn(n, 100), torch.randn(50, 100), torch.randn(n, 2)
    short, short_others = in_their_span(x, others)
    assert short.shape == (n, min(n, 100)) and short_others.shape == (50, min(n, 100)) and (short is x) == same
    torch.testing.assert_close(short @ short_others.T, x @ others.T, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(ridge(short, y, short_others, 0.1), ridge(x, y, others, 0.1), atol=1e-4, rtol=1e-4)
    found = []
    for here, there in ((x, others), (short, short_others)):
        weights = fit(here, torch.arange(n) % 3, 3, 0.1, covariance(here))
        found.append(scores(weights, there).log_softmax(dim=1))
    torch.testing.assert_close(*found, atol=3e-3, rtol=0)


def test_the_probes_accuracy_is_that_of_its_own_weights_on_all_train_features():
    train, test = cloud(noise=2.0), cloud(60, noise=2.0, seed=1)
    score = linear_probe(train, test)
    here, there = standardise(train.x, test.x)
    weights = slow_fit(here, train.labels, 3, score.details["l2"])
    right = [int((row @ weights[:-1] + weights[-1]).argmax()) == label for row, label in zip(there.double(), test.labels)]
    assert score.value == sum(right) / 60 and score.n == 60 and 0.4 < score.value < 0.95


@pytest.fixture
def fits(monkeypatch):
    """Every fit that a probe makes: (rows, l2, weights)."""
    made = []

    def watched(x, labels, classes, l2, *more):
        made.append((len(x), l2, fit(x, labels, classes, l2, *more)))
        return made[-1][2]

    monkeypatch.setattr("minimim.evaluate.probe.fit", watched)
    return made


def test_the_test_set_has_no_part_in_the_choice(fits):
    train, test = cloud(dim=40, noise=4.0), cloud(dim=40, noise=4.0, seed=1)
    honest = linear_probe(train, test)
    first = list(fits)
    for other in (
        Features(test.x, test.labels.flip(0), "a test"),
        Features(1000 * torch.randn(7, 40), torch.zeros(7, dtype=torch.long), "a test"),
    ):
        fits.clear()
        score = linear_probe(train, other)
        assert score.details == honest.details
        assert [f[:2] for f in fits] == [f[:2] for f in first]
        assert all(torch.equal(now[2], then[2]) for now, then in zip(fits, first, strict=True))


def test_the_l2_is_chosen_on_rows_that_were_not_fitted(fits):
    train = cloud(dim=40, noise=4.0)
    score = linear_probe(train, cloud(dim=40, noise=4.0, seed=1), held_out=0.25)
    *tried, (rows, last, _) = fits
    assert {r for r, _, _ in tried} == {90} and rows == 120 and last == score.details["l2"]
    assert score.details["held_out"] * 30 == pytest.approx(round(score.details["held_out"] * 30))


@pytest.mark.parametrize(
    "held_out, best, tried, error",
    [
        ([0.5, 0.6, 0.7, 0.8, 0.9, 0.95], 1e-5, 6, 0.2),  # still better: all are tried
        ([0.5, 0.9, 0.6, 0.6, 1.0, 1.0], 1e-1, 4, 0.2),  # two in a row do worse
        ([0.5, 0.9, 0.6, 0.9, 0.6, 0.6], 1e-1, 6, 0.2),  # not in a row; of equals the strongest
        ([0.9, 0.5, 0.5, 1.0, 1.0, 1.0], 1.0, 3, 0.2),
        ([0.5, 0.9, 0.6, 0.9, 0.6, 0.6], 1e-1, 3, 0.09),  # one does worse by more than three standard errors
    ],
)
def test_from_strong_to_weak_until_it_does_worse(monkeypatch, fits, held_out, best, tried, error):
    answers = iter([*held_out[:tried], 0.3])
    monkeypatch.setattr("minimim.evaluate.probe.accuracy", lambda *_, **details: Score(next(answers), error, 1, details))
    score = linear_probe(cloud(30), cloud(30))
    assert score.details == {"l2": best, "held_out": held_out[:tried][[1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5].index(best)]}
    assert [l2 for _, l2, _ in fits] == [1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5][:tried] + [best] and score.value == 0.3


def test_a_strong_penalty_is_chosen_where_there_is_little_to_learn_and_a_weak_one_where_there_is_much():
    noisy = linear_probe(cloud(60, dim=50, noise=8.0), cloud(60, dim=50, noise=8.0, seed=1))
    labels = torch.arange(400) % 10
    ring = torch.stack([(labels * math.tau / 10).cos(), (labels * math.tau / 10).sin()], dim=1)
    ring = Features(ring + 0.01 * torch.randn(400, 2), labels, "a test")  # ten classes in two dimensions
    clear = linear_probe(ring, ring)
    assert clear.value > 0.99 and clear.details["l2"] < noisy.details["l2"]


def test_the_probe_is_the_same_twice_and_draws_nothing_global():
    train, test = cloud(noise=2.0), cloud(noise=2.0, seed=1)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    assert linear_probe(train, test, seed=4) == linear_probe(train, test, seed=4)
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("n", [3, 5])
def test_a_handful_of_images_is_enough(n):
    train = cloud(n, classes=2)
    for evaluation in (linear_probe, knn):
        assert 0 <= evaluation(train, cloud(4, classes=2, seed=1)).value <= 1


def test_collapsed_features_are_judged_like_any_others():
    for dim in (3, 200):
        line = torch.randn(100, 1) @ torch.randn(1, dim) + 5
        labels = torch.arange(100) % 2
        score = linear_probe(Features(line[:60], labels[:60], "a test"), Features(line[60:], labels[60:], "a test"))
        assert 0.2 < score.value < 0.8


def test_predictions_are_the_highest_scores():
    weights, x = torch.randn(4, 5), torch.randn(9, 3)
    assert predict(weights, x).tolist() == [max(range(5), key=lambda c: float(row[c])) for row in scores(weights, x)]


# k-NN


@pytest.mark.parametrize("k, temperature", [(1, 0.07), (5, 0.07), (20, 0.5), (500, 1.0)])
def test_knn_is_a_weighted_vote_of_the_nearest(k, temperature):
    train, test = cloud(90, noise=2.5), cloud(60, noise=2.5, seed=1)
    score = knn(train, test, k=k, temperature=temperature)
    here, there = (x.double() for x in standardise(train.x, test.x))
    right = 0
    for row, label in zip(there, test.labels.tolist()):
        near = [(float(row @ other / row.norm() / other.norm()), c) for other, c in zip(here, train.labels.tolist())]
        votes = [0.0] * 3
        for similarity, c in sorted(near, reverse=True)[:k]:
            votes[c] += math.exp(similarity / temperature)
        right += votes.index(max(votes)) == label
    assert score.value == right / 60 and score.details == {"k": k} and 0.3 < score.value < 0.95


def test_knn_takes_more_test_images_than_it_looks_at_at_once():
    train, test = cloud(30, noise=2.5), cloud(2500, noise=2.5, seed=1)
    parts = [knn(train, test.take(torch.arange(2500)[i::5])).value for i in range(5)]
    assert knn(train, test).value == pytest.approx(sum(parts) / 5)


# Scores


@pytest.mark.parametrize("right", [0, 3, 10])
def test_a_score_comes_with_the_standard_error_of_a_share(right):
    predicted, labels = torch.ones(10, dtype=torch.long), torch.zeros(10, dtype=torch.long)
    labels[:right] = 1
    score = accuracy(predicted, labels, why="x")
    hits = [1.0] * right + [0.0] * (10 - right)
    spread = math.sqrt(sum((h - score.value) ** 2 for h in hits) / 10)
    assert score.value == right / 10 and score.n == 10 and score.details == {"why": "x"}
    assert score.stderr == pytest.approx(spread / math.sqrt(10)) and str(score).startswith(f"{right / 10:.3f} ± ")


# Beside the floors


def test_compare_judges_the_encoder_and_its_floors_by_the_same_functions():
    method, train, test = build("mae"), toy(40, step=4), toy(30, seed=1, step=4)
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    result = compare(method, train, test, layer=1, pool="cls", seed=3)
    assert torch.equal(torch.rand(2), expected)
    torch.manual_seed(3)
    fresh = create(**method.spec).encoder
    rows = {"pretrained": method.encoder, "random_init": fresh}
    pairs = {name: [extract(e, x, layer=1, pool="cls") for x in (train, test)] for name, e in rows.items()}
    pairs["raw_pixels"] = [raw_pixels(x) for x in (train, test)]
    assert result == {
        "linear_probe": {name: linear_probe(*pair) for name, pair in pairs.items()},
        "knn": {name: knn(*pair) for name, pair in pairs.items()},
    }
    assert len({score.value for those in result.values() for score in those.values()}) > 3  # no two agree for nothing
    assert list(result["knn"]) == ["pretrained", "random_init", "raw_pixels"]
    alone = compare(method, train, test, with_floors=False, layer=1, pool="cls")
    assert alone == {kind: {"pretrained": those["pretrained"]} for kind, those in result.items()}


def test_the_random_floor_follows_its_seed_and_not_the_trained_weights():
    method, images = build("mae"), toy(4)
    one = floors(method, images, images)["random_init"][0]
    with torch.no_grad():
        method.encoder.norm.bias.add_(1)
    assert torch.equal(one.x, floors(method, images, images)["random_init"][1].x)
    assert not torch.equal(one.x, floors(method, images, images, seed=1)["random_init"][0].x)


def test_a_method_that_was_put_together_by_hand_has_no_random_floor(error):
    method = build("mae")
    method.spec = None
    assert "with_floors=False" in error(compare, method, toy(8), toy(8))
    assert compare(method, toy(8), toy(8), with_floors=False)["knn"]["pretrained"].n == 8


def test_a_table_shows_each_figure_once():
    lines = table(
        {
            "linear_probe": {"pretrained": Score(0.5, 0.01, 9), "raw_pixels": Score(0.25, 0.02, 9)},
            "knn": {"pretrained": Score(0.75, 0.03, 9), "raw_pixels": Score(0.125, 0.04, 9)},
        }
    ).splitlines()
    assert lines[0].split() == ["linear", "probe", "k-NN"] and len(lines) == 3
    assert lines[1].split() == ["pretrained", "0.500", "±", "0.010", "0.750", "±", "0.030"]
    assert lines[2].split() == ["raw", "pixels", "0.250", "±", "0.020", "0.125", "±", "0.040"]


def test_a_sweep_covers_every_layer_under_every_pooling():
    encoder, train, test = build("mae").encoder, toy(30, step=4), toy(20, seed=1, step=4)
    rows = sweep(encoder, train, test)
    assert [(r["layer"], r["pool"]) for r in rows] == [(i, p) for i in range(4) for p in ("mean", "cls")]
    assert len({r["linear_probe"].value for r in rows}) > 2
    for row in (rows[1], rows[6]):
        pair = [extract(encoder, x, layer=row["layer"], pool=row["pool"]) for x in (train, test)]
        assert row["linear_probe"] == linear_probe(*pair) and row["knn"] == knn(*pair)
    assert [(r["layer"], r["pool"]) for r in sweep(encoder, train, test, layers=[-1], pools=["mean"])] == [(-1, "mean")]


def test_a_monitor_sees_what_the_evaluation_would_and_moves_nothing():
    method, train, test = build("mae").train(), toy(30, step=4), toy(20, seed=1, step=4)
    seen = monitor(train, test)(method)
    pair = [extract(method.encoder, x) for x in (train, test)]
    assert seen == {"knn": knn(*pair).value, "effective_rank": effective_rank(pair[1].x)}
    assert method.encoder.training and method.training


# Effective rank


def with_spectrum(values, n=40, dim=12):
    """Centred features whose singular values are these."""
    left = torch.linalg.qr(torch.cat([torch.ones(n, 1), torch.randn(n, len(values))], dim=1).double()).Q[:, 1:]
    right = torch.linalg.qr(torch.randn(dim, len(values)).double()).Q
    return (left * torch.tensor(values, dtype=torch.float64)) @ right.T


@pytest.mark.parametrize(
    "values, rank",
    [
        ([3.0], 1),
        ([1.0] * 5, 5),
        ([7.0] * 12, 12),
        ([1.0, 1.0, 1e-9, 0.0], 2),
        ([0.5, 0.25, 0.25], 2**1.5),  # ½·1 bit + 2·¼·2 bits = 1.5 bits
    ],
)
@pytest.mark.parametrize("offset, scale", [(0, 1), (3, 1), (0, 1000)])
def test_effective_rank_of_known_spectra(values, rank, offset, scale):
    assert effective_rank(scale * with_spectrum(values) + offset) == pytest.approx(rank, rel=1e-3)


def test_effective_rank_of_collapsed_features_is_one_and_of_noise_nearly_full():
    assert effective_rank(torch.ones(30, 8) * torch.randn(8)) == pytest.approx(1, abs=1e-3)
    assert 30 < effective_rank(torch.randn(2000, 32)) < 32
    assert effective_rank(torch.randn(5, 32)) < 4.001  # five centred points span four directions
