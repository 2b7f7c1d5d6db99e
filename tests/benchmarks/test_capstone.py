"""The capstone's command: every job, piece by piece, goes on where it stopped, and what was not run is said plainly."""

import errno
import json
import os
import sys
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers import TOP, raw

import minimim
from minimim import checkpoint
from minimim.decoders import TransformerDecoder
from minimim.errors import UserError
from minimim.evaluate.features import fingerprint
from minimim.methods import create

BENCHMARKS = TOP / "benchmarks"
README = BENCHMARKS / "README.md"


@pytest.fixture
def capstone(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import capstone

    return capstone


@pytest.fixture
def go(capstone, monkeypatch, tmp_path):
    """The exit code of `python benchmarks/capstone.py --smoke …`, kept in a folder of its own. The look at the machine, which
    comes first, is left out."""
    monkeypatch.setattr(capstone, "check", lambda *_: None)

    def go(*arguments, runs="runs", smoke=("--smoke",)):
        command = [
            str(BENCHMARKS / "capstone.py"),
            *smoke,
            *arguments,
            "--runs",
            str(tmp_path / runs),
            "--out",
            str(tmp_path / runs / "results"),
        ]
        monkeypatch.setattr(sys, "argv", command)
        return capstone.main()

    return go


def written(folder):
    """What is in the results, by the name of the file."""
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("results/*.json")}


# All of it, small


@pytest.mark.slow
def test_every_stage_of_every_job_is_done_once_and_told_in_list_table_and_card(go, capstone, tmp_path, capsys):
    assert go("--minutes", "0") == 0
    told, results = capsys.readouterr().out, written(tmp_path / "runs")
    assert "all that can be done here is done" in told
    main = ["cifar10-cpu-smoke", "cifar10-smoke", "tiny-imagenet-50-smoke"]
    assert results.keys() == {f"{name}-cpu" for name in [*main, "capstone-questions"]}
    for name in main:
        whole = results[f"{name}-cpu"]
        assert whole["done"] == list(sys.modules["jobs"].STAGES) == list(whole["seconds"]) == list(whole["peak_memory_gib"])
        for rows in whole["scores"].values():
            assert rows.keys() == {"pretrained", "random_init", "raw_pixels"} and all(
                0 <= value <= 1 for value, _ in rows.values()
            )
        assert whole["figures"].keys() == {"official", "finetune", "scratch"}
        assert whole["loss"][-1][0] == whole["steps"] and whole["images_per_s"] > 0 <= whole["waiting"] <= 1
        assert whole["test_images"] == 100 and whole["labels"] == (90 if "cpu-smoke" in name else 100)
        card = (tmp_path / "runs" / name / f"{name}.md").read_text()
        figures = [*whole["figures"].values(), *(pair for rows in whole["scores"].values() for pair in rows.values())]
        assert "not yet" not in card and all(f"{value:.3f} ± {error:.3f}" in card for value, error in figures)
        tuned, scratch, official = (
            checkpoint.read(tmp_path / "runs" / name / stage)[1] for stage in ("finetune", "scratch", "official")
        )
        encoder = minimim.load(tmp_path / "runs" / name / f"{name}.safetensors").encoder
        assert tuned["spec"]["weights"] == official["spec"]["weights"] == fingerprint(encoder) != scratch["spec"]["weights"]
        assert {about["images"] for about in (tuned, scratch, official)} == {whole["labels"]}
        assert whole["command"] in card and "Fashion-MNIST (Zalando), MIT License" in card

    questions = results["capstone-questions-cpu"]
    settings = {row["at"]: row for row in questions["runs"]}
    assert len(settings) == len(questions["runs"]) == 12
    assert {at for choices in questions["questions"].values() for at in choices.values()} == set(settings)
    assert {at: set(row["floors"]) for at, row in settings.items() if row["floors"]} == {
        "mae": {"random_init", "raw_pixels"}, **{method: {"random_init"} for method in ("simmim", "data2vec", "ibot")}
    }  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == sorted([*main, "results"])

    assert go("--table") == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 2 + 3 + 12 and "not run" not in "".join(lines) and len({line.count("|") for line in lines}) == 1
    assert f"{settings['simmim']['knn'][0]:.3f} ±" in next(line for line in lines if "simmim" in line)
    assert go("--list") == 0
    assert capsys.readouterr().out.count(" done") == 3 * 6 + 12
    assert go("--minutes", "0") == 0 and ": " not in capsys.readouterr().out  # no stage is begun again

    assert go("--keep") == 0
    kept = tmp_path / "runs" / "checkpoints"
    assert {path.name for path in kept.iterdir()} == {f"{name}{end}" for name in main for end in (".safetensors", ".md")}
    method = minimim.load(kept / "cifar10-cpu-smoke.safetensors")
    assert (kept / "cifar10-cpu-smoke.safetensors").stat().st_size < 2.1 * sum(p.numel() for p in method.parameters())
    assert method.encoder.features(raw(2)[..., :12, :12]).shape == (2, method.encoder.dim)


