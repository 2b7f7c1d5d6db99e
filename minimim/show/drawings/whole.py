"""The masked autoencoder, whole: one picture on its way through a trained model, and the arrow back to what it is compared with."""

import torch
from torch import Tensor

from minimim.methods import Method
from minimim.show.drawing import Drawing
from minimim.show.pictures import fill_in

SIDE, TOP, LOW = 4.4, 0.8, 7.0  # units
LATENTS, TILES = 4, 8  # how many latents are drawn; and rows and columns of tokens, at most


@torch.no_grad()
def mae(method: Method, image: Tensor, *, noise: Tensor | None = None) -> Drawing:
    """What MAE (He et al., arXiv 2111.06377) does to one picture, uint8 (C, H, W): cut, hide three quarters, encode the rest, put mask
    tokens where patches are missing, decode, compare.

    method: a trained one that predicts pixels from the visible patches alone. noise: (1, N), of the mask; by default a fixed one.
    Patches and predictions are the picture's own; of the tokens, the first LATENTS and the upper left TILES × TILES are drawn, with the numbers of their patches.
    """
    rows, cols = grid = method.encoder.grid(image[None])
    noise = torch.rand(1, rows * cols, generator=torch.Generator().manual_seed(0)) if noise is None else noise
    done = fill_in(method, image[None], noise=noise)
    hidden, count, middle = done.mask[0], rows * cols, TOP + SIDE / 2
    visible = (~hidden).nonzero().flatten().tolist()
    alt = (
        f"MAE on one picture. It is cut into {count} patches, of which {count - len(visible)} are hidden. The encoder reads the {len(visible)} visible ones. "
        "Mask tokens fill the holes between the latents, the decoder predicts the hidden patches, and the loss compares them with the picture's own."
    )
    drawing = Drawing(25.4, 12.3, alt)
    drawing.picture(0.4, TOP, SIDE, image, "picture")
    drawing.arrow((4.85, middle), (6.05, middle), "cut")
    drawing.patches(6.1, TOP, SIDE, image, grid, hidden, gap=0.07)
    drawing.text(6.1 + SIDE / 2, TOP - 0.35, f"{count} patches, {len(visible)} visible")

    drawing.arrow((10.6, middle), (12.1, middle), "encoder")
    shown = visible[:LATENTS]
    drawing.tiles(12.2, TOP + 0.15, ["latent"] * len(shown), shown, side=0.95, down=True, size=9)
    drawing.text(12.7, TOP - 0.35, f"{len(visible)} latents")
    drawing.text(12.7, TOP + SIDE + 0.05, "⋮" if len(visible) > len(shown) else "", size=12)
    drawing.shape(12.7, TOP + SIDE + 0.6, 1, len(visible), method.encoder.dim)

    drawing.arrow((13.3, middle), (14.7, middle), "put back")
    step = SIDE / min(TILES, max(grid))
    for row in range(min(TILES, rows)):
        for col in range(min(TILES, cols)):
            n = row * cols + col
            kind, words = ("mask token", "m") if hidden[n] else ("latent", str(n))
            drawing.box(14.8 + col * step, TOP + row * step, step - 0.06, step - 0.06, kind, words, size=8 if step > 0.8 else 6.5)
    drawing.text(14.8 + SIDE / 2, TOP - 0.35, "latents and mask tokens")
    drawing.shape(14.8 + SIDE / 2, TOP + SIDE + 0.6, 1, count, method.decoder.mask_token.shape[-1])

    drawing.arrow((19.25, middle), (20.75, middle), "decoder")
    drawing.patches(20.8, TOP, SIDE, done.filled[0], grid, left_out=~hidden, kind="prediction", gap=0.07)
    drawing.text(20.8 + SIDE / 2, TOP - 0.35, "prediction")

    drawing.patches(20.8, LOW, SIDE, image, grid, left_out=~hidden, kind="target", gap=0.07)
    drawing.text(20.8 + SIDE / 2, LOW + SIDE + 0.4, "target: the true pixels")
    drawing.path((0.4 + SIDE / 2, TOP + SIDE + 0.1), (0.4 + SIDE / 2, LOW + SIDE / 2), (20.7, LOW + SIDE / 2))
    drawing.path((20.8 + SIDE / 2, TOP + SIDE + 0.15), (20.8 + SIDE / 2, LOW - 0.15))
    drawing.text(22.7, TOP + SIDE + 1.15, "loss: mean of (prediction − target)² over the hidden patches", at="right")
    drawing.key(3.6, LOW + SIDE - 0.6, "hidden", "latent", "mask token", "prediction", "target", width=3.2)
    return drawing
