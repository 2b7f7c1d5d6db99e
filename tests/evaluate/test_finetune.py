"""Fine-tuning: what is learnt, what is left alone, and that it stops, resumes and comes back like any other run."""

import math
import os
import signal
from dataclasses import fields
from types import SimpleNamespace

import pytest
import torch
from helpers import build, generator, raw, toy
from together import double
from torch import nn

import minimim
from minimim.data.views import RandomViews
from minimim.encoders import ViT
from minimim.errors import UserError
from minimim.evaluate import FinetuneConfig, classify, finetune, load_classifier
from minimim.evaluate.classify import Classifier, judge
from minimim.evaluate.finetune import classifier, groups, mixing
from minimim.methods import create
from minimim.train import TrainConfig, checkpoint


def settings(**more):
    return FinetuneConfig(**{"epochs": 3, "batch_size": 8, "lr": 1e-2, "device": "cpu", "log_every": 1, **more})


def tune(encoder, out=None, resume=False, **more):
    return finetune(encoder, toy(16), toy(12, seed=1), settings(**more), out=out, resume=resume, bar=False)


def weights(out):
    """What a run has saved: the model, and the optimiser with it."""
    return checkpoint.read(out)[0]


def assert_same(one, two, **within):
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name], **{"atol": 0, "rtol": 0, **within}, msg=lambda text, name=name: f"{name}: {text}")


# A classifier


def model(**more):
    """A classifier of three classes on a small encoder."""
    parts = {"views": RandomViews((16, 16)), "pool": "mean", "optimizer_of": None, "spec": {}}
    return Classifier(build("mae").encoder, nn.Linear(128, 3), **{**parts, **more}).train()


def slow_error(scores, shares, smoothing):
    """Cross-entropy of one image, its label given as shares of the classes, smoothed."""
    scores, count = scores.tolist(), len(scores)
    whole = math.log(sum(math.exp(score) for score in scores))
    return sum((whole - score) * ((1 - smoothing) * share + smoothing / count) for score, share in zip(scores, shares.tolist(), strict=True))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("soft", [False, True])
def test_the_loss_is_the_mean_cross_entropy_of_labels_smoothed_and_mixed(smoothing, soft):
    labels = torch.tensor([0, 2, 1, 1, 0])
    shares = torch.rand(5, 3, generator=generator()).softmax(1) if soft else torch.eye(3)[labels]
    one = model(smoothing=smoothing, mix=(lambda images, labels: (images, shares)) if soft else None)
    output = one({"image": raw(5), "label": labels}, generator=generator())
    scores = output.prediction.detach().double()
    mean = sum(slow_error(row, share, smoothing) for row, share in zip(scores, shares, strict=True)) / 5
    assert output.loss.item() == pytest.approx(mean, abs=1e-6)
    right = sum(int(row.argmax()) == int(share.argmax()) for row, share in zip(scores, shares, strict=True))
    assert float(output.metrics["accuracy"]) == pytest.approx(right / 5)


def test_only_training_mixes():
    one = model(mix=lambda images, labels: (images * 0, torch.full((len(labels), 3), 1 / 3)))
    batch = {"image": raw(4), "label": torch.tensor([0, 1, 2, 0])}
    assert one(batch, generator=generator()).target.shape == (4, 3)
    seen = one.eval()(batch)
    assert seen.target is batch["label"] and torch.equal(seen.prediction, one.scores(batch["image"]))


def test_the_mean_is_over_the_batch_of_all_processes(monkeypatch):
    one = model(views=RandomViews((16, 16), flip=False))
    images, labels = raw(8), torch.arange(8) % 3
    whole = one({"image": images, "label": labels})
    monkeypatch.setattr(classify, "world", lambda: 2)
    monkeypatch.setattr(classify, "summed", lambda count: torch.full_like(count, 8.0))
    parts = [one({"image": images[own], "label": labels[own]}) for own in (slice(0, 3), slice(3, 8))]  # unequal ones
    assert sum(part.loss for part in parts).item() / 2 == pytest.approx(whole.loss.item())  # as DDP takes the mean
    told = sum(float(part.metrics["accuracy"]) for part in parts) / 2
    assert told == pytest.approx(float(whole.metrics["accuracy"])) and 0 < told < 1


