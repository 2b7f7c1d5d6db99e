"""The attentive probe: it finds what one token of many tells, and plays by the linear probe's rules."""

import math

import pytest
import torch
from helpers import build, generator, raw

from minimim.data import Images
from minimim.data.batches import positions
from minimim.draws import mix
from minimim.errors import UserError
from minimim.evaluate import (
    Features,
    FinetuneConfig,
    attentive_probe,
    extract,
    finetune,
    knn,
    linear_probe,
    regression_probe,
    sweep,
)
from minimim.evaluate.attentive import Heads, learn, predict, standard_tokens
from minimim.evaluate.features import standardise

CLASSES, TOKENS, DIM = 4, 16, 12


def hidden_sign(n=800, seed=0, made_by="a test"):
    """One token of each image, at a random place, carries a mark and the class; the others carry classes at random."""
    draw = generator(seed)
    labels = torch.arange(n) % CLASSES
    told = torch.randint(CLASSES, (n, TOKENS), generator=draw)  # what each token says
    place = torch.randint(TOKENS, (n,), generator=draw)
    told[torch.arange(n), place] = labels
    x = 0.3 * torch.randn(n, TOKENS, DIM, generator=draw)
    x[..., :CLASSES] += 2 * torch.nn.functional.one_hot(told, CLASSES)
    x[torch.arange(n), place, CLASSES] += 3  # the mark
    return Features(x, labels, made_by)


def averaged(features):
    return Features(features.x.mean(dim=1), features.labels, features.made_by)


@pytest.fixture(scope="module")
def pair():
    return hidden_sign(), hidden_sign(400, seed=1)


@pytest.fixture(scope="module")
def score(pair):
    return attentive_probe(*pair)


def test_it_finds_a_class_that_only_one_token_tells_and_the_mean_hides(pair, score):
    assert score.value > 0.95 and score.n == 400
    assert linear_probe(*map(averaged, pair)).value < 0.6


def test_its_query_looks_at_the_token_that_tells(pair):
    x, _ = standard_tokens(pair[0].x, pair[1].x)
    heads = learn(x, pair[0].labels, [0.1], steps=300, seed=0)
    most = heads.attention(x)[:, 0].argmax(dim=1)
    assert (most == pair[0].x[..., CLASSES].argmax(dim=1)).float().mean() > 0.95


def test_the_order_of_the_tokens_says_nothing(pair, score):
    shuffled = [Features(f.x[:, torch.randperm(TOKENS, generator=generator(5))], f.labels, f.made_by) for f in pair]
    other = attentive_probe(*shuffled)
    assert other.value == pytest.approx(score.value, abs=0.01) and other.details.keys() == score.details.keys()
    heads = Heads(2, DIM, CLASSES)
    with torch.no_grad():
        for p in heads.parameters():
            p.normal_(generator=generator(1))
        torch.testing.assert_close(heads(shuffled[0].x), heads(pair[0].x))


def test_the_forward_is_a_weighted_mean_of_tokens_and_a_linear_map():
    heads, tokens = Heads(2, 5, 3), torch.randn(4, 6, 5)
    with torch.no_grad():
        for p in heads.parameters():
            p.normal_()
        scores, attention = heads(tokens), heads.attention(tokens)
    for s in range(2):
        for i, image in enumerate(tokens.double()):
            weights = [float(token @ heads.query[:, s].detach().double()) / 5**0.5 for token in image]
            weights = torch.tensor(weights, dtype=torch.float64).exp()
            weights = weights / weights.sum()
            taken = sum(w * token for w, token in zip(weights, image, strict=True))
            slow = [float(taken @ heads.weight[s, :, c].detach().double() + heads.bias[s, 0, c].detach()) for c in range(3)]
            assert scores[s, i].tolist() == pytest.approx(slow, abs=1e-4)
            assert attention[i, s].tolist() == pytest.approx(weights.tolist(), abs=1e-5)


def test_it_begins_as_a_mean_over_the_tokens():
    attention = Heads(3, DIM, CLASSES).attention(torch.randn(2, TOKENS, DIM))
    torch.testing.assert_close(attention, torch.full((2, 3, TOKENS), 1 / TOKENS))


