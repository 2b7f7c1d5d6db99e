"""The command line: what a learner types, and the one sentence that a mistake gets."""

import json
import os
import re
import shutil
import signal
from dataclasses import fields

import numpy as np
import pytest
import torch
from foreign import build_mae, hugging_face, official, timm
from helpers import build, raw
from PIL import Image
from safetensors.torch import save_file
from tensor_board import read_back

import minimim
from minimim.cli import config_type, main, parse, shown
from minimim.commands import COMMANDS, Pretrain
from minimim.commands.pretrain import place, watch
from minimim.config import TrainConfig
from minimim.data import Images
from minimim.errors import UserError
from minimim.evaluate import Score, load_classifier
from minimim.evaluate.classify import Classifier
from minimim.methods import RECIPES, SECTIONS, Method, create, names, options
from minimim.presets import PRESETS
from minimim.train import Run


@pytest.fixture
def pictures(tmp_path):
    """PICS/train and PICS/test, two classes that can be told apart by their brightness."""
    draw = np.random.default_rng(0)
    for part, count in (("train", 12), ("test", 6)):
        for number, kind in enumerate(("dark", "light")):
            folder = tmp_path / "PICS" / part / kind
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = draw.integers(0, 100, (20, 24, 3)) + 150 * number
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.jpg")
    return tmp_path / "PICS"