def test_processes_judge_their_own_images_and_together_all_of_them(monkeypatch):
    one, test, found = model().eval(), toy(11), []
    alone = judge(one, test)
    monkeypatch.setattr(classify, "world", lambda: 3)
    monkeypatch.setattr(classify, "summed", lambda predicted: found.append(predicted) or predicted)
    for number in range(3):
        monkeypatch.setattr(classify, "rank", lambda number=number: number)
        judge(one, test)
    expected = one.scores(test.images).argmax(1)
    assert torch.equal(sum(found), expected) and expected.max() > 0
    assert alone.value == float((expected == test.labels).double().mean()) and alone.n == 11


def test_a_frozen_encoder_stays_in_eval_mode_and_gets_no_gradient():
    encoder = ViT(16, 4, "micro", drop_path=0.9)
    one = Classifier(encoder, nn.Linear(128, 2), views=RandomViews((16, 16)), pool="cls", optimizer_of=None, spec={}, frozen=True).train()
    assert one.head.training and not any(m.training for m in encoder.modules())
    loss = one({"image": raw(4), "label": torch.arange(4) % 2}, generator=generator()).loss
    loss.backward()
    assert one.head.weight.grad.abs().max() > 0 and all(p.grad is None and not p.requires_grad for p in encoder.parameters())


def test_one_vector_an_image_is_needed():
    with pytest.raises(UserError, match='pool must be "mean" or "cls"'):
        model(pool="patches")
    with pytest.raises(UserError, match="unknown pooling 'max'"):
        tune(build("mae").encoder, pool="max")
    with pytest.raises(UserError, match="no CLS token"):
        tune(build("simmim").encoder, pool="cls")


# Which learns how fast


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("name", ["mae", "ibot"])
def test_each_earlier_block_learns_more_slowly(name, depth):
    encoder = build(name).encoder
    encoder.blocks = encoder.blocks[:depth]
    config = FinetuneConfig(layer_decay=0.5, weight_decay=0.1)
    one = classifier(encoder, 3, config)
    given = {id(p): (g["scale"], g["weight_decay"]) for g in groups(one, config) for p in g["params"]}
    assert sum(len(g["params"]) for g in groups(one, config)) == len(given)
    for key, p in one.named_parameters():
        if not p.requires_grad:
            assert id(p) not in given and key in ("encoder.pos_embed", "encoder.mask_token")
            continue
        if key.startswith(("head.", "encoder.norm.")):
            scale = 1.0
        elif key.startswith("encoder.blocks."):
            scale = 1.0
            for _ in range(int(key.split(".")[2]), depth):
                scale *= 0.5
        else:
            assert key.startswith(("encoder.patch_embed.", "encoder.cls_token"))
            scale = 0.5 ** (depth + 1)
        decay = 0.0 if key.endswith("bias") or ".norm" in key or key == "encoder.cls_token" else 0.1
        assert given[id(p)] == (scale, decay), key


