"""Named runs: a recipe with its data, its sizes and its schedules, for pretraining, linear probe and fine-tuning."""

from dataclasses import dataclass, field, replace

import torch

from minimim.config import TrainConfig
from minimim.data import Images, OnDisk, available, load
from minimim.errors import unknown
from minimim.evaluate import FinetuneConfig, OfficialConfig

STAGES = ("pretrain", "probe", "finetune")


@dataclass(frozen=True)
class Needs:
    """What a stage needs. memory: GiB; minutes: by kind of device; measured: whether a run has shown both.

    Otherwise they are estimates. Minutes: the operations of all steps at a fraction of an H100's bf16 rate (5 % for ViT-T, 15 % for
    ViT-S, 40 % for ViT-B, where data is read fast enough), four times as many on a 24 GiB consumer card. Memory: the activations
    that the whole batch keeps in bf16."""

    memory: float
    minutes: dict[str, float]
    measured: bool = False


@dataclass(frozen=True)
class Preset:
    """One named run. about: a line that describes it. options: of the recipe, besides its sizes. train, probe, finetune: how each
    stage is trained; probe is for the official protocol, since the cached one needs no settings. split: of the data, to pretrain on.
    image_size, patch_size: pixels a side. read_size: the side at which training images are read, where that is more than
    image_size. needs: by stage. expected: accuracies by stage, in words."""

    about: str
    method: str
    data: str
    image_size: int
    patch_size: int
    size: str
    options: dict = field(default_factory=dict)
    train: TrainConfig = field(default_factory=TrainConfig)
    probe: OfficialConfig = field(default_factory=OfficialConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    split: str = "train"
    read_size: int | None = None
    count: int | None = None  # of the images, where a part of them is enough
    needs: dict[str, Needs] = field(default_factory=dict)
    expected: dict[str, str] = field(default_factory=dict)

    @property
    def sizes(self) -> dict:
        """What `methods.create` is told besides the recipe's own options."""
        return {"image_size": self.image_size, "patch_size": self.patch_size, "size": self.size}


def gpu(memory: float, h100: float) -> Needs:
    """An estimate, in GiB and in minutes on one H100."""
    return Needs(memory, {"H100": h100, "24 GiB consumer card": 4 * h100})


SCENES = Preset(
    about="minutes on two CPU cores: MAE on the bundled scenes",
    method="mae",
    data="scenes",
    image_size=32,
    patch_size=4,
    size="micro",
    options={"normalize_target": False},  # here raw pixels teach faster, and they can be shown as they are
    train=TrainConfig(epochs=5, batch_size=64, lr=8e-3),
    probe=OfficialConfig(epochs=20, crop=1.0),
    finetune=FinetuneConfig(epochs=5, crop=1.0),
    needs={"pretrain": Needs(2, {"two CPU cores": 2.7}, measured=True)},
    expected={"probe": "cached protocol, 10,000 labels: linear 0.61, k-NN 0.39 (raw pixels 0.48, 0.49)"},
)

MIXED = {"layer_decay": 0.65, "drop_path": 0.1, "mixup": 0.8, "cutmix": 1.0}  # as the MAE's fine-tuning has it
NOT_RUN = "not run on a GPU yet"

PRESETS = {
    "demo": SCENES,
    "bundled": replace(
        SCENES,
        about="the checkpoint that lessons open with: the demo, longer",
        train=replace(SCENES.train, epochs=8),
        needs={},
        expected={"probe": "cached protocol, 10,000 labels: linear 0.66, k-NN 0.46 (raw pixels 0.48, 0.49)"},
    ),
    "cifar10-cpu": replace(
        SCENES,
        about="MAE on CIFAR-10, on two CPU cores: ten minutes with --precision bf16 where they have AVX512, twenty without",
        data="cifar10",
        options={},
        train=replace(SCENES.train, epochs=11),
        probe=OfficialConfig(epochs=20),
        finetune=FinetuneConfig(epochs=10, lr=4e-3),
        needs={"pretrain": Needs(2, {"two CPU cores in bf16": 9.6, "two CPU cores in fp32": 20}, measured=True)},
        expected={
            "probe": "cached protocol, 10,000 labels: linear 0.56, k-NN 0.45 (raw pixels 0.39, 0.40)",
            "finetune": "10,000 labels: 0.62 (from scratch 0.55)",
        },
    ),
    "cifar10": Preset(
        about="a quarter of an hour on a large GPU: MAE ViT-T/4 on CIFAR-10",
        method="mae",
        data="cifar10",
        image_size=32,
        patch_size=4,
        size="tiny",
        train=TrainConfig(epochs=600, batch_size=1024, lr=3e-4, compile=True),
        probe=OfficialConfig(),
        finetune=FinetuneConfig(epochs=100, batch_size=512, compile=True, **MIXED),
        needs={"pretrain": gpu(3, 8), "probe": gpu(1, 1), "finetune": gpu(3, 4)},
        expected={"probe": f"linear 0.65 or more, k-NN 0.55 or more wanted; {NOT_RUN}", "finetune": f"0.92 or more wanted; {NOT_RUN}"},
    ),
    "stl10": Preset(
        about="MAE ViT-S/8 on the 100,000 unlabelled images of STL-10, probed on its ten classes",
        method="mae",
        data="stl10",
        split="unlabeled",
        image_size=96,
        patch_size=8,
        size="small",
        train=TrainConfig(epochs=200, batch_size=1024, compile=True),
        finetune=FinetuneConfig(epochs=100, batch_size=256, compile=True, **MIXED),
        needs={"pretrain": gpu(23, 25), "probe": gpu(3, 1), "finetune": gpu(7, 1)},
        expected={"probe": NOT_RUN, "finetune": NOT_RUN},
    ),
    "imagenette-128": Preset(
        about="MAE ViT-S/16 on Imagenette at 128 pixels",
        method="mae",
        data="imagenette",
        image_size=128,
        patch_size=16,
        size="small",
        read_size=160,
        train=TrainConfig(epochs=800, batch_size=512, compile=True),
        finetune=FinetuneConfig(epochs=100, batch_size=256, compile=True, **MIXED),
        needs={"pretrain": gpu(5, 4), "probe": gpu(2, 1), "finetune": gpu(4, 1)},
        expected={
            "probe": f"{NOT_RUN}; published for an MAE with 32-pixel patches, 800 epochs: k-NN 0.61 (the lightly benchmark)",
            "finetune": NOT_RUN,
        },
    ),
    "tiny-imagenet": Preset(
        about="MAE ViT-S/8 on Tiny-ImageNet: 200 classes, 64 pixels",
        method="mae",
        data="tiny-imagenet",
        image_size=64,
        patch_size=8,
        size="small",
        train=TrainConfig(epochs=200, batch_size=1024, compile=True),
        finetune=FinetuneConfig(epochs=100, batch_size=512, compile=True, **MIXED),
        needs={"pretrain": gpu(10, 11), "probe": gpu(3, 3), "finetune": gpu(7, 10)},
        expected={"probe": NOT_RUN, "finetune": NOT_RUN},
    ),
    "imagenet": Preset(
        about="the official MAE: ViT-B/16 on ImageNet-1K at 224 pixels, 1,600 epochs; for several GPUs (memory is that of all together; --accumulate divides it)",
        method="mae",
        data="imagenet",
        image_size=224,
        patch_size=16,
        size="base",
        read_size=256,
        train=TrainConfig(epochs=1600, batch_size=4096, lr=1.5e-4, warmup=40 / 1600, compile=True, workers=12, save_every=600),
        probe=OfficialConfig(batch_size=16384, lr=0.1, workers=12),
        finetune=FinetuneConfig(
            epochs=100, batch_size=1024, lr=5e-4, warmup=5 / 100, crop=0.08, compile=True, workers=12, **MIXED
        ),
        needs={"pretrain": gpu(223, 5000), "probe": gpu(60, 170), "finetune": gpu(76, 570)},
        expected={"probe": f"published: linear 0.678 to 0.680 (arXiv 2111.06377); {NOT_RUN}", "finetune": f"published: 0.836; {NOT_RUN}"},
    ),
}


def preset(name: str, fast: bool = False) -> Preset:
    """A preset by name. fast: a small version of it, of which a CPU does each stage in about a minute.

    Raises UserError for an unknown name.
    """
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return shortened(PRESETS[name]) if fast else PRESETS[name]


def shortened(base: Preset) -> Preset:
    """The same method and the same code on 2,000 images of at most 8×8 patches, with the smallest encoder and a few epochs.
    Where its data is not on this machine, the scenes take its place."""
    here = available(base.data, base.split)
    few = {"batch_size": 64, "compile": False, "workers": 0, "save_every": 120.0, "warmup": 0.1}
    return replace(
        base,
        about=f"a minute on a CPU, to see it work: {base.about}",
        data=base.data if here else "scenes",
        split=base.split if here else "train",
        image_size=min(base.image_size, 8 * base.patch_size),
        size="micro",
        read_size=None,
        count=2000,
        train=replace(base.train, epochs=10, lr=8e-3, **few),
        probe=replace(base.probe, epochs=5, crop=1.0, lr=25.6, **few),  # at most 6.4 in a step, as OfficialConfig says
        finetune=replace(base.finetune, epochs=3, crop=1.0, lr=4e-3, mixup=0.0, cutmix=0.0, **few),
        needs={},
        expected={},
    )


def images_of(base: Preset, split: str, *, crops: bool = False) -> Images | OnDisk:
    """The images that a preset is pretrained on ("pretrain"), or labelled ones to train on ("train") and to test on ("test").

    crops: whether training will cut random crops from them: then they come at read_size. Raises UserError for data that
    cannot be had.
    """
    side = crops and base.read_size or base.image_size
    split = base.split if split == "pretrain" else split
    if base.data == "scenes" and base.count:
        return load("scenes", split, image_size=side, count=base.count)  # drawn in no order: the first are as good as any
    images = load(base.data, split, image_size=side)
    if base.count and base.count < len(images):
        return images.take(torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[: base.count])
    return images