def test_probes_side_by_side_learn_what_each_learns_alone(pair):
    x, labels = pair[0].x[:200], pair[0].labels[:200]
    both = learn(x, labels, [1.0, 0.01], steps=10, seed=3)
    for s, decay in enumerate([1.0, 0.01]):
        alone = learn(x, labels, [decay], steps=10, seed=3)
        torch.testing.assert_close(both.query[:, s], alone.query[:, 0], atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(both.weight[s], alone.weight[0], atol=1e-4, rtol=1e-3)


def test_one_probe_learns_what_adamw_learns(pair):
    tokens, labels = pair[0].x[:200], pair[0].labels[:200]
    q, w, b = (torch.zeros(*shape, requires_grad=True) for shape in ((DIM,), (DIM, CLASSES), (CLASSES,)))
    optimizer = torch.optim.AdamW([{"params": [q, w], "weight_decay": 0.8}, {"params": [b], "weight_decay": 0.0}])
    for step in range(12):
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * (1 + math.cos(math.pi * step / 12)) / 2
        ids = positions(step, 128, 200, 3)
        a = (tokens[ids] @ q / DIM**0.5).softmax(dim=1)
        loss = torch.nn.functional.cross_entropy((a.unsqueeze(-1) * tokens[ids]).sum(dim=1) @ w + b, labels[ids])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    heads = learn(tokens, labels, [0.8], steps=12, seed=3)
    for mine, slow in ((heads.query[:, 0], q), (heads.weight[0], w), (heads.bias[0, 0], b)):
        torch.testing.assert_close(mine, slow, atol=1e-3, rtol=1e-3)


def test_tokens_are_standardised_over_images_and_places_by_the_train_part():
    train, test = 3 * torch.randn(20, 6, 4) + 2, torch.randn(7, 6, 4)
    here, there = standard_tokens(train, test)
    assert here.shape == train.shape and there.shape == test.shape
    rows = standardise(train.reshape(-1, 4), test.reshape(-1, 4))
    assert torch.equal(here.reshape(-1, 4), rows[0]) and torch.equal(there.reshape(-1, 4), rows[1])


def test_the_test_set_has_no_part_in_what_is_learnt(pair, score, monkeypatch):
    learnt = []

    def watched(*args):
        learnt.append((len(args[0]), learn(*args)))
        return learnt[-1][1]

    monkeypatch.setattr("minimim.evaluate.attentive.learn", watched)
    train, test = pair
    for other in (Features(test.x, test.labels.flip(0), "a test"), Features(100 * test.x[:9], test.labels[:9] * 0, "a test")):
        learnt.clear()
        assert attentive_probe(train, other).details == score.details
        assert [rows for rows, _ in learnt] == [640, 800]  # first without the held-out part, then all
        decays = [heads.query.shape[1] for _, heads in learnt]
        assert decays[0] > 1 and decays[1] == 1
    assert score.details["held_out"] * 160 == pytest.approx(round(score.details["held_out"] * 160))


def test_the_decay_that_does_best_on_the_held_out_part_is_taken(pair, monkeypatch):
    monkeypatch.setattr("minimim.evaluate.attentive.predict", lambda heads, tokens: told(heads, tokens, pair[0]))
    score = attentive_probe(pair[0], pair[1], weight_decays=(0.5, 0.2, 0.1), steps=1)
    assert score.details == {"weight_decay": 0.2, "held_out": 1.0}


def told(heads, tokens, train):
    """Predictions that make the second of three probes right about every held-out image."""
    if heads.query.shape[1] == 1:
        return torch.zeros(1, len(tokens), dtype=torch.long)
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(mix(0)))
    right = train.labels[order[: len(tokens)]]
    return torch.stack([(right + 1) % CLASSES, right, (right + 1) % CLASSES])


def test_the_same_seed_gives_the_same_and_nothing_global_is_drawn(pair, score):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    assert attentive_probe(*pair) == score
    assert torch.equal(torch.rand(2), expected)
    x, labels = pair[0].x[:100], pair[0].labels[:100]
    one, other = (learn(x, labels, [0.1], steps=3, seed=seed).weight for seed in (0, 1))
    assert not torch.equal(one, other)


def test_features_that_cannot_be_judged_get_one_sentence(pair):
    train, test = pair
    for broken, words in (
        ((averaged(train), averaged(test)), r'pool="patches"'),
        ((train, averaged(test)), r"the test features are \(400, 12\)"),
        ((train, hidden_sign(40, made_by="that")), "extract both"),
        ((Features(train.x, None, "a test"), test), "the train images have no labels"),
        ((train, Features(test.x, test.labels + 2, "a test")), "classes that no train image has"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            attentive_probe(*broken)
        assert "\n" not in str(caught.value) and str(caught.value).count(". ") == 0


def test_what_takes_one_vector_an_image_refuses_tokens(pair):
    numbers = [torch.randn(len(f), 1) for f in pair]
    toy = Images(raw(8), torch.arange(8) % 2)
    for work in (
        lambda: linear_probe(*pair),
        lambda: knn(*pair),
        lambda: regression_probe(pair[0], numbers[0], pair[1], numbers[1]),
        lambda: sweep(build("mae").encoder, toy, toy, layers=[0], pools=["patches"]),
    ):
        with pytest.raises(UserError, match=r'pool="mean" or "cls", or use the attentive probe'):
            work()
    with pytest.raises(UserError, match="one vector an image"):
        finetune(build("mae").encoder, toy, toy, FinetuneConfig(pool="patches"), bar=False)


@pytest.mark.parametrize("layer", [0, -1])
def test_the_tokens_of_an_encoder_average_to_its_mean_features(layer):
    encoder, images = build("mae").encoder, Images(raw(5), torch.arange(5) % 2)
    tokens, mean = (extract(encoder, images, layer=layer, pool=pool, batch_size=2) for pool in ("patches", "mean"))
    assert tokens.x.shape == (5, 16, 128) and tokens.made_by != mean.made_by and tokens.made_by.endswith("patches")
    torch.testing.assert_close(tokens.x.mean(dim=1), mean.x, atol=1e-5, rtol=1e-5)


def test_predictions_do_not_depend_on_the_chunk():
    heads, tokens = Heads(2, 3, 4), torch.randn(1203, 2, 3)
    with torch.no_grad():
        for p in heads.parameters():
            p.normal_()
    assert torch.equal(predict(heads, tokens), heads(tokens).argmax(dim=-1))