def test_each_step_is_taken_at_the_schedules_rate_times_the_layers(monkeypatch):
    rates = []
    step = torch.optim.AdamW.step

    def watched(self, *args):
        rates.append({(g["scale"], g["lr"]) for g in self.param_groups})
        return step(self, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    tune(build("mae").encoder, epochs=2, lr=0.1, layer_decay=0.5, warmup=0.5)
    peak = 0.1 * 8 / 256
    factors = [1 / 2, 1, 1, (1 + math.cos(math.pi / 2)) / 2]  # a climb over two steps, then half a cosine
    assert len(rates) == 4
    for seen, factor in zip(rates, factors, strict=True):
        assert {scale for scale, _ in seen} == {0.5**i for i in range(6)}
        assert all(lr == pytest.approx(peak * factor * scale) for scale, lr in seen)


@pytest.mark.parametrize("name, blocks", [("mae", 0), ("mae", 1), ("mae", 3), ("mae", 4), ("mae", -1), ("ibot", 2), ("ibot", -1), ("simmim", -1)])
def test_exactly_the_last_blocks_and_the_last_norm_learn_or_everything_but_positions_and_mask_token(name, blocks, tmp_path):
    encoder = build(name).encoder
    tune(encoder, tmp_path, blocks=blocks, epochs=1)
    after = weights(tmp_path)
    for key, before in encoder.state_dict().items():
        parts = key.split(".")
        if blocks < 0:
            learns = key not in ("pos_embed", "mask_token")
        else:
            learns = parts[0] == "blocks" and int(parts[1]) >= 4 - blocks or parts[0] == "norm" and blocks > 0
        assert torch.equal(after[f"method.encoder.{key}"], before) != learns, key
    head = classifier(encoder, 2, settings()).head
    assert all(not torch.equal(after[f"method.head.{key}"], before) for key, before in head.state_dict().items())


def test_an_encoder_that_was_frozen_for_something_else_learns_all_the_same(tmp_path):
    frozen = build("mae").encoder.requires_grad_(False)  # a teacher's, or one that was probed
    assert tune(frozen, tmp_path / "a") == tune(build("mae").encoder, tmp_path / "b")
    assert_same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not any(p.requires_grad for p in frozen.parameters())


@pytest.mark.parametrize("blocks, rates", [(-1, [0, 0.1, 0.2, 0.3]), (2, [0, 0, 0.2, 0.3]), (0, [0, 0, 0, 0])])
def test_paths_are_dropped_only_where_it_learns(blocks, rates):
    encoder = build("mae").encoder
    one = classifier(encoder, 2, settings(blocks=blocks, drop_path=0.3))
    assert [block.drop_path.rate for block in one.encoder.blocks] == pytest.approx(rates)
    assert all(block.drop_path.rate == 0 for block in encoder.blocks)


def test_the_settings_of_the_loss_and_of_the_images_reach_the_model():
    encoder = build("mae").encoder
    one, whole = (classifier(encoder, 2, settings(smoothing=0.3, crop=crop, flip=crop < 1, pool="cls")) for crop in (0.7, 1.0))
    assert (one.smoothing, one.pool) == (0.3, "cls")
    assert [(views.scale, views.flip) for views in (one.views, whole.views)] == [((0.7, 1.0), True), (None, False)]


def test_the_head_starts_from_the_seed():
    encoder = build("mae").encoder
    first, again, other = (classifier(encoder, 2, settings(seed=seed)).head.weight for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("blocks", [-2, 5])
def test_blocks_that_are_not_there_cannot_learn(blocks):
    with pytest.raises(UserError, match=f"how many of the last 4 blocks learn, or -1 for everything, not {blocks}"):
        tune(build("mae").encoder, blocks=blocks)


@pytest.mark.parametrize("name, values", [
    *[(name, (-0.1, 1.1, math.nan)) for name in ("mixup", "cutmix", "smoothing")],
    ("drop_path", (-0.1, 1.0)),
    *[(name, (0, 1.1, math.nan)) for name in ("layer_decay", "crop")],
    ("lr", (0,)),
])  # fmt: skip
def test_a_setting_that_cannot_be_is_named(name, values):
    for value in values:
        with pytest.raises(UserError, match=f"{name} must be .*, not {value}"):
            settings(**{name: value})


# Mixing


def one_of_two(images, mixed, share):
    """How a batch was mixed with its neighbours, checked pixel by pixel: "mixup", or "cutmix"."""
    other = images.roll(1, 0)
    if torch.allclose(mixed, share * images + (1 - share) * other, atol=1e-5):
        return "mixup"
    pasted = (mixed != images).any(1)  # (B, H, W)
    assert torch.equal(mixed, torch.where(pasted[:, None], other, images))
    (box,) = pasted.unique(dim=0)  # the same box in all
    rows, cols = box.any(1), box.any(0)
    assert torch.equal(box, rows[:, None] & cols[None]) and (rows.int().diff().abs().sum() <= 2) and (cols.int().diff().abs().sum() <= 2)
    assert share == pytest.approx(1 - float(box.double().mean()), abs=1e-6)
    return "cutmix"


@pytest.mark.parametrize("mixup, cutmix, kinds", [(0.8, 1.0, {"mixup", "cutmix"}), (0.8, 0, {"mixup"}), (0, 1.0, {"cutmix"})])
def test_each_batch_is_mixed_with_its_neighbours_in_one_of_the_two_ways(mixup, cutmix, kinds):
    mix, seen, shares = mixing(6, mixup, cutmix), set(), set()
    images, classes = torch.randn(6, 3, 16, 16, generator=generator()), torch.arange(6)
    for seed in range(30):
        torch.manual_seed(seed)
        mixed, labels = mix(images, classes)
        torch.manual_seed(seed)
        again = mix(images, classes)
        assert torch.equal(mixed, again[0]) and torch.equal(labels, again[1])
        share = float(labels[0, 0])  # of oneself
        expected = share * torch.eye(6) + (1 - share) * torch.eye(6).roll(1, 0)
        torch.testing.assert_close(labels, expected)
        torch.testing.assert_close(labels.sum(1), torch.ones(6))
        assert 0 <= share <= 1
        if share < 1:
            seen.add(one_of_two(images, mixed, share))
            shares.add(share)
    assert seen == kinds and len(shares) > 10


def test_where_nothing_is_asked_for_nothing_is_mixed():
    assert mixing(3, 0, 0) is None


def test_training_draws_its_mixing_from_seed_and_step(monkeypatch):
    """What the encoder sees in each step, in two runs of one seed and in one of another."""

    def seen(seed):
        batches, scores = [], Classifier.scores

        def watched(self, images):
            if self.training:
                batches.append(images.clone())
            return scores(self, images)

        with monkeypatch.context() as patch:
            patch.setattr(Classifier, "scores", watched)
            tune(build("mae").encoder, mixup=0.8, cutmix=1.0, seed=seed)
        return batches

    one, two, other = seen(0), seen(0), seen(1)
    assert len(one) == 6 and all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True))


