"""minimim fill"""

import glob
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from minimim import bundled
from minimim.checkpoint import write_bytes
from minimim.commands.probe import tell
from minimim.commands.weights import Start, wanted
from minimim.config import argument, option
from minimim.data.decode import one_colour
from minimim.data.files import BROKEN, read_image
from minimim.errors import UserError, unknown
from minimim.masking import BlockMasking, GridMasking, RandomMasking
from minimim.masking.mask import check_ratio
from minimim.methods import Method
from minimim.patches import grid_of
from minimim.show import fill_in
from minimim.show.pictures import Filled
from minimim.show.sheet import sheet
from minimim.train.processes import pick_device

BUNDLED = "mae-scenes"
MASKINGS = {"random": RandomMasking, "block": BlockMasking, "grid": GridMasking}
MOST = 200  # pictures on one sheet


@dataclass
class Fill:
    """Draw your own pictures as the encoder sees them, with the hidden patches filled in, and as they are. Each picture is cropped
    at its centre and resized to the size that the model was trained at. Many models, the published MAE among them, predict normalised patches:
    the pixels of a patch without their mean, divided by their standard deviation. Such a prediction has no brightness and no
    contrast, so it cannot be shown as a picture yet. To draw it, the true mean and standard deviation of each hidden patch are put back, as is
    usual for published pictures. What you see then contains a little of what was hidden, and looks better than what the
    model predicts. With --no-truth they come from the visible patches around instead, and nothing of the hidden patches is used."""

    picture: tuple[str, ...] = argument("picture files, of any size and format that Pillow reads")
    checkpoint: str = option("", "a run's folder, or a .safetensors file (the bundled model, trained on drawn scenes of 32 pixels)")
    weights: str = option("", "foreign weights instead, with their decoder: the official MAE's or Hugging Face's")
    key: str = option("", "which model of such a file, where it holds several")
    normalize_target: bool | None = option(None, "whether foreign weights predict normalised patches (by default as the file says, or else it is worked out)")
    image_size: int | tuple[int, ...] | None = option(None, "pixels: a side, or height and width (by default as the model was trained)")
    mask_ratio: float | None = option(None, "fraction of the patches that is hidden (by default as the model was trained)")
    mask: str = option("", "how they are chosen: random, block (rectangles) or grid (all but one in each square of four); by default as the model was trained")
    truth: bool = option(True, "where a model predicts normalised patches, put back the true mean and standard deviation of each hidden patch")
    seed: int = option(0, "random seed of the mask: another seed hides other patches")
    device: str = option("auto", "auto, cpu, cuda or mps")
    out: str = option("fill.png", "the PNG file to write")

    def run(self) -> int:
        """Draw a row for each picture, with its name."""
        device, files = pick_device(self.device), self.files()
        start = self.start()
        method = start.method.to(device)
        self.choose_mask(method)
        images = read(files, self.size(method), method.spec.get("channels", 3))
        generator = torch.Generator(device).manual_seed(self.seed % 2**63)
        filled = fill_in(method, images, generator=generator, truth=self.truth)
        content = sheet(filled, [str(file) for file in files], self.caption(start, filled))
        write_bytes(self.out, content)
        tell(f"{self.out}: {len(files)} picture{'s' * (len(files) > 1)}, as the encoder sees them, filled in, and as they are")
        if not self.checkpoint and not self.weights:
            tell("the bundled model was trained only on drawn scenes of garments: --weights takes one that was trained on photographs")
        return 0

    def files(self) -> list[Path]:
        """The pictures by name. Raises UserError for a name that is no file, and for an --out that would overwrite something else."""
        names = [found for name in self.picture for found in (not Path(name).exists() and sorted(glob.glob(name))) or [name]]
        if len(names) > MOST:
            raise UserError(f"{len(names)} pictures are more than the {MOST} that fit on one sheet: give fewer")
        for name in names:
            if Path(name).is_dir():
                raise UserError(f"{name} is a folder: give the pictures in it, such as {name.rstrip('/')}/*.jpg")
            if not Path(name).is_file():
                raise UserError(f"there is no file {name}: give the path of a picture")
            if Path(self.out).exists() and Path(self.out).samefile(name):
                raise UserError(f"the drawing would overwrite {name}, which is one of the pictures: choose another --out")
        if Path(self.out).suffix.lower() != ".png":
            raise UserError(f"the drawing is a PNG file, so --out must end in .png, not be {self.out}")
        return [Path(name) for name in names]

    def start(self) -> Start:
        """The model. Raises UserError for options that do not go together, and for a model that predicts no pixels."""
        if not self.weights and (self.key or self.normalize_target is not None):
            raise UserError("--key and --normalize-target are about foreign weights: leave them out, or give --weights")
        start = wanted(self, str(bundled(BUNDLED)), image_size=self.image_size, normalize_target=self.normalize_target)
        if not start.whole:
            raise UserError(f"{start.path} holds an encoder without its decoder, which would fill in: give weights that have both")
        return start

    def size(self, method: Method) -> tuple[int, int]:
        """(H, W) of the pictures for the model. Raises UserError where its patches do not divide them."""
        size = method.spec["image_size"] if self.image_size is None else self.image_size
        height, width = (size, size) if isinstance(size, int) else size
        if min(height, width) < 1:
            raise UserError(f"image_size must be 1 or more, not {min(height, width)}")
        grid_of(height, width, method.spec["patch_size"])
        return height, width

    def choose_mask(self, method: Method) -> None:
        """Set the masking that was asked for. Raises UserError for one that does not exist, and for an impossible ratio."""
        if self.mask and self.mask not in MASKINGS:
            raise unknown("mask", self.mask, MASKINGS)
        if self.mask == "grid" and self.mask_ratio is not None:
            raise UserError("a grid always hides three patches in four: leave --mask-ratio out, or ask for --mask random or block")
        if self.mask_ratio is not None:
            check_ratio(self.mask_ratio)
            method.masking.ratio = self.mask_ratio
        if self.mask == "grid":
            method.masking = GridMasking()
        elif self.mask:
            method.masking = MASKINGS[self.mask](method.masking.ratio)

    def caption(self, start: Start, filled: Filled) -> str:
        """What to know about the drawing."""
        how = f"{self.mask or 'the masking that it was trained with'}, seed {self.seed}"
        told = f"{Path(start.path).name}: {filled.mask.float().mean():.0%} of the patches are hidden ({how})."
        if not start.method.target.normalize:
            return f"{told} The model predicts the pixels of hidden patches themselves, and nothing of the true ones was put back."
        told += " The model predicts hidden patches without their mean and their contrast."
        if self.truth:
            return f"{told} The true ones were put back, so the middle column contains a little of what was hidden; --no-truth leaves it out."
        return f"{told} Mean and contrast were taken from the visible patches around, so nothing of what was hidden is in the middle column."


def read(files: list[Path], size: tuple[int, int], channels: int) -> Tensor:
    """Pictures with as many channels as the model takes: uint8 (B, C, H, W). Raises UserError for one that cannot be read."""
    images = []
    for file in files:
        try:
            images.append(read_image(file, size))  # (3, H, W)
        except BROKEN as error:
            raise UserError(f"{file} cannot be read as a picture: {error}") from error
        if one_colour(images[-1]):
            warnings.warn(f"{file} comes out as one colour", stacklevel=2)
    if channels == 3:
        return torch.stack(images)
    if channels == 1:
        return torch.stack(images).float().mean(dim=1, keepdim=True).round().to(torch.uint8)
    raise UserError(f"this model takes images of {channels} channels, and pictures have three, or one of grey: choose another model")