@pytest.mark.slow
def test_a_job_cut_after_every_step_ends_as_one_that_was_left_alone(go, tmp_path, capsys):
    alone, cut = ("--only", "cifar10-cpu-smoke", "--minutes", "0"), ("--only", "cifar10-cpu-smoke", "--minutes", "1e-9")
    assert go(*alone, runs="alone") == 0
    codes = [go(*cut, runs="cut")]
    assert "stopped at cifar10-cpu-smoke: the same command goes on from there" in capsys.readouterr().out
    go("--list", runs="cut")
    assert "pretrain 64%, probe -, floors -" in capsys.readouterr().out  # a step of 32 of 0.5 · 100 images
    while codes[-1] == 130 and len(codes) < 20:
        codes.append(go(*cut, runs="cut"))
    one, other = (written(tmp_path / runs)["cifar10-cpu-smoke-cpu"] for runs in ("alone", "cut"))
    assert codes[-1] == 0 and [len(calls) for calls in other["calls"].values()] == [2, 1, 1, 1, 1, 1]
    assert [len(calls) for calls in one["calls"].values()] == [1] * 6
    timed = {"command", "seconds", "calls", "peak_memory_gib", "images_per_s", "waiting"}
    assert {k: v for k, v in one.items() if k not in timed} == {k: v for k, v in other.items() if k not in timed}
    mine, its = (
        (tmp_path / runs / "cifar10-cpu-smoke" / "cifar10-cpu-smoke.safetensors").read_bytes() for runs in ("alone", "cut")
    )
    assert mine == its


@pytest.mark.slow
def test_the_seconds_of_pieces_and_of_what_broke_add_up(go, tmp_path, monkeypatch, capstone, capsys):
    Work, times = sys.modules["stages"].Work, iter(range(0, 10_000, 10))
    monkeypatch.setattr(sys.modules["stages"].time, "monotonic", lambda: next(times))
    answers = iter([False, UserError("the disk is full"), True])

    def pretrain(work):
        work.record |= {"steps": 1}
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(Work, "pretrain", pretrain)
    monkeypatch.setattr(Work, "publish_row", lambda work: None)
    monkeypatch.setattr(Work, "probe", lambda work: False)
    only = ("--only", "simmim-seed0-smoke", "--minutes", "0")
    assert [go(*only), go(*only), go(*only)] == [130, 1, 130]
    assert "simmim-seed0-smoke: the disk is full" in capsys.readouterr().out
    go("--list")
    assert "simmim                     seed 0 pretrained\n" in capsys.readouterr().out
    record = json.loads((tmp_path / "runs" / "simmim-seed0-smoke" / "progress.json").read_text())
    assert record["seconds"]["pretrain"] == 30 and len(record["calls"]["pretrain"]) == 3 and record["done"] == ["pretrain"]


def test_what_breaks_one_job_leaves_the_time_to_the_others(go, monkeypatch, capstone, capsys):
    asked = []

    def pretrain(work):
        asked.append(work.job.name)
        raise [UserError("no memory"), RuntimeError("a bug")][len(asked) % 2]

    monkeypatch.setattr(sys.modules["stages"].Work, "pretrain", pretrain)
    assert go("--minutes", "0") == 1
    told = capsys.readouterr()
    assert len(asked) == 15 and f"broke: {', '.join(asked)}" in told.out
    assert "no memory" in told.out and told.err.count("Traceback") == told.err.count("\nRuntimeError: a bug") == 8