# A whole run


@pytest.fixture(scope="module")
def tuned():
    """A fine-tuned toy: the score, and the encoder with what it was before."""
    torch.manual_seed(0)
    encoder = create("mae", image_size=16).encoder.eval()
    before = {n: t.clone() for n, t in encoder.state_dict().items()}
    config = FinetuneConfig(epochs=8, batch_size=16, lr=8e-3, warmup=0.1)
    state = torch.get_rng_state()
    score = finetune(encoder, toy(48), toy(40, seed=1), config, bar=False)
    assert torch.equal(torch.get_rng_state(), state)  # nothing is drawn from the global generator
    return score, encoder, before, config


def test_fine_tuning_learns_what_can_be_told(tuned):
    score, *_ = tuned
    assert score.value > 0.95 and score.n == 40
    assert score.details["steps"] == 8 * 48 / 16 and score.details["loss"] < math.log(2) - 0.1


def test_fine_tuning_leaves_the_encoder_alone(tuned):
    _, encoder, before, _ = tuned
    assert all(torch.equal(t, before[n]) for n, t in encoder.state_dict().items()) and not encoder.training
    assert all(b.drop_path.rate == 0 for b in encoder.blocks) and all(p.grad is None for p in encoder.parameters())


def test_fine_tuning_twice_is_the_same_and_another_seed_another(tuned):
    score, encoder, _, config = tuned
    assert finetune(encoder, toy(48), toy(40, seed=1), config, bar=False) == score
    config = FinetuneConfig(epochs=8, batch_size=16, lr=8e-3, warmup=0.1, seed=1)
    assert finetune(encoder, toy(48), toy(40, seed=1), config, bar=False).details["loss"] != score.details["loss"]


def test_a_batch_that_is_more_than_the_images_is_cut_to_them():
    assert tune(build("mae").encoder, batch_size=999, epochs=2).details["steps"] == 2


def test_a_batch_in_parts_is_the_whole_batch(tmp_path):
    with double():
        for parts in (1, 2):
            tune(build("mae").encoder, tmp_path / str(parts), accumulate=parts, drop_path=0, clip=0.1)
        assert_same(weights(tmp_path / "1"), weights(tmp_path / "2"), atol=1e-9, rtol=1e-9)