def ask(capsys, *arguments):
    """Exit code, and what was printed to either side."""
    code = main([str(a) for a in arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


def pretrain(pictures, *more):
    return ("pretrain", "--data", f"folder:{pictures}/train", "--image-size", 16, "--patch-size", 4, "--batch-size", 8,
            "--epochs", 1, "--out", pictures / "run", *more)  # fmt: skip


def test_the_way_of_a_learner_from_a_folder_to_a_table(capsys, pictures):
    code, told, _ = ask(capsys, *pretrain(pictures))
    assert code == 0 and "3 steps" in told and f"probe --checkpoint {pictures}/run --data folder:{pictures} --floors" in told
    code, told, _ = ask(capsys, *pretrain(pictures, "--resume"))
    assert code == 0 and "3 steps" in told
    figures = pictures / "figures.json"
    told = ("--checkpoint", pictures / "run", "--data", f"folder:{pictures}", "--out", figures)
    code, told, _ = ask(capsys, "probe", *told, "--floors")
    assert code == 0 and all(row in told for row in ("pretrained", "random init", "raw pixels", "chance is 1 in 2"))
    kept = json.loads(figures.read_text())["figures"]
    assert set(kept) == {"linear_probe", "knn"} and kept["linear_probe"]["raw_pixels"]["value"] == 1.0
    code, told, _ = ask(capsys, "probe", "--checkpoint", pictures / "run", "--data", f"folder:{pictures}", "--sweep")
    assert code == 0 and len(told.splitlines()) == 2 + 4 * 2
    code, told, _ = ask(capsys, "finetune", "--checkpoint", pictures / "run", "--data", f"folder:{pictures}", "--epochs", 1)
    assert code == 0 and "12 test images" in told


def test_curves_and_pictures_for_tensorboard_are_asked_for_by_one_option(capsys, pictures):
    code, *_ = ask(capsys, *pretrain(pictures, "--tensorboard", "--log-every", 1))
    curves, shots = read_back(pictures / "run")
    assert code == 0 and [step for step, _ in curves["loss"]] == [1, 2, 3] == [step for step, _ in shots]
    tuning = ("finetune", "--checkpoint", pictures / "run", "--data", f"folder:{pictures}", "--epochs", 1, "--tensorboard")
    code, *_ = ask(capsys, *tuning, "--out", pictures / "tuned")
    curves, shots = read_back(pictures / "tuned")
    assert code == 0 and {"loss", "lr", "accuracy"} <= set(curves) and not shots
    code, _, told = ask(capsys, *tuning)
    assert code == 2 and len(told.splitlines()) == 1 and "there is none: give --out" in told


def test_options_go_where_they_belong_and_only_those_that_were_given():
    command = parse(["pretrain", "--mask-ratio", "0.5", "--epochs", "3", "--betas", "0.9", "0.99", "--crop-scale", "0.5", "1"])
    assert isinstance(command, Pretrain) and command.method is None
    assert command.options == {"mask_ratio": 0.5, "crop_scale": (0.5, 1.0)}
    assert command.train == {"epochs": 3.0, "betas": (0.9, 0.99)}
    assert parse(["pretrain", "--image-size", "48", "64"]).image_size == (48, 64)
    assert parse(["pretrain", "--no-flip"]).options == {"flip": False}


def texts(command):
    """What the help says of each option of a command, by name."""
    told = {f.name: f.metadata.get("help") for f in fields(command)}
    if "train" in told:
        told = {f.name: f.metadata.get("help") for f in fields(config_type(command))} | told
    if "options" in told:
        told = {name: "default: " + ("by size" if value is None else shown(value)) for name, value in options("mae").items()} | told
    return {name: text for name, text in told.items() if name not in ("train", "options")}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_explains_every_option(capsys, name):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    told = "".join(capsys.readouterr().out.split())  # lines are broken at spaces, and within words
    assert "".join(COMMANDS[name].__doc__.split()) in told
    for option, text in texts(COMMANDS[name]).items():
        flag, text = option.rstrip("_").replace("_", "-"), re.escape("".join(text.split()))
        assert re.search(f"(--{flag}|--no-{flag}|{option.upper()})[^a-z]*{text}", told), option


def test_help_shows_the_defaults_of_the_method_that_is_asked_for(capsys):
    for method, rate in (("simmim", "0.0001"), ("ibot", "0.0005")):
        with pytest.raises(SystemExit):
            main(["pretrain", "--method", method, "--help"])
        assert f"scaled with the batch size ({rate})" in " ".join(capsys.readouterr().out.split())


def test_methods_are_listed_as_the_tree_of_the_survey(capsys):
    code, told, _ = ask(capsys, "methods")
    assert code == 0
    place = {name: told.index(f"─ {name} ") for name in names()}  # each once, in the order of the sections
    assert [*place] == sorted(place, key=place.get) and all(told.count(f"─ {name} ") == 1 for name in names())
    for name in names():
        section = RECIPES[name].section
        heading = SECTIONS[section] if section == "beyond" else f"§{section} {SECTIONS[section]}"
        assert told.rindex("─ ", 0, told.index(heading) + 1) < place[name]
        assert told[: place[name]].rpartition(heading)[1], f"{name} stands under {heading}"
        assert RECIPES[name].paper in told[place[name] :].partition("\n")[0]


@pytest.mark.parametrize("name", names())
def test_a_card_tells_the_five_choices_the_paper_and_what_differs(capsys, name):
    code, told, _ = ask(capsys, "methods", "--card", name)
    assert code == 0 and told.startswith(f"{name}: ") and RECIPES[name].paper in told
    for choice in ("what is hidden", "which encoder", "what is predicted", "by which head", "how it is compared", "teacher", "needs"):
        assert f"  {choice}: " in told
    made = create(name)
    assert type(made.masking).__name__ in told and type(made.encoder).__name__ in told
    assert all(f"{option}=" in told for option in options(name))


def test_a_card_of_no_method_is_one_sentence(capsys):
    code, _, said = ask(capsys, "methods", "--card", "bait")
    assert code == 2 and "did you mean" in said


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["pretrain", "--method", "mea"], "did you mean 'mae'"),
        (["pretrain", "--epochz", "3"], "unknown option --epochz: did you mean --epochs? See minimim pretrain --help"),
        (["pretrain", "--method", "simmim", "--mask-ration", "0.5"], "did you mean --mask-ratio? See minimim pretrain"),
        (["check", "ps1.3", "ps1.4"], "unknown option ps1.4: see minimim check --help"),
        (["pretrain", "--data", "scene"], "did you mean 'scenes'"),
        (["pretrain", "--size", "mikro", "--data", "fashion"], "did you mean 'micro'"),
        (["pretrain", "--preset", "dmo"], "did you mean 'demo'"),
        (["pretrain", "--image-size", "30", "--patch-size", "4", "--data", "fashion"], "choose a patch size that divides"),
        (["pretrain", "--mask-ratio", "1.5", "--data", "fashion"], "between 0 and 1"),
        (["pretrain", "--mask-ratio", "0.999", "--data", "fashion"], "leaves nothing visible"),
        (["pretrain", "--mask-ratio", "half"], "invalid float value: 'half'"),
        (["pretrain", "--epochs", "none"], "invalid float value: 'none'"),
        (["pretrain", "--mask-ration", "0.5"], "--mask-ration"),
        (["pretrain", "--resume", "--data", "fashion", "--out", "nowhere"], "no checkpoint at nowhere"),
        (["probe", "--checkpoint", "nowhere"], "no checkpoint at nowhere"),
        (["probe", "--protocol", "oficial"], "did you mean 'official'"),
        (["probe", "--weights", "nowhere.pth"], "there is no file nowhere.pth"),
        (["probe", "--fast"], "name one with --preset"),
        (["finetune", "--checkpoint", "nowhere"], "no checkpoint at nowhere"),
        (["finetune", "--preset", "dmo"], "did you mean 'demo'"),
        (["finetune", "--mixup", "2"], "mixup must be from 0 to 1, not 2.0"),
        (["finetune", "--layer-decay", "0"], "layer_decay must be above 0"),
        (["finetune", "--mask-ratio", "0.5"], "--mask-ratio"),
        (["probe", "--epochs", "3"], "--epochs has no effect with --protocol cached: leave it out, or ask for --protocol official or both"),
        (["probe", "--accumulate", "2"], "--accumulate has no effect with --protocol cached"),
        (["probe", "--protocol", "official", "--floors"], "--floors has no effect with --protocol official"),
        (["probe", "--protocol", "official", "--layer", "1"], "--layer has no effect with --protocol official"),
        (["probe", "--sweep", "--floors"], "--floors has no effect with --sweep"),
        (["probe", "--sweep", "--layer", "0"], "--layer has no effect with --sweep"),
        (["probe", "--sweep", "--pool", "cls"], "--pool has no effect with --sweep: leave it out, or probe without --sweep"),
        (["probe", "--weights", "w.pth", "--checkpoint", "run"], "--weights and --checkpoint both say where"),
        (["finetune", "--weights", "w.pth", "--checkpoint", "run"], "give one of the two"),
        (["finetune", "--probe-every", "1"], "--probe-every measures the encoder during pretraining"),
        (["fly"], "invalid choice: 'fly'"),
        (["demo", "--device", "cuda:7"], "no cuda device"),
        (["pretrain", "--method", "ibot", "--mask-ratio", "0.3", "--data", "fashion"], "mask_ratio is 2 numbers, such as 0.1 0.5, not 0.3"),
        (["pretrain", "--crop-scale", "0.5", "--data", "fashion"], "crop_scale is 2 numbers, such as 0.2 1.0, not 0.5"),
        (["pretrain", "--crop-scale", "0.2", "0.5", "1", "--data", "fashion"], "--crop-scale: takes two values at most, not 3"),
        (["pretrain", "--image-size", "32", "32", "32"], "--image-size: takes two values at most, not 3"),
        (["pretrain", "--patch-size", "0", "--data", "fashion"], "patch_size must be a whole number of 1 or more, not 0"),
        (["pretrain", "--patch-size", "-4", "--data", "fashion"], "patch_size must be a whole number of 1 or more, not -4"),
        (["pretrain", "--preset", "demo", "--image-size", "0"], "image_size must be 1 or more, not 0"),
        (["pretrain", "--data", ""], "unknown data ''"),
        (["pretrain", "--size", "", "--data", "fashion"], "unknown size ''"),
        (["bench", "--rounds", "0"], "rounds must be 1 or more, not 0"),
    ],
)
def test_a_mistake_gets_one_sentence_and_a_non_zero_exit(capsys, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    code, _, told = ask(capsys, *arguments)
    last = told.strip().splitlines()[-1]
    assert code == 2 and sentence in last and last.startswith("minimim: ") and "Traceback" not in told


def test_looks_at_the_encoder_are_refused_before_training_where_there_is_one_class(capsys, pictures):
    code, *_ = ask(capsys, *pretrain(pictures, "--probe-every", 1))
    assert code == 0 and "effective_rank" in (pictures / "run" / "metrics.jsonl").read_text()
    shutil.rmtree(pictures / "run")
    shutil.rmtree(pictures / "train" / "light")
    code, _, told = ask(capsys, *pretrain(pictures, "--probe-every", 1))
    assert code == 2 and "at least two classes" in told and not (pictures / "run").exists()


def test_a_look_asks_only_for_classes_that_it_knows():
    seen = watch(Images(raw(40), torch.arange(40) % 20), TrainConfig(probe_every=1))(build("mae"))
    assert 0 <= seen["knn"] <= 1
    with pytest.raises(UserError, match="at least two classes with several images each"):
        watch(Images(raw(40), torch.arange(40)), TrainConfig(probe_every=1))


def test_ctrl_c_ends_a_pretraining_with_130_and_the_clock_with_0(capsys, pictures, monkeypatch):
    code, told, _ = ask(capsys, *pretrain(pictures, "--max-minutes", 1e-9))
    assert code == 0 and "stopped after 1 of 3 steps" in told
    with monkeypatch.context() as pressing:
        pressing.setattr(Method, "after_step", lambda *_: os.kill(os.getpid(), signal.SIGINT))
        code, told, _ = ask(capsys, *pretrain(pictures, "--resume"))
    assert code == 130 and "stopped after 2 of 3 steps" in told
    assert ask(capsys, *pretrain(pictures, "--resume"))[0] == 0


def test_the_polite_kill_of_a_cluster_ends_a_pretraining_as_the_clock_does(capsys, pictures, monkeypatch):
    monkeypatch.setattr(Method, "after_step", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    code, told, _ = ask(capsys, *pretrain(pictures))
    assert code == 0 and "stopped after 1 of 3 steps" in told


def test_a_broken_picture_is_named_counted_and_left_out(capsys, pictures):
    (pictures / "train" / "dark" / "bad.jpg").write_bytes(b"not a picture")
    code, _, told = ask(capsys, *pretrain(pictures))
    assert code == 0 and "note: 1 of 25 pictures" in told and "bad.jpg" in told


def test_a_folder_without_classes_pretrains_but_cannot_be_probed(capsys, pictures):
    for part in ("train", "test"):
        for file in list((pictures / part).rglob("*.jpg")):
            file.rename(pictures / part / f"{file.parent.name}-{file.name}")
    assert ask(capsys, *pretrain(pictures))[0] == 0
    code, _, told = ask(capsys, "probe", "--checkpoint", pictures / "run", "--data", f"folder:{pictures}")
    assert code == 2 and "have no labels" in told


def test_a_run_folder_that_cannot_be_written_is_told_in_a_sentence(capsys, pictures):
    (pictures / "run").write_text("a file where a folder is wanted")
    code, _, told = ask(capsys, *pretrain(pictures))
    assert code == 2 and str(pictures / "run") in told and "Traceback" not in told


@pytest.mark.parametrize("able, timed", [("AVX512", {"--precision fp32", "--precision bf16"}), ("AVX2", {"--precision fp32"})])
def test_bench_prints_a_rate_for_each_setting_and_names_the_fastest(capsys, monkeypatch, able, timed):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: able)
    code, told, _ = ask(capsys, "bench", "--batch-size", 4, "--image-size", 16, "--rounds", 2, "--device", "cpu")
    rates = dict(re.findall(r"(--precision \w+) +([\d.]+) images/s", told))
    assert code == 0 and set(rates) == timed and "GFLOP" in told and ("bf16 is left out" in told) == (able == "AVX2")
    assert f"fastest here: {max(rates, key=lambda flags: float(rates[flags]))}" in told
    code, _, told = ask(capsys, "bench", "--precision", "fp64")
    assert code == 2 and "fp64" in told and "bf16" in told



# Probes and fine-tuning


@pytest.fixture
def pretrained(capsys, pictures):
    """An encoder that has seen the pictures for three steps: what a command is told to find it and them."""
    assert ask(capsys, *pretrain(pictures))[0] == 0
    return "--checkpoint", pictures / "run", "--data", f"folder:{pictures}", "--device", "cpu"


@pytest.mark.parametrize("protocol, kinds", [("official", {"official"}), ("both", {"linear_probe", "knn", "official"})])
def test_the_official_protocol_has_a_line_and_a_figure_of_its_own(capsys, pictures, pretrained, protocol, kinds):
    figures = pictures / "figures.json"
    code, told, _ = ask(capsys, "probe", *pretrained, "--protocol", protocol, "--epochs", 2, "--out", figures)
    kept = json.loads(figures.read_text())
    assert code == 0 and set(kept["figures"]) == kinds and kept["probe"]["protocol"] == protocol
    official = kept["figures"]["official"]
    assert f"{official['value']:.3f} ± {official['stderr']:.3f}" in told.splitlines()[-1] and told.splitlines()[-1].startswith("official protocol")
    assert official["n"] == 12 and official["details"]["steps"] == 2
    assert ("pretrained" in told) == (protocol == "both")


def test_the_official_protocol_reads_cls_where_there_is_one_and_what_it_is_told(capsys, pictures, pretrained, monkeypatch):
    pools = []

    def watched(encoder, train, test, config, **more):
        pools.append((config.pool, config.epochs, config.seed, config.device))
        return Score(0.5, 0.1, 12)

    monkeypatch.setattr("minimim.evaluate.official_probe", watched)
    ask(capsys, "probe", *pretrained, "--protocol", "official")
    ask(capsys, "probe", *pretrained, "--protocol", "official", "--pool", "mean", "--epochs", 3, "--seed", 7)
    assert ask(capsys, *pretrain(pictures, "--method", "simmim", "--out", pictures / "simmim"))[0] == 0
    ask(capsys, "probe", *pretrained, "--checkpoint", pictures / "simmim", "--protocol", "official")
    assert pools == [("cls", 90, 0, "cpu"), ("mean", 3, 7, "cpu"), ("mean", 90, 0, "cpu")]
    assert ask(capsys, "probe", *pretrained, "--protocol", "official", "--epochs", 0)[0] == 2


@pytest.fixture
def interrupted(monkeypatch):
    """Ctrl-C in the second step of what learns labels."""
    calls = []

    def press(self, progress):
        calls.append(progress)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Classifier, "after_step", press)


