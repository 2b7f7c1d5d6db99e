"""Live fill-in: what a trained network makes of what you leave visible."""

import copy
import io
import warnings

import torch
from torch import Tensor, nn

import minimim
from minimim import data
from minimim.data.files import BROKEN, read_image
from minimim.errors import UserError
from minimim.masking.mask import Mask, visible_count
from minimim.methods import Method
from minimim.show.pictures import as_pixels, fill_in
from minimim.show.widgets.live import BOARD, Live, Seen, board, choice, cursor, slider, widgets
from minimim.show.widgets.paper import LINE, Paper, enlarged, hatched

SIDE = 256  # pixels of a picture on the page
COLUMNS = ("what it sees", "its guess", "the truth")
DROP = """<div style="border: 2px dashed #777777; padding: 0 1em" ondragover="event.preventDefault()" ondrop="
event.preventDefault(); event.stopPropagation();
const files = event.dataTransfer.files, inputs = HTMLInputElement.prototype;
inputs.click = function() { this.files = files; this.dispatchEvent(new Event('change')) };
try { this.closest('.widget-hbox').querySelector('.widget-upload').click() } finally { delete inputs.click }
">or let one fall here</div>"""  # the button beside it takes the file as if it had been chosen: it would ask its field for files, which is given the file instead


class Painted(nn.Module):
    """A masking that hides what was painted: hidden (N,) bool."""

    hidden: Tensor

    def forward(self, inputs, grid, guide=None, progress=0.0, noise=None, generator=None, view=0) -> list[Mask]:
        """One Mask for a batch of one."""
        return [Mask(self.hidden.unsqueeze(0))]


def live_fill_in(method: Method | None = None, images: Tensor | None = None) -> Live:
    """A picture filled in while you choose how much is hidden, paint the mask by hand, or bring a picture of your own.

    method: one that predicts pixels, by default the bundled MAE. images: uint8 (n, C, H, W) of the method's size, by default six scenes.
    Raises UserError for a method that predicts something else.
    """
    method = copy.deepcopy(method or minimim.load(minimim.bundled("mae-scenes"))).eval().requires_grad_(False)
    images = data.load("scenes", "test", count=22).images[16:] if images is None else images
    encoder, method.masking = method.encoder, Painted()
    grid = encoder.home_grid
    size = tuple(side * encoder.patch_size for side in grid)
    pictures = {f"scene {n}": image for n, image in enumerate(images, 1)}
    patches = grid[0] * grid[1]
    which, ratio = choice("picture", pictures), slider("hidden", 0.75, 0.0, 1.0, 0.05, readout_format=".0%")
    row, col = cursor(grid, grid[0] // 2, grid[1] // 2)
    brush = slider("brush", 1, 1, 3, tooltip="how many patches wide the brush is")
    here = widgets.Button(description="hide or show", tooltip="hide the framed patch, or show it if it is hidden")
    every = {words: widgets.Button(description=words, tooltip=f"{words}, to paint from there") for words in ("hide all", "show all")}
    own = widgets.FileUpload(accept="image/*", description="your picture", tooltip="choose a picture of your own")
    asked = None  # for which picture and ratio patches were hidden at random; after that they are painted

    def scatter() -> None:
        """Hide as much as the slider says: at random, but of one picture the same at each ratio, and more of it."""
        nonlocal asked
        if asked != (which.value, ratio.value):
            visible = visible_count(patches, ratio.value)
            noise = torch.rand(patches, generator=torch.Generator().manual_seed(list(pictures).index(which.value)))
            method.masking.hidden, asked = noise.argsort().argsort() >= visible, (which.value, ratio.value)

    def paint(r: int, c: int) -> None:
        """Turn the patches under the brush into the opposite of what the middle one is."""
        hidden, reach = method.masking.hidden.view(grid).clone(), brush.value
        top, left = (max(0, place - (reach - 1) // 2) for place in (r, c))
        hidden[top : r + reach // 2 + 1, left : c + reach // 2 + 1] = not hidden[r, c]
        method.masking.hidden = hidden.flatten()
        live.move({row: r, col: c})

    def all_of_it(words: str) -> None:
        method.masking.hidden = torch.full((patches,), words == "hide all")
        live.redraw()

    def take(change) -> None:
        """Read a picture of one's own, and go to it."""
        for file in change["new"]:
            try:
                pictures[file["name"]] = read_own(file["name"], bytes(file["content"]), size, images.shape[1])
            except UserError as error:
                live.say(str(error), wrong=True)
                return
            live.move({which: file["name"]}, {which: list(pictures)})

    def look() -> Seen:
        scatter()
        return seen(method, which.value, pictures[which.value], (row.value, col.value))

    live = Live(look, [[which, ratio], [own, widgets.HTML(DROP)], [row, col, brush], [here, *every.values()]], board(grid, SIDE, paint), quiet=(brush, own))
    own.observe(take, "value")
    here.on_click(lambda _: paint(row.value, col.value))
    for words, button in every.items():
        button.on_click(lambda _, words=words: all_of_it(words))
    return live


def seen(method: Method, name: str, picture: Tensor, framed: tuple[int, int]) -> Seen:
    """A picture as the network sees it under its mask, the network's guess, and the truth. framed: (row, col) of one patch."""
    hidden, grid = method.masking.hidden, method.encoder.home_grid
    rows, cols = grid
    whole, count = enlarged(as_pixels(picture[None])[0].permute(2, 0, 1), SIDE), int(hidden.sum())
    masked, guess, wrong = hatched(whole, hidden, grid), whole, True
    if count == len(hidden):
        guess, line = masked, "everything is hidden, so there is nothing to guess from: show at least one patch"
    elif not count:
        line = "nothing is hidden, so there is nothing to guess: hide at least one patch"
    else:
        filled, wrong = fill_in(method, picture[None]), False
        error = (filled.filled / 255 - filled.original / 255).square().mean().item() * len(hidden) / count
        guess = enlarged(as_pixels(filled.filled)[0].permute(2, 0, 1), SIDE)
        line = f"{count} of {len(hidden)} patches are hidden; mean squared error of the guess there: {error:.4f}"
    paper = Paper(3 * SIDE + 4 * BOARD, SIDE + LINE + BOARD)
    for n, (title, each) in enumerate(zip(COLUMNS, (masked, guess, whole), strict=True)):
        paper.picture(BOARD + n * (SIDE + BOARD), LINE, SIDE, each, title)
        if n:
            paper.edge(BOARD + n * (SIDE + BOARD), LINE, SIDE, ("prediction", "target")[n - 1])
    paper.frame(BOARD + framed[1] * SIDE // cols, LINE + framed[0] * SIDE // rows, SIDE // cols, SIDE // rows)
    shown = {r: [c for c in range(cols) if not hidden[r * cols + c]] for r in range(rows)}
    places = "; ".join(f"row {r}: columns {', '.join(map(str, some))}" for r, some in shown.items() if some) or "none"
    alt = f"{name} as the network sees it, with {count} of {len(hidden)} patches hidden, its guess, and the truth. Visible: {places}. Framed: row {framed[0]}, column {framed[1]}."
    return Seen(paper, alt, line, wrong=wrong)


def read_own(name: str, content: bytes, size: tuple[int, int], channels: int) -> Tensor:
    """A picture of one's own, cut to a square from its middle: uint8 (C, H, W). Raises UserError for a file that is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = read_image(io.BytesIO(content), size)
        except BROKEN as error:
            raise UserError(f"{name} cannot be read as a picture: choose a PNG or JPEG file") from error
    return image if channels == 3 else image.float().mean(0, keepdim=True).round().to(torch.uint8)
