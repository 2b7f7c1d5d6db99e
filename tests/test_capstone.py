"""The capstone's command: every job, piece by piece, goes on where it stopped, and what was not run is said plainly."""

import json
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers import raw

import minimim
from minimim.data.named import pack_file
from minimim.decoders import TransformerDecoder
from minimim.errors import UserError
from minimim.evaluate.features import fingerprint
from minimim.methods import create
from minimim.train import checkpoint

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
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
    assert all(f"{name} " in told for name in minimim.methods.names())
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
    (results / "cifar10-nvidia-x.json").write_text(json.dumps(whole | {"job": "cifar10", "machine": "one X"}))
    go("--table", smoke=())
    rows = capsys.readouterr().out.strip().splitlines()[2:]
    assert "| cifar10 | one X |" in rows[1] and "not run" not in rows[0] + rows[1] and len(rows) == 4
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
    shared = {"machine.py", "jobs.py", "stages.py", "report.py", "peers.py"}
    assert len(text.splitlines()) <= 80
    for path in BENCHMARKS.glob("*.py"):
        assert (f"python benchmarks/{path.name}" in text) == (path.name not in shared), path.name
    for name in (word for word in text.replace("`", " ").split() if word.startswith("results/") and word.endswith(".json")):
        assert (BENCHMARKS / name).is_file(), name


def test_a_pack_of_copies_is_called_so(capstone):
    stages = sys.modules["stages"]
    assert stages.source("scenes") == "scenes"
    assert stages.source("cifar10") == ("cifar10, JPEG copies" if pack_file("cifar10", "train") else "cifar10")


def test_a_checkpoint_that_is_too_large_is_not_copied(capstone, tmp_path):
    job = capstone.jobs()[2]
    folder = tmp_path / "runs" / job.name
    folder.mkdir(parents=True)
    with (folder / f"{job.name}.safetensors").open("wb") as file:
        file.truncate(13_000_000)
    told = capstone.report.copy_small([job], tmp_path / "runs", tmp_path / "checkpoints")
    assert "13 MB are more than 12" in told and not (tmp_path / "checkpoints").exists()