# Stopped and resumed


def ctrl_c(monkeypatch, step):
    """Ctrl-C in the middle of a step."""
    calls = []

    def press(self, progress):
        calls.append(progress)
        if len(calls) == step:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Classifier, "after_step", press)
    return {}


def clock(monkeypatch, step):
    """A clock on which each step takes a minute."""
    now = [0.0]
    monkeypatch.setattr("minimim.train.interrupt.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(Classifier, "after_step", lambda self, progress: now.__setitem__(0, now[0] + 60))
    return {"max_minutes": step - 0.5}


@pytest.mark.parametrize("stop", [ctrl_c, clock])
def test_a_run_that_is_stopped_and_resumed_ends_bit_for_bit_as_one_that_was_not(stop, tmp_path, monkeypatch):
    config = {"mixup": 0.8, "cutmix": 1.0, "drop_path": 0.3, "accumulate": 2, "clip": 0.5}
    straight = tune(build("mae").encoder, tmp_path / "straight", **config)
    with monkeypatch.context() as patch:
        more = stop(patch, 4)
        assert tune(build("mae").encoder, tmp_path / "stopped", **config, **more) is None
    assert checkpoint.read(tmp_path / "stopped")[1]["step"] == 4
    resumed = tune(build("mae").encoder, tmp_path / "stopped", resume=True, **config)
    assert resumed == straight and straight.details["steps"] == 6
    assert_same(weights(tmp_path / "stopped"), weights(tmp_path / "straight"))
    assert any(name.startswith("optimizer") for name in weights(tmp_path / "stopped"))
    assert tune(build("mae").encoder, tmp_path / "stopped", resume=True, **config) == straight  # nothing is left to do


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The folder of a run that can be resumed."""
    out = tmp_path_factory.mktemp("runs") / "begun"
    tune(build("mae").encoder, out, epochs=0.5)
    return out


OTHER = {"layer_decay": 0.5, "blocks": 1, "drop_path": 0.2, "smoothing": 0.0, "mixup": 0.8, "cutmix": 1.0, "crop": 0.9, "flip": False, "pool": "cls"}


def test_every_setting_of_fine_tuning_is_tried():
    assert set(OTHER) == {f.name for f in fields(FinetuneConfig)} - {f.name for f in fields(TrainConfig)}


@pytest.mark.parametrize("name, value", [*OTHER.items(), ("lr", 0.5)])
def test_a_run_is_resumed_with_its_own_settings_alone(begun, name, value):
    was = getattr(settings(), name)
    with pytest.raises(UserError, match=f"the run in {begun} was begun with {name}={was}, not {value}: resume it with the same options"):
        tune(build("mae").encoder, begun, resume=True, **{"epochs": 0.5, name: value})


def test_a_run_is_resumed_from_its_own_encoder_alone(begun):
    other, wider = build("mae").encoder, build("mae", image_size=8).encoder
    with torch.no_grad():
        other.norm.bias.add_(1)
    with pytest.raises(UserError, match="was begun with weights=ViT .{8}, not ViT .{8}: "):
        tune(other, begun, resume=True, epochs=0.5)
    with pytest.raises(UserError, match=r"was begun with image_size=\[16, 16\], not \[8, 8\]: "):
        tune(wider, begun, resume=True, epochs=0.5)


def test_an_old_run_is_not_overwritten_and_a_resumed_one_needs_its_folder(begun):
    with pytest.raises(UserError, match="already holds a run"):
        tune(build("mae").encoder, begun, epochs=0.5)
    with pytest.raises(UserError, match="which: give the folder"):
        tune(build("mae").encoder, resume=True)


def test_it_is_judged_without_compiling_the_encoder_anew(monkeypatch):
    model, calls = classifier(build("mae").encoder, 10, settings()), []
    calling = type(model.encoder).__call__
    monkeypatch.setattr(type(model.encoder), "__call__", lambda self, *args, **more: calls.append(self) or calling(self, *args, **more))
    model({"image": toy(4).images, "label": toy(4).labels})
    assert len(calls) == 1  # what `compile` takes the place of
    judge(model.eval(), toy(4))
    assert len(calls) == 1


# What breaks while it is judged


def test_images_are_judged_by_the_runs_own_workers_and_in_parts_as_it_trains(monkeypatch):
    seen, in_order = [], classify.in_order
    monkeypatch.setattr(classify, "in_order", lambda data, *how: seen.append(how) or in_order(data, *how))
    tune(build("mae").encoder, workers=7)
    tune(build("mae").encoder, workers=0, accumulate=4)
    assert seen == [(500, torch.device("cpu"), 7), (125, torch.device("cpu"), 0)]


@pytest.mark.parametrize("error, says", [
    (torch.OutOfMemoryError("CUDA out of memory."), "does not hold 500 images at once.* with --accumulate 2 .* 250 at once, and --resume goes on$"),
    (RuntimeError("DataLoader worker (pid 4711) is killed by signal: Killed. "), "has died .*lower --workers, now 2, and go on with --resume$"),
])  # fmt: skip
def test_what_breaks_while_it_is_judged_is_told_and_its_advice_goes_on(error, says, tmp_path, monkeypatch):
    scores = Classifier.scores

    def breaks(self, images):
        if not self.training:
            raise error
        return scores(self, images)

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "scores", breaks)
        with pytest.raises(UserError, match=says) as told:
            tune(build("mae").encoder, tmp_path)
        assert told.value.__cause__ is error and f"the last good checkpoint is {tmp_path}" in str(told.value)
    assert tune(build("mae").encoder, tmp_path, resume=True, accumulate=2, workers=0).n == 12


# And loaded again


def test_a_fine_tuned_model_comes_back_as_it_was(tmp_path, monkeypatch):
    models = []
    monkeypatch.setattr(classify, "judge", lambda model, *args, **more: models.append(model) or judge(model, *args, **more))
    score = tune(build("mae").encoder, tmp_path, pool="cls", mixup=0.8, blocks=3)
    back, test = load_classifier(tmp_path), toy(12, seed=1)
    assert not back.training and torch.equal(back.scores(test.images), models[0].scores(test.images))
    assert judge(back, test).value == score.value
    assert torch.equal(load_classifier(tmp_path / "last.safetensors").scores(test.images), back.scores(test.images))


def test_what_was_pretrained_and_what_was_fine_tuned_are_not_mistaken_for_one_another(begun, tmp_path):
    minimim.save(tmp_path / "mae.safetensors", create("mae", image_size=16))
    for path in (tmp_path / "mae.safetensors", begun.parent / "nowhere"):
        with pytest.raises(UserError, match="does not hold a fine-tuned model|there is no checkpoint at"):
            load_classifier(path)
    with pytest.raises(UserError, match="holds a classifier, not a pretrained method: minimim.evaluate.load_classifier opens"):
        minimim.load(begun)


def test_an_encoder_that_was_made_by_hand_can_be_fine_tuned_but_not_made_again(tmp_path):
    torch.manual_seed(0)
    assert 0 <= tune(ViT(16, 4, (32, 2, 2)), tmp_path).value <= 1
    with pytest.raises(UserError, match="does not hold a fine-tuned model that can be made again"):
        load_classifier(tmp_path)


# Compiled


@pytest.mark.slow
def test_compiled_fine_tuning_is_the_same_and_compiles_in_its_first_step_alone(monkeypatch):
    graphs, after, compiling = [], [], nn.Module.compile
    torch._dynamo.reset()
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiling(self, backend=lambda graph, _: graphs.append(graph) or graph.forward))
    monkeypatch.setattr(Classifier, "after_step", lambda *_: after.append(len(graphs)))
    how = {"epochs": 4, "drop_path": 0.2, "mixup": 0.8, "cutmix": 1.0, "layer_decay": 0.65}
    plain, compiled = (tune(build("mae").encoder, compile=on, **how) for on in (False, True))
    assert plain.details["loss"] == pytest.approx(compiled.details["loss"], rel=1e-5) and plain.value == compiled.value
    assert after[:8] == [0] * 8 and after[8] > 0 and set(after[8:]) == {after[8]} == {len(graphs)}