def test_ctrl_c_ends_the_official_protocol_and_what_was_measured_before_is_kept(capsys, pictures, pretrained, interrupted):
    figures = pictures / "figures.json"
    code, told, _ = ask(capsys, "probe", *pretrained, "--protocol", "both", "--epochs", 9, "--out", figures)
    assert code == 130 and "stopped before its end: nothing was kept" in told
    assert set(json.loads(figures.read_text())["figures"]) == {"linear_probe", "knn"}


@pytest.mark.parametrize("shots, images", [(2, 4), (99, 24), (0, 24)])
def test_a_few_labels_of_each_class_can_be_all_there_is(capsys, pretrained, shots, images):
    code, told, _ = ask(capsys, "probe", *pretrained, "--shots", shots)
    assert code == 0 and told.startswith(f"{images} train and 12 test images")
    code, told, _ = ask(capsys, "finetune", *pretrained, "--shots", shots, "--epochs", 1)
    assert code == 0 and told.startswith(f"{images} images, 1 steps of {images} images")


def test_less_than_one_shot_is_refused(capsys, pretrained):
    code, _, told = ask(capsys, "probe", *pretrained, "--shots", -1)
    assert code == 2 and told == "minimim: shots must be 1 or more, not -1: leave it out to take all images\n"


@pytest.mark.parametrize("spell", [official, timm, hugging_face])
def test_foreign_weights_are_probed_and_fine_tuned_at_their_own_size(capsys, pictures, spell):
    save_file({name: tensor.contiguous() for name, tensor in spell(build_mae(image_size=24, patch_size=8)).items()}, pictures / "w.safetensors")
    told = ("--weights", pictures / "w.safetensors", "--data", f"folder:{pictures}")
    assert ask(capsys, "probe", *told)[0] == 0
    code, said, _ = ask(capsys, "finetune", *told, "--epochs", 1, "--out", pictures / "tuned")
    assert code == 0 and f"fine-tuned from {pictures / 'w.safetensors'}" in said
    assert load_classifier(pictures / "tuned").encoder.home_grid == (3, 3)


