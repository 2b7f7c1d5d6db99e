"""Views of several sizes of each image: large crops, and small ones that show a part of it (SwAV, arXiv 2006.09882)."""

import torch
from torch import Tensor, nn

from minimim.data.colour import Colour
from minimim.data.views import Inputs, Views, as_inputs, crop_boxes, mirror, normalized, render
from minimim.draws import uniform
from minimim.errors import UserError


class MultiCrop(nn.Module):
    """`large` crops and `small` ones of each image, in this order, every one mirrored and coloured by itself; in eval the normalised
    image itself for each of them.

    image_size: (H, W) of the large crops; small_size: of the small ones, by default three sevenths of it in whole patches of `patch_size`
    (96 of 224). large_scale, small_scale: the smallest and largest part of the area that a crop takes. colour: a Colour, or None.
    apart: whether the first crop is for the teacher and the target alone, and all others for the student (MSN, arXiv 2204.07141); or
    the student sees all of them, and the teacher the large ones. Student views show no content view's crop, where they are apart, and
    small ones never do (`same` is None).
    Raises UserError for fewer crops than that takes.
    """

    def __init__(self, image_size, patch_size, *, large=2, small=0, large_scale=(0.3, 1.0), small_scale=(0.05, 0.3), small_size=None,
                 flip=True, colour: Colour | None = None, apart=False):  # fmt: skip
        super().__init__()
        if large < 1 or small < 0 or (apart and large + small < 2):
            raise UserError(f"{large} large and {small} small crops are too few: one large is for the teacher, and the student needs one too")
        small_size = small_size or tuple(patch_size * max(1, round(side * 3 / 7 / patch_size)) for side in image_size)
        self.shapes = [(tuple(image_size), large_scale)] * large + [(tuple(small_size), small_scale)] * small
        self.large, self.flip, self.colour, self.apart = large, flip, colour, apart

    def forward(self, inputs: Tensor | Inputs, generator: torch.Generator | None = None) -> Views:
        """Draw the crops of a batch: Views with their boxes, x0 > x1 where mirrored."""
        inputs = as_inputs(inputs)
        if self.training:
            views, boxes = zip(*(self.draw(inputs, *shape, generator) for shape in self.shapes), strict=True)
            boxes = torch.stack(boxes)  # (V, B, 4)
        else:
            views, boxes = [normalized(inputs)] * len(self.shapes), None
        first, taught = (1, 1) if self.apart else (0, self.large)
        student, teacher = list(views[first:]), list(views[:taught])
        same = [v if v < taught and not self.apart else None for v in range(len(student))]
        if boxes is None:
            return Views(student, teacher, teacher, same=same)
        return Views(student, teacher, teacher, boxes[first:], boxes[:taught], same=same)

    def draw(self, inputs: Inputs, size: tuple[int, int], scale: tuple[float, float], generator) -> tuple[Inputs, Tensor]:
        """One crop of each image, and where it was cut, (B, 4)."""
        image = next(iter(inputs.values()))
        noise = uniform(len(image), 5 + Colour.NUMBERS, generator=generator, device=image.device)  # (B, 14)
        boxes = crop_boxes(noise[:, :4], scale)
        if self.flip:
            boxes = mirror(boxes, noise[:, 4] < 0.5)
        return render(inputs, boxes, size, noise[:, 5:], colour=self.colour), boxes