def test_a_stage_whose_results_could_not_be_written_is_not_taken_for_done(go, tmp_path, monkeypatch, capsys):
    Work, published = sys.modules["stages"].Work, []

    def publish(work):
        published.append(list(work.record["done"]))
        if len(published) == 1:
            raise UserError("the disk is full")

    monkeypatch.setattr(Work, "pretrain", lambda work: True)
    monkeypatch.setattr(Work, "probe", lambda work: False)
    monkeypatch.setattr(Work, "publish", publish)
    assert [go("--only", "cifar10-smoke"), go("--only", "cifar10-smoke")] == [1, 130]
    assert published == [["pretrain"], ["pretrain"]] and capsys.readouterr().out.count("cifar10-smoke: pretrain") == 2


def test_a_piece_is_counted_before_its_results_are_written_and_done_only_after(go, tmp_path, monkeypatch):
    Work, seen = sys.modules["stages"].Work, []
    kept = tmp_path / "runs" / "cifar10-smoke" / "progress.json"
    monkeypatch.setattr(sys.modules["stages"].time, "monotonic", count(0, 10).__next__)
    monkeypatch.setattr(Work, "pretrain", lambda work: True)
    monkeypatch.setattr(Work, "probe", lambda work: False)
    monkeypatch.setattr(Work, "publish", lambda work: seen.append(json.loads(kept.read_text())))
    assert go("--only", "cifar10-smoke", "--minutes", "0") == 130
    (then,) = seen
    assert then["seconds"] == {"pretrain": 10} and then["calls"] == {"pretrain": ["cpu"]} and not then["done"]
    assert json.loads(kept.read_text())["done"] == ["pretrain"]


@pytest.mark.parametrize("saved, lost", [(1077.0, 77), (990.0, 0), (None, 0)])
def test_a_piece_that_was_killed_is_counted_up_to_its_last_checkpoint(saved, lost, go, tmp_path, monkeypatch):
    folder, during = tmp_path / "runs" / "cifar10-smoke", []
    kept, weights = folder / "progress.json", folder / "pretrain" / checkpoint.NAME

    def pretrain(work):
        during.append(kept.read_bytes())
        return False

    monkeypatch.setattr(sys.modules["stages"].time, "monotonic", count(0, 10).__next__)
    monkeypatch.setattr(sys.modules["stages"].Work, "pretrain", pretrain)
    assert go("--only", "cifar10-smoke", "--minutes", "0") == 130
    kept.write_bytes(during[0])  # as a kill leaves it
    os.utime(kept, (1000.0, 1000.0))
    if saved:
        weights.parent.mkdir()
        weights.touch()
        os.utime(weights, (saved, saved))
    for pieces in (1, 2):
        assert go("--only", "cifar10-smoke", "--minutes", "0") == 130
        record = json.loads(kept.read_text())
        assert record["seconds"]["pretrain"] == lost + 10 * pieces
        assert record["calls"]["pretrain"] == ["cpu"] * (bool(lost) + pieces) and "under_way" not in record
        if saved:
            os.utime(weights, (2e9, 2e9))  # as a copy may have it: of a piece that came to its end nothing is added