def test_foreign_weights_that_are_not_whole_are_refused_in_a_sentence(capsys, pictures):
    weights = {name: tensor for name, tensor in timm(build_mae()).items() if name != "pos_embed"}
    save_file(weights, pictures / "w.safetensors")
    code, _, told = ask(capsys, "probe", "--weights", pictures / "w.safetensors", "--data", f"folder:{pictures}")
    assert code == 2 and "no pos_embed" in told and told.count("\n") == 1


def accuracy_told(text):
    return re.search(r"fine-tuned from .*: (\d\.\d{3} ± \d\.\d{3}) on 12 test images, after (\d+) steps", text).groups()


def test_fine_tuning_can_be_stopped_by_the_clock_and_resumed(capsys, pictures, pretrained):
    asked = ("finetune", *pretrained, "--epochs", 2, "--batch-size", 8, "--log-every", 1, "--out")
    code, told, _ = ask(capsys, *asked, pictures / "straight")
    straight = accuracy_told(told)
    assert code == 0 and straight[1] == "6"
    code, told, _ = ask(capsys, *asked, pictures / "tuned", "--max-minutes", 1e-9)
    assert code == 0 and "stopped before the end: the same command with --resume goes on" in told
    assert not (pictures / "tuned" / "figures.json").exists()
    code, _, told = ask(capsys, *asked, pictures / "tuned")
    assert code == 2 and "already holds a run" in told and "--resume" in told
    code, _, told = ask(capsys, *asked, pictures / "tuned", "--resume", "--layer-decay", 0.5)
    assert code == 2 and "was begun with layer_decay=0.75, not 0.5" in told
    code, told, _ = ask(capsys, *asked, pictures / "tuned", "--resume")
    assert code == 0 and accuracy_told(told) == straight
    one, two = (json.loads((pictures / name / "figures.json").read_text()) for name in ("straight", "tuned"))
    assert one == two and one["config"]["epochs"] == 2 and f"{one['figures']['value']:.3f}" in straight[0]


