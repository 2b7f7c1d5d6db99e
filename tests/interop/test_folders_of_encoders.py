"""Encoders leave as folders that timm and transformers open by themselves, and whose features they then compute as this library does."""

import json

import pytest
import torch
from foreign import build_mae
from helpers import build, images, raw
from safetensors import safe_open

from minimim import interop
from minimim.cli import main
from minimim.data.views import normalize
from minimim.errors import UserError
from minimim.interop import folders
from minimim.methods import create
from minimim.train import save

CASES = [("mae", {}), ("ibot", {}), ("mae", {"channels": 1}), ("mae", {"image_size": (16, 24)}), ("mae", {"size": (48, 3, 2)})]
NO_CLS = [("simmim", {}), ("mae", {"cls": False})]


def pictures(method, count=3):
    """Normalised images of the method's shape."""
    height, width = (side * method.encoder.patch_size for side in method.encoder.home_grid)
    channels = method.encoder.patch_embed.proj.in_channels
    return torch.randn(count, channels, height, width, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def transformers(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return pytest.importorskip("transformers")


@pytest.mark.parametrize("name, more", CASES + NO_CLS)
def test_timm_opens_the_folder_and_its_answer_is_ours(name, more, tmp_path):
    timm = pytest.importorskip("timm")
    method = build(name, **more).eval()
    interop.to_folder(method, tmp_path)
    model, x = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval(), pictures(method)
    torch.testing.assert_close(model(x), method.encoder.features(x), rtol=0, atol=1e-5)
    torch.testing.assert_close(interop.TimmEncoder(model).features(x, layer=0), method.encoder.features(x, layer=0), rtol=0, atol=1e-5)
    if x.shape[1] == 3:
        told = timm.data.resolve_model_data_config(model)
        mean, std = (torch.tensor(told[key]).view(3, 1, 1) for key in ("mean", "std"))
        whole = torch.randint(0, 256, x.shape, dtype=torch.uint8)
        torch.testing.assert_close((whole / 255 - mean) / std, normalize(whole))
        assert told["input_size"] == tuple(x.shape[1:]) and told["crop_pct"] == 1.0


@pytest.mark.parametrize("size, side, name", [("tiny", 16, "vit_tiny_patch16_224"), ("huge", 14, "vit_huge_patch14_224"), ("micro", 4, "vit_tiny_patch16_224")])
def test_a_size_that_timm_names_has_its_name(size, side, name, tmp_path):
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        encoder = create("mae", image_size=224, patch_size=side, size=size).encoder
    weights = interop.Weights(encoder.state_dict())
    weights.says = {"image_size": (224, 224), "heads": encoder.heads, "mean": (0.5,) * 3, "std": (0.5,) * 3}
    _, described = folders.for_timm(weights)
    config = described["config.json"]
    assert config["architecture"] == name and name in timm.list_models("vit_*")
    with torch.device("meta"):
        theirs = timm.create_model(name, num_classes=0, **config["model_args"]).state_dict()
    assert {name: t.shape for name, t in theirs.items()} == {name: t.shape for name, t in encoder.state_dict().items()}


@pytest.mark.parametrize("name, more", CASES)
def test_transformers_opens_the_folder_and_its_tokens_are_ours(name, more, tmp_path, transformers):
    method = build(name, **more).eval()
    interop.to_folder(method, tmp_path, "huggingface")
    model, told = transformers.ViTModel.from_pretrained(tmp_path, add_pooling_layer=False, output_loading_info=True)
    assert not told["missing_keys"] and not told["unexpected_keys"] and not told["mismatched_keys"]
    x = pictures(method)
    tokens = model.eval()(x).last_hidden_state
    torch.testing.assert_close(tokens[:, 1:], method.encoder.features(x, pool="patches"), rtol=0, atol=1e-5)
    torch.testing.assert_close(tokens[:, 0], method.encoder.features(x, pool="cls"), rtol=0, atol=1e-5)
    auto = transformers.AutoModel.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(auto(x).last_hidden_state, tokens)


def test_transformers_prepares_pictures_as_we_do(tmp_path, transformers):
    interop.to_folder(build_mae(), tmp_path, "huggingface")
    prepare, pixels = transformers.AutoImageProcessor.from_pretrained(tmp_path), raw(3)
    told = prepare(list(pixels), return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(told, normalize(pixels), rtol=0, atol=1e-5)
    assert prepare([torch.zeros(3, 40, 40, dtype=torch.uint8)], return_tensors="pt")["pixel_values"].shape == (1, 3, 16, 16)


@pytest.mark.parametrize("to", ["timm", "huggingface"])
def test_what_went_out_comes_back_with_nothing_assumed(to, tmp_path, recwarn):
    method = build("mae", size=(48, 3, 2)).eval()
    interop.to_folder(method, tmp_path, to)
    again = interop.method_for(interop.load_file(tmp_path / "model.safetensors"))
    torch.testing.assert_close(again.encoder.features(images()), method.encoder.features(images()))
    assert not [str(each.message) for each in recwarn if "heads" in str(each.message) or "image" in str(each.message)]
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt"}  # without which older versions of transformers refuse it


def test_what_cannot_go_is_refused_in_one_sentence_and_nothing_is_left(tmp_path):
    for name, to, says in [
        ("simmim", "huggingface", "always has a CLS token, and this encoder has none: export it to timm"),
        ("spark", "timm", "only a plain ViT's weights can be exchanged"),
        ("mae", "tim", "unknown library 'tim': did you mean 'timm'?"),
    ]:
        with pytest.raises(UserError, match=says):
            interop.to_folder(build(name), tmp_path / "out", to)
        assert not (tmp_path / "out").exists()
    (tmp_path / "model.safetensors").write_bytes(b"mine")
    with pytest.raises(UserError, match="already holds model.safetensors: choose another --out"):
        interop.to_folder(build("mae"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize("to", ["timm", "huggingface"])
def test_the_command_writes_the_folder_and_prints_the_line_that_opens_it(to, tmp_path, monkeypatch, capsys, transformers):
    timm = pytest.importorskip("timm")
    monkeypatch.chdir(tmp_path)
    method = build("mae").eval()
    save(tmp_path / "run" / "last.safetensors", method)
    assert main(["export", "--checkpoint", "run", "--to", to]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"the encoder is in exported-{to}; to open it: ")
    model = eval(told.partition("to open it: ")[2], {"timm": timm, "transformers": transformers}).eval()
    told = model(images())
    found = told if to == "timm" else told.last_hidden_state[:, 1:].mean(1)
    torch.testing.assert_close(found, method.encoder.features(images()), rtol=0, atol=1e-5)
    capsys.readouterr()
    assert main(["export", "--checkpoint", "run", "--to", to]) == 2 and len(capsys.readouterr().err.splitlines()) == 1


def test_the_config_is_plain_json_without_a_path_of_this_machine(tmp_path):
    interop.to_folder(build("mae"), tmp_path / "one")
    text = (tmp_path / "one" / "config.json").read_text()
    assert json.loads(text)["num_classes"] == 0 and str(tmp_path) not in text
