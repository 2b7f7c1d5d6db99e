"""The training loop: what a step does, what a run tells, and what it does when it is stopped or when a loss is lost."""

import json
import math
import os
import re
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers import build, raw
from torch import nn
from torch.utils.data import Dataset

import minimim
from minimim import evaluate, methods
from minimim.data import Images, scenes
from minimim.errors import UserError
from minimim.methods import Method, Output
from minimim.train import NotFinite, TrainConfig, logbook, settled, train
from minimim.train import processes as devices
from minimim.train.loop import CHECK_EVERY, steps_of
from minimim.train.schedule import cosine, decay_groups
from minimim.train.step import Stepper, adamw, learning_rate

NAMES = ["mae", "simmim", "data2vec", "ibot", "hpm"]


class Toy(nn.Module):
    """Nobody's method, but the loop must not mind: a linear map of the mean colour. It notes what is asked of it, and
    `surprise` is called with the number of each forward and may change the loss."""

    spec, teacher = None, None

    def __init__(self, surprise=lambda number, loss: loss):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(3, 2)), nn.Parameter(torch.zeros(2))
        self.fixed = nn.Parameter(torch.ones(2), requires_grad=False)
        self.defaults, self.surprise, self.events, self.losses = settings(), surprise, [], []

    def prepare(self, data, generator):
        self.events.append(("prepare", len(data)))

    def forward(self, images, *, progress, generator):
        self.events.append(("forward", len(images), progress))
        x = images.mean((2, 3), dtype=torch.float32) / 255  # (B, 3)
        loss = (x @ self.weight + self.bias - 1).square().mean()
        loss = self.surprise(len(self.losses), loss)
        self.losses.append(loss.item())
        return Output(loss, None, None, None, {"colour": 2 * loss.detach()})

    def after_step(self, progress):
        self.events.append(("after_step", progress))


def settings(**more):
    return TrainConfig(**{"epochs": 5, "batch_size": 8, "lr": 0.5, "device": "cpu", "log_every": 1, **more})


def data(count=16, seed=0):
    return Images(raw(count, seed=seed))


def run(method, config=None, images=None, **more):
    return train(method, images or data(), config, bar=False, **more)


def stepper(method, total=10, **more):
    config = settings(**more)
    return Stepper(method, adamw(method, config), config, total)


def at_each_step(optimizer, note):
    """What a function of the optimizer gives just before each of its steps, in a list."""
    seen = []
    optimizer.register_step_pre_hook(lambda opt, *_: seen.append(note(opt)))
    return seen


def gradients(optimizer):
    return [p.grad.clone() for group in optimizer.param_groups for p in group["params"]]


# The settings


@pytest.mark.parametrize(
    "name, value, says",
    [
        (name, value, "must be above 0")
        for name in ("epochs", "batch_size", "lr", "accumulate", "log_every")
        for value in (0, -1)
    ]
    + [(name, -1, "0 or more") for name in ("weight_decay", "clip", "workers", "save_every", "probe_every")]
    + [(name, math.nan, "not nan") for name in ("epochs", "lr", "weight_decay", "clip", "warmup")]
    + [("epochs", math.inf, "not inf"), ("warmup", 1, "below 1, not 1"), ("warmup", -0.1, "below 1, not -0.1")]
    + [
        ("betas", (0.9,), "two numbers .* not 0.9"),
        ("betas", 0.9, "two numbers"),
        ("betas", (0.9, 1.0), "below 1, not 0.9 1.0"),
    ]
    + [("precision", "bf61", "did you mean 'bf16'"), ("precision", "fp16", "Known: auto, bf16, fp32")],
)
def test_a_setting_that_cannot_be_is_named(name, value, says):
    with pytest.raises(UserError, match=f"{name}.* {says}"):
        TrainConfig(**{name: value})


def test_settled_changes_what_is_given_and_checks_it():
    config = TrainConfig(lr=3e-4)
    assert settled(config, lr=None, epochs=3) == TrainConfig(lr=3e-4, epochs=3) and config.epochs != 3
    with pytest.raises(UserError, match="lr must be above 0"):
        settled(config, lr=-1)


