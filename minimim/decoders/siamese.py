"""A predictor of another view: it gets the positions of that view's patches and predicts their features (SiameseIM, arXiv 2206.01204)."""

import torch
from torch import Tensor, nn

from minimim.decoders.cross import whole_row
from minimim.encoders.encoded import Encoded, Streams
from minimim.layers import Block, initialise
from minimim.masking.mask import Mask
from minimim.norms import BatchNorm
from minimim.patches import resize_positions, sincos_positions


class BatchNormBlock(Block):
    """A transformer block with batch norm, each feature over all tokens of all images, instead of LayerNorm."""

    def __init__(self, dim: int, heads: int):
        super().__init__(dim, heads)
        self.norm1, self.norm2 = BatchNorm(dim), BatchNorm(dim)


class BlockProjector(nn.Module):
    """A linear map and a few blocks with batch norm on the visible tokens: the part of the head of which the teacher has a copy."""

    def __init__(self, encoder_dim: int, *, dim: int, depth: int, heads: int):
        super().__init__()
        self.embed = nn.Linear(encoder_dim, dim)
        self.blocks = nn.ModuleList(BatchNormBlock(dim, heads) for _ in range(depth))
        self.apply(initialise)

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None) -> Streams:
        """Latents → {"patch": (B, K, D')}, and "cls" (B, D') if the encoder has one."""
        x = self.embed(whole_row(encoded))  # (B, [1+] K, D')
        for block in self.blocks:
            x = block(x)
        return {"patch": x} if encoded.cls is None else {"cls": x[:, 0], "patch": x[:, 1:]}


class ViewPredictor(nn.Module):
    """Predict the teacher's features of every patch of another view from the visible patches of one view (SiameseIM, arXiv 2206.01204).

    There is a mask token for each patch of the other view; added to it is a linear map of the patch's position in the grid of this view
    and of its size. Without boxes the other view is the same as this one.
    projector: a BlockProjector of width dim on the visible tokens. grid: (rows, cols) for which positions are defined, interpolated for
    other grids. dim, depth, heads: of the predictor's blocks.
    """

    want = ("boxes",)

    def __init__(self, projector: BlockProjector, grid: tuple[int, int], *, dim: int, depth: int, heads: int):
        super().__init__()
        self.home_grid = grid
        self.mask_token = nn.Parameter(torch.empty(1, 1, dim))
        self.pos_embed = nn.Parameter(sincos_positions(dim, grid).unsqueeze(0), requires_grad=False)  # (1, N, D')
        self.place = nn.Linear(2 * dim, dim)
        self.blocks = nn.ModuleList(BatchNormBlock(dim, heads) for _ in range(depth))
        self.pred = nn.Linear(dim, dim)
        self.apply(initialise)
        nn.init.normal_(self.mask_token, std=0.02)
        self.projector = projector

    def forward(self, encoded: Encoded, mask: Mask | None = None, question: Tensor | None = None, boxes: Tensor | None = None) -> Streams:
        """Latents of the visible patches, and boxes (2, B, 4) of this view and the other one → {"patch": (B, N, D')} of the other one."""
        own = self.projector(encoded)
        rows, cols = encoded.grid
        batch, seen, dim = own["patch"].shape
        positions = resize_positions(self.pos_embed[0], self.home_grid, encoded.grid)  # (N, D')
        if seen < rows * cols:
            positions = positions[mask.visible_ids]  # (B, K, D')
        context = own["patch"] + positions  # (B, K, D')
        if "cls" in own:
            context = torch.cat([own["cls"].unsqueeze(1).to(context.dtype), context], dim=1)  # (B, 1+K, D'): CLS has no position
        this, other = whole_boxes(batch, context.device) if boxes is None else boxes
        places = relative_positions(dim, encoded.grid, this, other).to(self.mask_token.dtype)  # (B, N, 2·D')
        asked = self.mask_token + self.place(places)  # (B, N, D')
        x = torch.cat([context, asked.to(context.dtype)], dim=1)  # (B, [1+] K+N, D')
        for block in self.blocks:
            x = block(x)
        return {"patch": self.pred(x[:, -rows * cols :])}


def whole_boxes(batch: int, device) -> Tensor:
    """The box of the whole image twice, for each image: (2, B, 4) as x0, y0, x1, y1 in [0, 1]."""
    return torch.cat([torch.zeros(2, batch, 2, device=device), torch.ones(2, batch, 2, device=device)], dim=2)


def relative_positions(dim: int, grid: tuple[int, int], this: Tensor, other: Tensor) -> Tensor:
    """Embeddings of the position of each patch of the other view in the grid of this one, and of its size: two boxes (B, 4) → (B, N, 2·dim).

    Sines and cosines, as in `sincos_positions`, of column, row and ten times the logarithm of width and height, all in units of the
    patches of this view. A mirrored view has x0 > x1; then its columns run from right to left in the image, and no special case is needed.
    """
    rows, cols = grid
    span = this[:, 2:] - this[:, :2]  # (B, 2), x and y, negative if mirrored
    start, scale = (other[:, :2] - this[:, :2]) / span, (other[:, 2:] - other[:, :2]) / span  # (B, 2) each, in sides of this view
    places = []
    for axis, count in enumerate((cols, rows)):
        middles = (torch.arange(count, device=this.device) + 0.5) / count  # (count,)
        places.append((start[:, axis, None] + scale[:, axis, None] * middles) * count - 0.5)  # (B, count)
    col = places[0].unsqueeze(1).expand(-1, rows, -1).flatten(1)  # (B, N)
    row = places[1].unsqueeze(2).expand(-1, -1, cols).flatten(1)
    width, height = (size.unsqueeze(1).expand_as(col) for size in (10 * scale.abs().log()).unbind(1))  # (B, N)
    rates = 10000.0 ** (-torch.arange(dim // 4, device=this.device) / (dim // 4))  # (dim/4,)
    angles = [number.unsqueeze(-1) * rates for number in (col, row, width, height)]  # (B, N, dim/4) each
    return torch.cat([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], dim=-1)