def test_a_stop_without_a_folder_keeps_nothing_and_says_so(capsys, pretrained, interrupted):
    code, told, _ = ask(capsys, "finetune", *pretrained, "--batch-size", 8)
    assert code == 130 and "nothing was saved, because there is no --out" in told
    code, _, told = ask(capsys, "finetune", *pretrained, "--resume")
    assert code == 2 and "give the folder that it was written to as --out" in told


def test_fine_tuning_from_scratch_starts_from_other_weights(capsys, pretrained, pictures):
    for name, more in (("pretrained", ()), ("scratch", ("--scratch",))):
        code, told, _ = ask(capsys, "finetune", *pretrained, "--epochs", 1, "--blocks", 0, "--out", pictures / name, *more)
        assert code == 0 and ("random weights" in told) == (name == "scratch")
    encoders = [load_classifier(pictures / name).encoder.state_dict() for name in ("pretrained", "scratch")]
    found = minimim.load(pictures / "run").encoder.state_dict()
    assert all(torch.equal(encoders[0][name], found[name]) for name in found)
    assert not torch.equal(encoders[1]["blocks.0.attn.qkv.weight"], found["blocks.0.attn.qkv.weight"])


def test_an_empty_name_of_data_is_no_name_for_scenes(capsys, pretrained):
    for command in ("probe", "finetune"):
        code, _, told = ask(capsys, command, *pretrained, "--data", "")
        assert code == 2 and "unknown data ''" in told