def test_a_run_has_as_many_steps_as_its_epochs_hold_and_at_least_one():
    assert steps_of(100, TrainConfig(epochs=3, batch_size=10)) == 30
    assert steps_of(105, TrainConfig(epochs=2, batch_size=10)) == 21  # batches straddle epochs
    assert steps_of(100, TrainConfig(epochs=0.01, batch_size=10)) == 1


@pytest.mark.parametrize(
    "batch, parts, says", [(17, 1, "more than the 16 images"), (8, 3, "3 equal parts"), (4, 8, "8 equal parts")]
)
def test_a_batch_that_does_not_fit_is_refused_before_anything_is_done(batch, parts, says, tmp_path):
    toy = Toy()
    with pytest.raises(UserError, match=says):
        run(toy, settings(batch_size=batch, accumulate=parts), out=tmp_path / "run")
    assert not toy.events and not (tmp_path / "run").exists()


# Learning rate, decay, clipping: the optimiser's step


@pytest.mark.parametrize("total, warmup", [(10, 0), (10, 4), (7, 6), (1, 0), (100, 5)])
def test_the_schedule_climbs_straight_to_its_height_and_falls_along_half_a_cosine(total, warmup):
    factors = [cosine(step, total, warmup) for step in range(total)]
    for step, factor in enumerate(factors):
        if step < warmup:
            expected = sum(1 / warmup for _ in range(step + 1))
        else:
            expected = math.cos(math.pi / 2 * (step - warmup) / (total - warmup)) ** 2
        assert factor == pytest.approx(expected, abs=1e-12)
    assert all(0 < factor <= 1 for factor in factors) and max(factors) == pytest.approx(1)
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)


def test_each_step_is_taken_at_its_own_learning_rate_scaled_by_the_batch_and_a_line_tells_it():
    config = {"epochs": 10, "batch_size": 16, "lr": 0.8, "warmup": 0.3}
    rates = [0.05 * cosine(step, 10, 3) for step in range(10)]
    one = stepper(Toy(), 10, **config)
    used = at_each_step(one.optimizer, lambda optimizer: {group["lr"] for group in optimizer.param_groups})
    for step in range(10):
        one(step, [raw(16)])
    assert [float(*rate) for rate in used] == pytest.approx(rates)
    assert [line["lr"] for line in run(Toy(), settings(**config)).history] == pytest.approx(rates)


@pytest.mark.parametrize("name", NAMES)
def test_everything_that_learns_is_in_one_group_and_biases_and_norms_do_not_decay(name):
    method = build(name)
    decayed, spared = ({id(p) for p in group["params"]} for group in decay_groups(method, 0.3))
    assert [group["weight_decay"] for group in decay_groups(method, 0.3)] == [0.3, 0.0]
    norms = {id(p) for m in method.modules() if isinstance(m, nn.LayerNorm) for p in m.parameters()}
    for label, p in method.named_parameters():
        assert (id(p) in decayed) + (id(p) in spared) == p.requires_grad, label
        if p.requires_grad:
            assert (id(p) in spared) == (label.endswith("bias") or id(p) in norms), label