def test_a_disk_that_fills_up_leaves_the_results_that_were_there(capstone, tmp_path, monkeypatch):
    machine = sys.modules["machine"]
    path = machine.write("x", "cpu", 0, {"runs": [1]}, tmp_path)
    before = path.read_text()

    def full(path, text):
        with path.open("w") as file:
            file.write(text[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UserError, match="x-cpu.json: the disk is full; the last .* is untouched"):
        machine.write("x", "cpu", 0, {"runs": [1, 2]}, tmp_path)
    assert path.read_text() == before and list(tmp_path.iterdir()) == [path]


def test_results_that_are_damaged_are_named(capstone, tmp_path):
    path = tmp_path / "cifar10-cpu.json"
    path.write_text('{"job": "cif')
    with pytest.raises(UserError, match="cifar10-cpu.json is not whole JSON"):
        capstone.report.known(capstone.jobs()[0], tmp_path / "runs", tmp_path, "cpu")


def test_a_stage_is_told_the_seed_the_device_and_the_time_of_this_call(capstone, tmp_path, monkeypatch):
    job = next(job for job in capstone.jobs([5]) if job.name == "cifar10-cpu")
    monkeypatch.setattr(sys.modules["stages"].time, "monotonic", lambda: 0.0)
    work = capstone.begin(job, tmp_path, tmp_path, "cpu", capstone.Clock(4))
    assert work.told(job.base.finetune) == replace(job.base.finetune, seed=5, device="cpu", max_minutes=4)


@pytest.mark.parametrize("able, precision", [("AVX512", "bf16"), ("AVX2", "auto")])
def test_the_job_on_a_cpu_is_in_bf16_where_that_is_quick(capstone, monkeypatch, able, precision):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: able)
    jobs = {job.name: job.base for job in capstone.jobs()}
    for stage in ("train", "probe", "finetune"):
        assert getattr(jobs["cifar10-cpu"], stage).precision == precision and getattr(jobs["cifar10"], stage).precision == "auto"


def test_the_random_start_of_fine_tuning_is_drawn_by_the_seed(capstone, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(sys.modules["stages"].evaluate, "finetune", lambda encoder, *_, **__: seen.append(fingerprint(encoder)))
    for seed, before in ((0, 1), (0, 2), (1, 1)):
        job = next(job for job in capstone.jobs([seed], smoke=True) if job.name == "cifar10-smoke")
        torch.manual_seed(before)
        capstone.begin(job, tmp_path, tmp_path, "cpu", capstone.Clock(0)).scratch()
    assert seen[0] == seen[1] != seen[2]


def test_a_job_that_is_in_the_results_in_part_begins_anew_where_its_folder_is_gone(capstone, tmp_path):
    job, report = capstone.jobs()[1], sys.modules["report"]
    for done in (job.stages[:2], job.stages):
        content = {"job": job.name, "done": list(done)}
        (tmp_path / f"{job.file}-cpu.json").write_text(json.dumps(content))
        assert report.known(job, tmp_path / "runs", tmp_path, "cpu") == (content if done == job.stages else {})


@pytest.mark.parametrize("length", [1, 2, 59, 60, 61, 119, 1465])
def test_a_loss_curve_is_thinned_evenly_and_keeps_its_ends(capstone, length):
    curve = [[step, 0.5] for step in range(1, length + 1)]
    steps = [step for step, _ in sys.modules["stages"].thinned(curve)]
    assert len(steps) <= 60 and steps[-1] == length and steps == sorted(set(steps)) and steps[0] == 1
    assert len({b - a for a, b in pairwise(steps[:-1])}) <= 1 and (length > 59 or len(steps) == length)


def test_another_seed_is_refused_where_one_is_under_way(go, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys.modules["stages"].Work, "pretrain", lambda work: False)
    assert go("--only", "cifar10-smoke") == 130
    assert go("--only", "cifar10-smoke", "--seeds", "7") == 1
    assert "was begun with seed 0" in capsys.readouterr().out


def test_other_settings_are_refused_where_a_job_is_under_way(go, capstone, tmp_path, monkeypatch, capsys):
    jobs, asked = capstone.jobs, []
    monkeypatch.setattr(capstone, "able_to_compile", lambda wanted, device: wanted)
    monkeypatch.setattr(sys.modules["stages"].Work, "pretrain", lambda work: asked.append(work.job) or False)

    def under(**changes):
        monkeypatch.setattr(
            capstone, "jobs", lambda *how: [replace(job, base=capstone.changed(job.base, **changes)) for job in jobs(*how)]
        )
        return go("--only", "cifar10-smoke")

    assert [under(), under(precision="bf16", compile=True, workers=1), under(lr=0.5)] == [130, 130, 1] and len(asked) == 2
    told = capsys.readouterr().out
    assert "cifar10-smoke was begun with train.lr=0.0003, not 0.5: choose another --runs, or remove" in told
    go("--list", "--only", "cifar10-smoke")
    assert "pretrain begun" in (told := capsys.readouterr().out) and "(begun under other settings)" in told


@pytest.mark.parametrize("name", ["cifar10-smoke", "simmim-seed0-smoke"])
@pytest.mark.parametrize(
    "stage, change",
    [("train", {"lr": 0.5}), ("finetune", {"mixup": 0.2}), ("", {"image_size": 28}), ("", {"options": {"mask_ratio": 0.5}})],
)
def test_results_under_other_settings_are_not_taken_for_done(
    name, stage, change, go, capstone, tmp_path, monkeypatch, capsys
):
    job = next(job for job in capstone.jobs([0], smoke=True) if job.name == name)
    preset = job.settings
    if stage:
        del preset[stage]["warmup"]  # a setting that came later
    preset["train"] |= {"compile": True, "precision": "bf16", "workers": 1}  # what the machine may choose
    about = {"at": job.at, "seed": 0, "job": name, "done": list(job.stages), "preset": preset}
    results = tmp_path / "runs" / "results" / f"{job.file}-cpu.json"
    results.parent.mkdir(parents=True)
    monkeypatch.setattr(sys.modules["stages"].Work, "pretrain", lambda work: False)
    codes, told = [], []
    for changes in ({}, change):
        (preset[stage] if stage else preset).update(changes)
        results.write_text(json.dumps({**about, "runs": [about]}))
        codes.append(go("--only", name))
        told.append(capsys.readouterr().out)
        go("--list", "--only", name)
        told.append(capsys.readouterr().out)
    assert codes == [0, 130]
    assert "settings" not in told[0] + told[1] and "done" in told[1]
    changed = ".".join(filter(None, (stage, *change)))
    assert f"{name}: done anew, as its results are stored under other settings ({changed}=" in told[2]
    assert "stored under other settings" in told[3] and "done" not in told[3]


@pytest.mark.parametrize("able", ["AVX512", "AVX2"])
def test_the_results_in_the_repository_are_of_the_preset_as_it_is(capstone, tmp_path, monkeypatch, able):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: able)
    known = capstone.report.known(capstone.jobs()[0], tmp_path, capstone.RESULTS, "cpu")
    assert known["done"] == list(sys.modules["jobs"].STAGES) and "flip" not in known["preset"]["probe"]


