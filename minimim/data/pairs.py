"""Views that differ between student and teacher: in their colours, by a few pixels, or by another crop."""

import torch
from torch import Tensor, nn

from minimim.data.colour import Colour
from minimim.data.views import Inputs, Views, as_inputs, crop_boxes, mirror, normalized, render
from minimim.draws import uniform
from minimim.errors import UserError, unknown

ROOM = 32 / 256  # the part of CMAE's large crop, 256 pixels, by which its window of 224 may move
DIFFER = ("colour", "shift", "crop")


class PairedViews(nn.Module):
    """Two renderings of each image, one for the student and one for the teacher; in eval both are the normalised image itself.

    differ: in what the teacher's view differs from the student's.
    "colour": the same crop in the teacher's colours (ConMIM, arXiv 2205.09616).
    "shift": both are windows of one larger crop; the student's is its first corner, the teacher's up to 31 of 224 pixels further
    down and to the side, in proportion for other sizes (CMAE, arXiv 2207.13532).
    "crop": another crop, mirrored or not by a draw of its own, which is the content as well (SiameseIM, arXiv 2206.01204): no
    content view shows what the student sees, and `boxes` and `content_boxes` say where both were cut.
    But for "crop" the content is the student's own view, the clean one if the student has no colours.

    image_size: (H, W) of the views. scale: smallest and largest part of the area that a crop takes. flip: whether half of the
    samples are mirrored. student, teacher: the Colour of each one's views, or None for none.
    Raises UserError for another difference, and for no crop where the views are to be windows.
    """

    def __init__(self, image_size, *, differ="colour", scale=(0.2, 1.0), flip=True, student: Colour | None = None,
                 teacher: Colour | None = None):  # fmt: skip
        super().__init__()
        if differ not in DIFFER:
            raise unknown("difference between views", differ, DIFFER)
        if scale is None and differ != "colour":
            raise UserError(f'views that differ by "{differ}" are cut from the image: give the scale of the crops, such as (0.2, 1.0)')
        self.image_size, self.differ, self.scale, self.flip = image_size, differ, scale, flip
        self.student, self.teacher = student, teacher

    def forward(self, inputs: Tensor | Inputs, generator: torch.Generator | None = None) -> Views:
        """Draw the views of a batch: one for the student, one for the teacher, one content."""
        inputs = as_inputs(inputs)
        first = next(iter(inputs.values()))
        same = [None if self.differ == "crop" else 0]
        if not self.training:
            view = [normalized(inputs)]
            whole = crop_boxes(torch.zeros(len(first), 4, device=first.device), None).unsqueeze(0)  # (1, B, 4)
            return Views(view, view, view, whole, same=same)
        mine, theirs = self.boxes(len(first), generator, first.device)  # (B, 4) each
        student = self.render(inputs, mine, self.student, generator)
        teacher = self.render(inputs, theirs, self.teacher, generator)
        content, shown = (teacher, theirs) if self.differ == "crop" else (student, mine)
        return Views([student], [teacher], [content], mine.unsqueeze(0), shown.unsqueeze(0), same)

    def boxes(self, batch: int, generator, device) -> tuple[Tensor, Tensor]:
        """Where the student's and the teacher's views are cut, (B, 4) each, x0 > x1 where mirrored."""
        mine = self.draw(batch, generator, device)
        if self.differ == "colour":
            return mine, mine
        if self.differ == "crop":
            return mine, self.draw(batch, generator, device)
        noise = uniform(batch, 2, generator=generator, device=device)  # (B, 2)
        return windows(mine, noise, self.image_size)

    def draw(self, batch: int, generator, device) -> Tensor:
        """Random crops, (B, 4)."""
        noise = uniform(batch, 5, generator=generator, device=device)  # (B, 5)
        boxes = crop_boxes(noise[:, :4], self.scale)
        return mirror(boxes, noise[:, 4] < 0.5) if self.flip else boxes

    def render(self, inputs: Inputs, boxes: Tensor, colour: Colour | None, generator) -> Inputs:
        """One view of each image, in these colours."""
        noise = colour.draw(len(boxes), generator, boxes.device) if colour else None
        return render(inputs, boxes, None if self.scale is None else self.image_size, noise, colour=colour)


def windows(boxes: Tensor, noise: Tensor, image_size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Two windows of each crop, 7/8 of its sides: one at its first corner, and one that noise (B, 2), across and down, moves by
    whole pixels of the window, less than a seventh of it: boxes (B, 4) → (B, 4) twice, mirrored as the crop is."""
    corner, side = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]  # (B, 2) each, sides below 0 where mirrored
    side = side * (1 - ROOM)  # of a window
    pixels = torch.stack([torch.full_like(noise[:, 0], n) for n in (image_size[1], image_size[0])], dim=1)  # (B, 2)
    moved = corner + side * (noise * pixels * ROOM / (1 - ROOM)).floor() / pixels
    return torch.cat([corner, corner + side], dim=1), torch.cat([moved, moved + side], dim=1)