def test_labels_that_cannot_be_used_are_told_before_a_feature_is_read(capsys, pictures, pretrained, monkeypatch):
    (pictures / "test" / "light").rename(pictures / "test" / "grey")
    monkeypatch.setattr("minimim.evaluate.features.in_order", lambda *_: pytest.fail("an image was read"))
    code, _, told = ask(capsys, "probe", *pretrained)
    assert code == 2 and "classes that no train image has (grey)" in told
    (pictures / "test" / "dark" / "0.jpg").rename(pictures / "test" / "cover.jpg")
    code, _, told = ask(capsys, "probe", *pretrained)
    assert code == 2 and f"note: {pictures}/test/cover.jpg is in no folder of a class" in told and "have no labels" in told


@pytest.mark.parametrize("side, says", [(32, False), (40, True)])
def test_the_size_of_the_raw_pixels_is_told_where_it_is_not_the_images_own(capsys, pictures, side, says):
    minimim.save(pictures / "w.safetensors", build("mae", image_size=side))
    code, told, _ = ask(capsys, "probe", "--checkpoint", pictures / "w.safetensors", "--data", f"folder:{pictures}", "--floors")
    assert code == 0 and ("raw pixels: at 32×32\n" in told) == says and "\nraw pixels  " in told


def test_the_official_protocol_is_told_how_to_fit_into_memory(capsys, pretrained, monkeypatch):
    seen = []

    def watched(encoder, train, test, config, **more):
        seen.append((config.batch_size, config.accumulate, config.workers))
        return Score(0.5, 0.1, 12)

    monkeypatch.setattr("minimim.evaluate.official_probe", watched)
    ask(capsys, "probe", *pretrained, "--protocol", "official")
    ask(capsys, "probe", *pretrained, "--protocol", "official", "--batch-size", 12, "--accumulate", 3, "--workers", 0)
    assert seen == [(512, 1, 2), (12, 3, 0)]