def test_how_far_a_stage_is_can_be_told_where_a_kill_cut_its_last_line(capstone, tmp_path):
    job = capstone.jobs()[1]
    folder = tmp_path / job.name / "pretrain"
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text('{"step": 9, "epoch": 300.0}\n{"step": 10, "ep')
    assert capstone.report.state(job, "pretrain", {}, tmp_path) == "50%"


# What there is to do


def test_the_questions_change_one_thing_each_and_share_the_rest(capstone):
    everything = [job for job in capstone.jobs() if job.at]
    assert [job.seed for job in everything] == [0] * 12 + [1] * 12 + [2] * 12 and len({job.name for job in everything}) == 36
    plain = next(job for job in everything if job.at == "mae")
    for job in everything:
        base, train = job.base, job.base.train
        assert (base.data, base.size, base.patch_size, job.labels) == (plain.base.data, "tiny", 4, 0)
        assert (train.epochs, train.batch_size, train.compile) == (100, 1024, True)
        assert bool(job.floors) == (job.at == base.method and job.seed == 0)
        if base.method == "mae":
            assert sum(base.options[name] != value for name, value in plain.base.options.items()) == (job.at != "mae")
            assert train == plain.base.train
        else:
            own = create(base.method, image_size=32, size="tiny").defaults
            assert (train.lr, train.betas, train.clip, train.weight_decay) == (own.lr, own.betas, own.clip, own.weight_decay)


