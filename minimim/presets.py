"""Named runs: a recipe with its data, its sizes and its schedule."""

from dataclasses import dataclass, field, replace

from minimim.config import TrainConfig
from minimim.errors import unknown


@dataclass(frozen=True)
class Preset:
    """about: one line for people. options: what the recipe is told besides its sizes. train: how it is trained."""

    about: str
    method: str
    data: str
    image_size: int
    patch_size: int
    size: str
    options: dict = field(default_factory=dict)
    train: TrainConfig = field(default_factory=TrainConfig)


SCENES = Preset(
    about="minutes on two CPU cores: MAE on the bundled scenes",
    method="mae",
    data="scenes",
    image_size=32,
    patch_size=4,
    size="micro",
    options={"normalize_target": False},  # here raw pixels teach faster, and they can be shown as they are
    train=TrainConfig(epochs=5, batch_size=64, lr=8e-3),
)

PRESETS = {
    "demo": SCENES,
    "bundled": replace(
        SCENES, about="the checkpoint that lessons open with: the demo, longer", train=replace(SCENES.train, epochs=8)
    ),
    "cifar10-cpu": replace(
        SCENES,
        about="about twelve minutes on two CPU cores: MAE on CIFAR-10",
        data="cifar10",
        options={},
        train=replace(SCENES.train, epochs=8),
    ),
}


def preset(name: str) -> Preset:
    """A preset by name. Raises UserError for one that is not there."""
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name]