@pytest.mark.parametrize("how", [(), ("--sweep",)])
def test_features_are_read_by_as_many_processes_as_are_asked_for(capsys, pretrained, monkeypatch, how):
    seen = []

    def watched(images, batch_size, device, workers):
        seen.append(workers)
        return images.images.split(batch_size)

    monkeypatch.setattr("minimim.evaluate.features.in_order", watched)
    assert ask(capsys, "probe", *pretrained, "--workers", 5, *how)[0] == 0 and set(seen) == {5}


def test_a_probe_of_which_nothing_came_leaves_earlier_figures_alone(capsys, pictures, pretrained, interrupted):
    figures = pictures / "figures.json"
    figures.write_text("earlier")
    code, told, _ = ask(capsys, "probe", *pretrained, "--protocol", "official", "--epochs", 9, "--out", figures)
    assert code == 130 and "nothing was kept" in told and figures.read_text() == "earlier"


def test_an_encoder_whose_run_is_not_at_its_end_is_told_so(capsys, pictures, pretrained):
    for command in ("probe", "finetune"):
        assert "was trained for" not in ask(capsys, command, *pretrained, "--shots", 2)[1]
    assert ask(capsys, *pretrain(pictures, "--out", pictures / "half", "--max-minutes", 1e-9))[0] == 0
    for command in ("probe", "finetune"):
        code, told, _ = ask(capsys, command, *pretrained, "--checkpoint", pictures / "half", "--shots", 2)
        assert code == 0 and told.startswith(f"the run in {pictures}/half was trained for 1 of 3 steps\n")


def test_the_figures_of_fine_tuning_say_what_was_fine_tuned_on_what(capsys, pictures, pretrained):
    assert ask(capsys, "finetune", *pretrained, "--epochs", 1, "--out", pictures / "tuned")[0] == 0
    kept = json.loads((pictures / "tuned" / "figures.json").read_text())
    assert (kept["data"], kept["checkpoint"]) == (f"folder:{pictures}", f"{pictures}/run")


@pytest.mark.parametrize(
    "arguments, following",
    [
        ([], "--checkpoint runs/pretrain --data scenes"),
        (["--data", "folder:pics/train", "--out", "here"], "--checkpoint here --data folder:pics"),
        (["--preset", "demo"], "--preset demo"),
        (["--preset", "demo", "--fast", "--out", "here"], "--preset demo --fast --checkpoint here"),
        (["--preset", "demo", "--data", "folder:pics/train"], "--preset demo --data folder:pics"),
    ],
)
def test_what_comes_next_finds_the_run_and_its_data(capsys, monkeypatch, pictures, arguments, following):
    pictures.rename(pictures.parent / "pics")
    monkeypatch.chdir(pictures.parent)
    command = parse(["pretrain", *arguments])
    out = command.out or place(command.preset, command.fast)
    command.report(Run([], 1, 1, 0.0, out, True), out, PRESETS.get(command.preset))
    assert capsys.readouterr().out.splitlines()[-1] == f"next: minimim probe {following} --floors"