def test_the_plain_run_of_the_questions_is_the_preset_as_it_is(capstone):
    base = next(job.base for job in capstone.jobs() if job.at == "mae")
    with_options, without = (create("mae", **base.sizes, **options) for options in (base.options, {}))
    assert isinstance(without.decoder, TransformerDecoder) and len(without.decoder.blocks) == len(
        with_options.decoder.blocks
    )
    assert without.masking.ratio == with_options.masking.ratio and without.target.normalize == with_options.target.normalize
    preset = next(job.base for job in capstone.jobs() if job.name == "cifar10")
    assert replace(base, options={}, train=replace(base.train, epochs=preset.train.epochs)) == preset


def test_what_cannot_be_done_here_is_skipped_with_a_sentence(capstone, go, monkeypatch, capsys):
    jobs = sys.modules["jobs"]
    monkeypatch.setattr(jobs, "here", lambda name: name == "cifar10")
    reasons = {job.name: (job.why_not("cuda"), job.why_not("cpu")) for job in capstone.jobs()}
    assert reasons["cifar10"] == ("", "needs a GPU") and reasons["cifar10-cpu"] == ("for --device cpu", "")
    assert "MINIMIM_PACKS" in reasons["tiny-imagenet-50"][0] and "not on this machine" in reasons["tiny-imagenet-50"][0]
    assert go("--only", "questions", "--device", "cpu", smoke=()) == 0
    assert capsys.readouterr().out.startswith("skipped the questions: needs a GPU\n")
    with pytest.raises(UserError, match="did you mean 'cifar10-cpu'"):
        go("--only", "cifar10-cp", smoke=())