def test_a_step_is_adamws_and_what_is_spared_does_not_decay():
    toy = Toy()
    one = stepper(toy, 4, batch_size=16, weight_decay=0.3, betas=(0.8, 0.9))
    values = [toy.weight.detach().clone().double(), toy.bias.detach().clone().double()]
    seen = at_each_step(one.optimizer, gradients)
    means, squares = [0.0, 0.0], [0.0, 0.0]
    for step in range(4):
        one(step, [raw(16, seed=step)])
        rate = learning_rate(one.config, step, 4)
        for i, decay in enumerate((0.3, 0.0)):
            gradient = seen[-1][i].double()
            means[i] = 0.8 * means[i] + 0.2 * gradient
            squares[i] = 0.9 * squares[i] + 0.1 * gradient**2
            spread = (squares[i] / (1 - 0.9 ** (step + 1))).sqrt() + 1e-8
            values[i] = values[i] * (1 - rate * decay) - rate * means[i] / (1 - 0.8 ** (step + 1)) / spread
    torch.testing.assert_close(toy.weight.detach().double(), values[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(toy.bias.detach().double(), values[1], atol=1e-6, rtol=0)
    assert torch.equal(toy.fixed, torch.ones(2))


@pytest.mark.parametrize("clip", [0.0, 0.01, 1e6])
def test_clipping_shortens_a_long_gradient_keeps_its_direction_and_tells_its_length(clip):
    toy = Toy()
    one = stepper(toy, clip=clip)
    seen = at_each_step(one.optimizer, gradients)
    norm = float(one(0, [raw(8)])["grad_norm"])
    free = Toy()
    free(raw(8), progress=0, generator=None).loss.backward()
    whole = torch.cat([free.weight.grad.flatten(), free.bias.grad])
    used = torch.cat([g.flatten() for g in seen[0]])
    assert norm == pytest.approx(float(whole.norm()), rel=1e-5) and norm > 0.1
    expected = whole if clip == 0 or clip > norm else whole * clip / norm
    torch.testing.assert_close(used, expected, atol=1e-6, rtol=1e-4)


# Accumulation


@pytest.mark.parametrize("name", ["mae", "simmim", "data2vec", "hpm"])
def test_parts_of_a_batch_give_the_gradient_and_the_masks_of_the_whole(name):
    x, came = raw(12), {}
    for parts in (1, 2, 3):
        method = build(name).train()
        masks = []
        method.register_forward_hook(lambda module, args, output, masks=masks: masks.append(output.mask))
        one = stepper(method, batch_size=12, accumulate=parts, seed=5)
        seen = at_each_step(one.optimizer, gradients)
        metrics = one(6, list(x.chunk(parts)))
        came[parts] = torch.cat(masks), [metrics[name] for name in sorted(metrics)], seen[0]
        assert len(masks) == parts
    for parts in (2, 3):
        assert torch.equal(came[parts][0], came[1][0])
        torch.testing.assert_close(came[parts][1:], came[1][1:], atol=1e-6, rtol=1e-5)
    assert max(g.abs().max() for g in came[1][2]) > 1e-3


# The loop


@pytest.mark.parametrize("parts", [1, 2])
def test_the_loop_prepares_goes_forward_as_often_as_it_accumulates_and_ends_each_step(parts):
    toy = Toy()
    result = run(toy, settings(epochs=2, accumulate=parts))
    expected = [("prepare", 16)]
    for step in range(4):
        expected += [("forward", 8 // parts, step / 4)] * parts + [("after_step", (step + 1) / 4)]
    assert toy.events == expected
    assert (result.steps, result.total, result.finished, result.path) == (4, 4, True, None)


def test_the_loop_knows_no_method_by_name():
    package = Path(minimim.__file__).parent
    sources = [*sorted((package / "train").glob("*.py")), package / "methods" / "method.py", package / "config.py"]
    assert len(sources) > 8
    for file in sources:
        for name in set(methods.names()) - {"clip"}:  # which is also what is done to gradients
            assert not re.search(rf"\b{name}\b", file.read_text(), re.IGNORECASE), f"{file.name} speaks of {name}"


def test_a_run_uses_the_methods_own_defaults_unless_told():
    toy = Toy()
    toy.defaults = settings(epochs=3)
    assert run(toy).total == 6 and run(toy, settings(epochs=1)).total == 2


def test_the_seed_decides_everything_and_the_global_generator_is_left_alone():
    def weights(seed):
        method = build("ibot")
        torch.manual_seed(11)
        run(method, settings(epochs=1, seed=seed, lr=1e-2))
        assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator().manual_seed(11)))
        return method.state_dict()

    one, same, other = weights(0), weights(0), weights(1)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert sum(not torch.equal(one[name], other[name]) for name in one) > 50


def test_a_method_learns():
    images = scenes(count=64, image_size=16)
    history = run(build("mae"), settings(epochs=20, batch_size=32, lr=2e-2, warmup=0.1), images).history
    first, last = (sum(line["loss"] for line in lines) / 5 for lines in (history[:5], history[-5:]))
    assert last < 0.9 * first


# What a run tells


def test_a_line_holds_means_since_the_last_and_the_history_is_what_the_file_says(tmp_path):
    toy = Toy()
    result = run(toy, settings(epochs=3.5, log_every=3), out=tmp_path)
    lines = [json.loads(text) for text in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == result.history
    assert [line["step"] for line in lines] == [3, 6, 7]  # and the last, though it is not a third
    for line, (first, last) in zip(lines, [(0, 3), (3, 6), (6, 7)], strict=True):
        mean = sum(toy.losses[first:last]) / (last - first)
        assert line["loss"] == pytest.approx(mean) and line["colour"] == pytest.approx(2 * mean)
        assert line["epoch"] == last * 8 / 16 and line["images_per_s"] > 0 and line["grad_norm"] > 0
        assert line["lr"] == pytest.approx(learning_rate(toy.defaults, last - 1, 7))


def test_waiting_is_the_share_of_time_in_which_images_were_not_there_and_looking_is_not_training(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(logbook, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def takes(seconds, value=None):
        clock[0] += seconds
        return value

    class Slow(Dataset):
        def __len__(self):
            return 16

        def __getitem__(self, index):  # a batch of 8 takes three seconds, one of the second epoch half a second
            return takes(3 / 8 if len(toy.losses) < 2 else 0.5 / 8, raw(16)[index])

    toy = Toy(lambda number, loss: takes(1, loss))
    config = settings(epochs=2, log_every=2, workers=0, probe_every=1)
    history = run(toy, config, Slow(), monitor=lambda method: takes(100, {"knn": 0.5})).history
    lines = [line for line in history if "loss" in line]
    assert [line["waiting"] for line in lines] == [0.75, round(1 / 3, 4)]
    assert [line["images_per_s"] for line in lines] == [2.0, round(8 / 1.5, 1)]


def test_the_progress_bar_tells_loss_and_waiting(capsys):
    train(Toy(), data(), settings(epochs=1))
    assert re.search(r"loss=\d\.\d{4}, waiting=\d+%", capsys.readouterr().err)


def test_the_history_is_kept_when_nothing_is_written():
    assert [line["step"] for line in run(Toy(), settings(epochs=2, log_every=3)).history] == [3, 4]


def test_the_monitor_looks_every_so_many_epochs(tmp_path):
    looks = []

    def monitor(method):
        looks.append(method)
        return {"knn": 0.5}

    toy = Toy()
    result = run(toy, settings(epochs=5, probe_every=2, log_every=100), out=tmp_path, monitor=monitor)
    seen = [line for line in result.history if "knn" in line]
    assert looks == [toy, toy] and [(line["step"], line["epoch"]) for line in seen] == [(4, 2.0), (8, 4.0)]
    assert run(Toy(), settings(epochs=2, probe_every=1, log_every=100)).history[:-1] == []  # nobody looks: nothing to tell


def test_the_evaluations_monitor_looks_at_the_encoder_and_changes_nothing():
    images, came = scenes(count=64, image_size=16), []
    for monitor in (None, evaluate.monitor(images.take(range(48)), images.take(range(48, 64)))):
        method = build("mae")
        result = run(method, settings(epochs=2, batch_size=32, probe_every=1), images, monitor=monitor)
        came.append(method.state_dict())
    looks = [line for line in result.history if "knn" in line]
    assert len(looks) == 2 and all(0 <= line["knn"] <= 1 and line["effective_rank"] >= 1 for line in looks)
    assert all(torch.equal(came[0][name], came[1][name]) for name in came[0]) and method.encoder.training


# Ctrl-C


def press(number, at, times=1):
    """A surprise: a signal in the middle of a forward, or several."""

    def surprise(count, loss):
        for _ in range(times if count == at else 0):
            os.kill(os.getpid(), number)
        return loss

    return surprise


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_step_saves_and_returns_and_the_run_can_go_on(number, tmp_path):
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    straight, stopped, again = Toy(), Toy(press(number, at=3)), Toy()
    whole = run(straight)
    first = run(stopped, out=tmp_path)
    assert (first.finished, first.steps, first.total) == (False, 4, 10)
    assert [line["step"] for line in first.history] == [1, 2, 3, 4]
    assert handlers == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
    second = run(again, out=tmp_path, resume=True)
    assert (second.finished, second.steps, len(again.losses)) == (True, 10, 6)
    assert torch.equal(again.weight, straight.weight) and torch.equal(again.bias, straight.bias)
    assert [line["loss"] for line in second.history] == [line["loss"] for line in whole.history]
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 10


@pytest.fixture
def usual_ctrl_c():
    """Ctrl-C as in a terminal: a process that was started in the background ignores it."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


def test_a_second_ctrl_c_interrupts_at_once(usual_ctrl_c):
    toy = Toy(press(signal.SIGINT, at=3, times=2))
    with pytest.raises(KeyboardInterrupt):
        run(toy)
    assert len(toy.losses) == 3 and signal.getsignal(signal.SIGINT) is signal.default_int_handler


# A loss that is not finite


def state(stepper):
    """Everything a step may change, copied."""
    moments = [t.clone() for slot in stepper.optimizer.state.values() for t in slot.values()]
    return {n: p.detach().clone() for n, p in stepper.method.named_parameters() if p.requires_grad}, moments


@pytest.mark.parametrize("name", ["mae", "ibot", "data2vec", "hpm"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_bad_step_changes_no_weight_and_the_teacher_and_the_centres_stay_finite(name, bad):
    one = stepper(build(name).train(), lr=5e-2)
    x = torch.rand(8, 3, 16, 16)
    one(0, [x])
    before, poisoned = state(one), x.clone()
    poisoned[0] = bad
    metrics = one(1, [poisoned])
    assert not metrics["loss"].isfinite() and int(one.first_bad) == 1
    torch.testing.assert_close(state(one), before, atol=0, rtol=0)
    assert all(t.isfinite().all() for t in one.method.state_dict().values())
    one(2, [x])
    one(3, [poisoned])
    assert int(one.first_bad) == 1  # the first is what counts
    after = state(one)[0]
    assert all(t.isfinite().all() for t in after.values())
    assert any(not torch.equal(after[n], before[0][n]) for n in after)


def test_a_gradient_that_is_not_finite_is_as_bad_as_a_loss():
    toy = Toy()
    one = stepper(toy)
    toy.weight.register_hook(lambda gradient: gradient / 0)
    metrics = one(0, [raw(8)])
    assert metrics["loss"].isfinite() and int(one.first_bad) == 0
    assert torch.equal(toy.weight, torch.ones(3, 2)) and torch.equal(toy.bias, torch.zeros(2))


def poison(at):
    return lambda count, loss: loss * math.nan if count == at else loss


def test_a_bad_step_stops_the_run_at_the_next_look_and_the_last_good_checkpoint_is_named(tmp_path):
    toy, config = Toy(poison(at=12)), settings(epochs=30, save_every=0)
    with pytest.raises(NotFinite) as caught:
        run(toy, config, out=tmp_path)
    assert len(toy.losses) == CHECK_EVERY == 20  # until then the device was not asked
    text, rate = str(caught.value), learning_rate(config, 12, 60)
    assert "step 13 " in text and f"{rate:.2e}" in text and str(tmp_path / "last.safetensors") in text
    again = Toy()
    assert run(again, config, out=tmp_path, resume=True).finished and len(again.losses) == 60 - 12
    straight = Toy()
    run(straight, config)
    assert torch.equal(again.weight, straight.weight)


@pytest.mark.parametrize("last", [4, 9])
def test_a_bad_step_near_the_end_of_a_short_run_is_not_saved(last, tmp_path):
    with pytest.raises(NotFinite, match="nothing was saved yet"):
        run(Toy(poison(at=last)), out=tmp_path)
    assert not (tmp_path / "last.safetensors").exists()
    with pytest.raises(NotFinite, match="nothing was saved yet"):
        run(Toy(poison(at=last)))


def test_ctrl_c_after_a_bad_step_does_not_save_it(tmp_path):
    def surprise(count, loss):
        return press(signal.SIGINT, at=5)(count, poison(at=3)(count, loss))

    with pytest.raises(NotFinite, match="step 4 "):
        run(Toy(surprise), out=tmp_path)
    assert not (tmp_path / "last.safetensors").exists()


# Devices, precision, compilation


def test_a_device_that_is_not_there_or_has_no_name_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert devices.pick_device().type == "cpu"
    with pytest.raises(UserError, match="no cuda device .* --device auto"):
        devices.pick_device("cuda")
    with pytest.raises(UserError, match="did you mean 'cuda'"):
        devices.pick_device("cude")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert devices.pick_device() == torch.device("cuda") and devices.pick_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(UserError, match="no cuda:4: this machine has 4 GPUs"):
        devices.pick_device("cuda:4")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert devices.pick_device() == torch.device("cuda:3") and devices.pick_device("cuda:1") == torch.device("cuda:1")
    monkeypatch.setenv("LOCAL_RANK", "4")
    with pytest.raises(UserError, match="more processes here than there are GPUs: use --nproc-per-node=4"):
        devices.pick_device()
    assert devices.pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("able", [True, False])
def test_bf16_is_the_default_on_gpus_that_really_have_it_and_nowhere_else(able, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: able or including_emulation)
    cpu, gpu, apple = (torch.device(kind) for kind in ("cpu", "cuda", "mps"))
    assert devices.precision("auto", gpu) == (torch.bfloat16 if able else torch.float32)
    assert devices.precision("auto", cpu) == devices.precision("auto", apple) == torch.float32
    assert devices.precision("bf16", cpu) == torch.bfloat16
    assert all(devices.precision("fp32", device) == torch.float32 for device in (cpu, gpu, apple))
    for device in [apple] if able else [apple, gpu]:
        with pytest.raises(UserError, match=f"this {device.type} device has no bf16: use --precision fp32, or auto, which takes fp32"):
            devices.precision("bf16", device)


@pytest.mark.parametrize("able", ["AVX2", "DEFAULT", "AVX512"])
def test_a_cpu_that_is_slow_in_bf16_says_so_and_does_it(able, monkeypatch, recwarn):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: able)
    assert devices.precision("auto", torch.device("cpu")) == torch.float32 and not recwarn
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    assert devices.precision("bf16", torch.device("cuda")) == torch.bfloat16 and not recwarn  # whatever its host can do
    assert devices.precision("bf16", torch.device("cpu")) == torch.bfloat16
    told = [str(warning.message) for warning in recwarn]
    assert told == [] if able == "AVX512" else len(told) == 1 and "use --precision fp32" in told[0]


def test_drop_path_draws_from_seed_step_and_process(monkeypatch):
    seen = []
    for seed, step, rank in ((0, 3, 0), (0, 3, 0), (1, 3, 0), (0, 4, 0), (0, 3, 1)):
        monkeypatch.setattr("minimim.train.step.rank", lambda rank=rank: rank)
        take = stepper(Toy(lambda number, loss: seen.append(torch.rand(())) or loss), seed=seed)
        take(step, [raw(8)])
    first, again, *others = map(float, seen)
    assert first == again and len({first, *others}) == 4


@pytest.mark.parametrize("asked, expected", [("auto", None), ("fp32", None), ("bf16", torch.bfloat16)])
def test_only_the_forward_runs_in_bf16_and_only_when_asked_on_the_cpu(asked, expected):
    seen = []

    def look(count, loss):
        seen.append(torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None)
        return loss

    toy = Toy(look)
    toy.weight.register_hook(lambda gradient: look(0, gradient))
    run(toy, settings(epochs=0.5, precision=asked))
    assert seen == [expected, None] and toy.weight.dtype == torch.float32


def test_compiling_compiles_what_costs_once_and_changes_no_name(monkeypatch):
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(self))
    method = build("ibot")
    names = list(method.state_dict())
    run(method, settings(epochs=0.5))
    assert compiled == []
    run(method, settings(epochs=0.5, compile=True))
    assert compiled == [method.encoder, method.decoder, method.teacher.encoder, method.teacher.decoder]
    assert list(method.state_dict()) == names
    compiled.clear()
    run(build("data2vec"), settings(epochs=0.5, compile=True))
    assert len(compiled) == 3  # its teacher has no head


@pytest.mark.slow
@pytest.mark.parametrize("name", methods.names())
def test_a_compiled_run_is_the_same_training_and_compiles_in_its_first_step_alone(name, monkeypatch):
    graphs, after, compiling, stepping = [], [], nn.Module.compile, Method.after_step

    def note(method, progress):
        after.append(len(graphs))
        stepping(method, progress)

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiling(self, backend=backend))
    monkeypatch.setattr(Method, "after_step", note)
    known = scenes(count=16, image_size=16)  # what any method needs beside images
    plain, compiled = (run(build(name), settings(epochs=2, lr=0.01, compile=on), known) for on in (False, True))
    losses = [torch.tensor([line["loss"] for line in each.history if "loss" in line]) for each in (plain, compiled)]
    assert len(losses[0]) == 4 and losses[0][0] != losses[0][-1]
    torch.testing.assert_close(*losses, rtol=1e-5, atol=1e-6)
    assert after[:4] == [0] * 4 and after[4] > 0 and set(after[4:]) == {after[4]}
