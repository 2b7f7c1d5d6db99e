"""What is known of images that lie on disk is streamed with them, row by row."""

import numpy as np
import pytest
import torch
from PIL import Image

from minimim.data.batches import batches
from minimim.data.files import OnDisk
from minimim.data.maps import MapsOnDisk
from minimim.errors import UserError
from minimim.evaluate.segmentation import compare_segmentation
from minimim.methods import create
from minimim.train import TrainConfig, train


@pytest.fixture
def pictures(tmp_path):
    """Twelve pictures; picture i is all 10·i, its segmentation class i % 11, its depth 20·i."""
    for kind in ("image", "segmentation", "depth"):
        (tmp_path / kind).mkdir()
    for i in range(12):
        Image.fromarray(np.full((16, 16, 3), 10 * i, np.uint8)).save(tmp_path / "image" / f"{i:02}.png")
        plane = Image.fromarray(np.full((16, 16), i % 11, np.uint8)).convert("P" if i % 2 else "L")
        plane.save(tmp_path / "segmentation" / f"{i:02}.png")
        Image.fromarray(np.full((16, 16), 20 * i, np.uint8)).save(tmp_path / "depth" / f"{i:02}.png")
    files = {kind: sorted((tmp_path / kind).iterdir()) for kind in ("image", "segmentation", "depth")}
    truth = {kind: MapsOnDisk(files[kind], (16, 16), kind) for kind in ("segmentation", "depth")}
    truth["caption"] = [f"a small red bag {i}" for i in range(12)]
    return OnDisk(files["image"], torch.arange(12) % 3, ("a", "b", "c"), (16, 16), truth)


@pytest.mark.parametrize("workers", [0, 2])
def test_rows_on_disk_belong_together(pictures, workers):
    needs = ("label", "segmentation", "depth", "caption")
    seen = 0
    for batch in batches(pictures.take(range(1, 12)), 4, seed=1, stop=5, workers=workers, needs=needs):
        for row in range(4):
            i = int(batch["image"][row, 0, 0, 0]) // 10
            assert batch["label"][row] == i % 3 and (batch["segmentation"][row] == i % 11).all()
            assert batch["depth"].shape == (4, 1, 16, 16) and (batch["depth"][row] == 20 * i).all()
            assert (batch["caption"][row] > 0).sum() == 5
            seen += 1
    assert seen == 20


def test_a_method_of_several_modalities_learns_from_a_disk(pictures):
    method = create("multimae", image_size=16, patch_size=4)
    run = train(method, pictures, TrainConfig(epochs=1, batch_size=6, device="cpu", workers=0, log_every=1), bar=False)
    assert run.finished and all(line["loss"] == line["loss"] for line in run.history)


def test_segmentation_on_disk_is_probed_as_in_memory(pictures):
    method, parts = create("mae", image_size=16, patch_size=4), [pictures.take(range(8)), pictures.take(range(4, 12))]
    more = {"with_floors": False, "steps": 3, "workers": 0}
    on_disk = compare_segmentation(method, *parts, **more)
    for part in parts:
        part.truth["segmentation"] = torch.stack([part.truth["segmentation"][i] for i in range(8)])
    assert on_disk == compare_segmentation(method, *parts, **more)


def test_a_map_is_cut_from_the_middle_and_classes_are_never_blended(tmp_path):
    stripes = np.zeros((16, 32), np.uint8)
    stripes[:, 8:24:2] = 7
    Image.fromarray(stripes).save(tmp_path / "map.png")
    classes, depth = (MapsOnDisk([tmp_path / "map.png"], (8, 8), what)[0] for what in ("segmentation", "depth"))
    assert classes.shape == (8, 8) and set(classes.unique().tolist()) <= {0, 7}
    assert depth.shape == (1, 8, 8) and 0 < float(depth.float().mean()) < 7


def test_a_map_that_cannot_be_read_is_named_and_a_kind_that_is_none_refused(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="broken.png cannot be read .* zeros take its place"):
        assert not MapsOnDisk([tmp_path / "broken.png"], (8, 8))[0].any()
    with pytest.raises(UserError, match="did you mean 'depth'"):
        MapsOnDisk([], (8, 8), "dept")