def test_no_stage_begins_in_the_last_fifth_of_the_time_but_the_first_of_a_call(capstone, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(sys.modules["stages"].time, "monotonic", lambda: now[0])
    clock = capstone.Clock(10)
    now[0] = 590.0
    assert clock.start() and not clock.start()
    now[0] = 470.0
    assert clock.start() and clock.left() == pytest.approx(130 / 60)
    now[0] = 700.0
    assert 0 < clock.left() < 1e-6  # 0 would be no end at all
    assert capstone.Clock(0).left() == 0 and capstone.Clock(0).start()


# The look at the machine


@pytest.mark.slow
def test_the_look_at_the_machine_says_what_is_there_and_sees_a_recipe_that_does_not_learn(
    capstone, tmp_path, monkeypatch, capsys
):
    wanted = capstone.jobs()
    capstone.check(wanted, "cpu", tmp_path / "runs")
    told = capsys.readouterr().out
    for word in (torch.__version__, "device: ", "data: cifar10 is ", "data: tiny-imagenet-50 is ", "GiB free"):
        assert word in told
    assert {"mae", "simmim", "data2vec", "ibot"} == {job.base.method for job in wanted}
    assert all(f"{name} " in told for name in {job.base.method for job in wanted})
    monkeypatch.setattr(capstone, "LR", 1e-30)
    with pytest.raises(UserError, match="ten steps of mae on cpu took its loss"):
        capstone.check(wanted, "cpu", tmp_path / "runs")


def test_a_disk_that_is_nearly_full_is_told_before_anything_is_done(capstone, tmp_path, monkeypatch):
    monkeypatch.setattr(capstone, "ten_steps", lambda name, device: (2.0, 1.0))
    monkeypatch.setattr(capstone.shutil, "disk_usage", lambda folder: SimpleNamespace(free=0.4 * 2**30))
    with pytest.raises(UserError, match=f"there is 0.4 GiB free in {tmp_path}, and runs need 1: free some, or choose another --runs"):
        capstone.check(capstone.jobs(), "cpu", tmp_path)


def test_where_nothing_can_be_compiled_all_runs_go_without(capstone, monkeypatch, capsys):
    jobs = sys.modules["jobs"]
    monkeypatch.setattr(jobs, "here", lambda name: True)
    wanted = capstone.jobs()

    def broken(*_, **__):
        raise RuntimeError("no C compiler")

    monkeypatch.setattr(capstone.torch, "compile", broken)
    assert capstone.able_to_compile(wanted, "cpu") is wanted and not capsys.readouterr().out  # no job of a CPU compiles
    without = capstone.able_to_compile(wanted, "cuda")
    assert not any(job.base.train.compile or job.base.finetune.compile for job in without) and len(without) == len(wanted)
    assert wanted[1].base.train.compile and without[1].base.train == replace(wanted[1].base.train, compile=False)
    assert "torch.compile does not work here" in capsys.readouterr().out


# What was run, and what was not


def test_what_was_not_run_on_a_gpu_is_said_plainly(go, capstone, tmp_path, capsys):
    assert go("--table", smoke=()) == 0
    rows = capsys.readouterr().out.strip().splitlines()[2:]
    assert [row.split(" | ")[:2] for row in rows] == [
        ["| cifar10-cpu", "not run"],
        *([f"| {name}", "not run on a GPU"] for name in ("cifar10", "tiny-imagenet-50", "questions: 12 settings")),
    ]
    assert go("--list", "--device", "cpu", smoke=()) == 0
    told = capsys.readouterr().out
    assert told.count("not run on a GPU") == 3 and "done" not in told


def test_results_of_one_job_and_of_one_device_are_not_taken_for_anothers(go, tmp_path, capsys):
    """cifar10-cpu.json is what the job cifar10-cpu writes, and the name that the job cifar10 would have on a CPU."""
    stages = list(sys.modules["jobs"].STAGES)
    whole = {
        "job": "cifar10-cpu",
        "seed": 0,
        "done": stages,
        "machine": "two cores",
        "labels": 10_000,
        "seconds": {"pretrain": 9.0, "probe": 3.0},
    }
    whole |= {"scores": {"linear_probe": {"pretrained": [0.5, 0.01]}}, "figures": {"finetune": [0.625, 0.005]}}
    results = tmp_path / "runs" / "results"
    results.mkdir(parents=True)
    (results / "cifar10-cpu.json").write_text(json.dumps(whole))
    go("--table", smoke=())
    rows = capsys.readouterr().out.strip().splitlines()[2:]
    assert "| cifar10-cpu | two cores | 10,000 | 0.500 ± 0.010 | – | – | 0.625 ± 0.005 | – | – | – | 9, 12 |" == rows[0]
    assert "| cifar10 | not run on a GPU |" in rows[1] and len(rows) == 4
    calls = {"pretrain": ["nvidia-y", "nvidia-x"], "probe": ["nvidia-x"]}
    (results / "cifar10-nvidia-x.json").write_text(
        json.dumps(whole | {"job": "cifar10", "machine": "one X", "calls": calls})
    )
    go("--table", smoke=())
    rows = capsys.readouterr().out.strip().splitlines()[2:]
    assert "| cifar10 | one X (pieces on nvidia-x, nvidia-y) |" in rows[1]
    assert "not run" not in rows[0] + rows[1] and len(rows) == 4
    go("--list", "--device", "cpu", smoke=())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].count("done") == 6 and lines[1].count("done") == 0 and "results: nvidia-x" in lines[1]


def test_the_mean_over_the_seeds_and_the_floors_stand_in_a_questions_row(go, tmp_path, capsys):
    def run(at, method, seed, value, **floors):
        figures = {"linear_probe": [value, 0.01], "knn": [value / 2, 0.01]}
        floors = {name: {"linear_probe": [x, 0.01], "knn": [x, 0.01]} for name, x in floors.items()}
        return {
            "at": at,
            "method": method,
            "seed": seed,
            "seconds": {"pretrain": 10.0, "probe": 2.0},
            "floors": floors,
            **figures,
        }

    rows = [run("mae", "mae", 0, 0.5, random_init=0.3, raw_pixels=0.4), run("mae", "mae", 1, 0.7)]
    rows += [run("mae-mask_ratio=0.5", "mae", 0, 0.6), run("ibot", "ibot", 0, 0.2, random_init=0.1)]
    results = tmp_path / "runs" / "results"
    results.mkdir(parents=True)
    (results / "capstone-questions-nvidia-x.json").write_text(
        json.dumps({"machine": "one X", "labels": 50_000, "runs": rows})
    )
    go("--table", smoke=())
    told = capsys.readouterr().out
    assert (
        "| question: mae, 2 seeds | one X | 50,000 | 0.600 ± 0.010 | 0.300 ± 0.010 | – | – | – | 0.300, 0.300 | 0.400, 0.400 | 10, 12 |"
        in told
    )
    assert (
        "0.600 ± 0.010 | 0.300 ± 0.010 | – | – | – | 0.300, 0.300 | 0.400, 0.400 |"
        in told.split("mask_ratio=0.5")[1].splitlines()[0]
    )
    assert "| question: mae-mask_ratio=0.25 | not run on a GPU |" in told and told.count("not run") == 1 + 2 + 9
    assert "| – | – | – | 0.100, 0.100 | 0.400, 0.400 |" in told.split("question: ibot")[1].splitlines()[0]


def test_the_table_in_the_readme_is_that_of_the_results(capstone):
    text = README.read_text(encoding="utf-8")
    table = text.partition("<!-- table -->\n")[2].partition("\n<!-- end of table -->")[0]
    assert table == capstone.report.table(capstone.jobs(), capstone.RESULTS), "python benchmarks/capstone.py --table"


def test_the_readme_names_every_benchmark_and_nothing_that_is_not_there():
    text = README.read_text(encoding="utf-8")
    shared = {"machine.py", "jobs.py", "stages.py", "report.py", "peers.py", "methods_table.py", "methods_measure.py", "safeguards.py"}
    assert len(text.splitlines()) <= 80
    for path in BENCHMARKS.glob("*.py"):
        assert (f"python benchmarks/{path.name}" in text) == (path.name not in shared), path.name
    for name in (word for word in text.replace("`", " ").split() if word.startswith("results/") and word.endswith(".json")):
        assert (BENCHMARKS / name).is_file(), name


@pytest.mark.parametrize("pack, words", [("cifar10.parquet", "cifar10, JPEG copies"), (None, "cifar10")])
def test_a_pack_of_copies_is_called_so(capstone, monkeypatch, pack, words):
    stages = sys.modules["stages"]
    monkeypatch.setattr(stages, "pack_file", lambda name, split: pack if name == "cifar10" else None)
    assert stages.source("cifar10") == words and stages.source("scenes") == "scenes"


@pytest.mark.parametrize(
    "kinds, words", [(["cpu"], "two cores;"), (["cpu", "nvidia-x", "cpu"], "two cores (pieces on cpu, nvidia-x);")]
)
def test_a_card_names_every_kind_of_device_that_did_a_piece(capstone, tmp_path, kinds, words):
    whole = json.loads((capstone.RESULTS / "cifar10-cpu.json").read_text())
    weights = tmp_path / "x.safetensors"
    weights.touch()
    card = capstone.report.card(whole | {"machine": "two cores", "calls": {"pretrain": kinds}}, weights)
    assert f"in {len(kinds)} piece{'s' * (len(kinds) > 1)} on {words}" in card


def test_a_checkpoint_without_its_card_is_not_copied(capstone, tmp_path):
    jobs = capstone.jobs()[:2]
    for job in jobs:
        (tmp_path / "runs" / job.name).mkdir(parents=True)
        (tmp_path / "runs" / job.name / f"{job.name}.safetensors").touch()
    (tmp_path / "runs" / jobs[1].name / f"{jobs[1].name}.md").touch()
    told = capstone.report.copy_small(jobs, tmp_path / "runs", tmp_path / "checkpoints")
    assert "cifar10-cpu.safetensors is left where it is: it has no card yet" in told
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["cifar10.md", "cifar10.safetensors"]


def test_a_checkpoint_that_is_too_large_is_not_copied(capstone, tmp_path):
    job = capstone.jobs()[2]
    folder = tmp_path / "runs" / job.name
    folder.mkdir(parents=True)
    with (folder / f"{job.name}.safetensors").open("wb") as file:
        file.truncate(13_000_000)
    told = capstone.report.copy_small([job], tmp_path / "runs", tmp_path / "checkpoints")
    assert "13 MB are more than 12" in told and not (tmp_path / "checkpoints").exists()
