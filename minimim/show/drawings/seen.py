"""What the student and the teacher of a method see of one image, and what is asked: in pictures, and as a drawing of the whole method."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from minimim.data.views import denormalize
from minimim.masking.mask import Mask
from minimim.show.drawing import Drawing, Shown
from minimim.show.drawings.siblings import sibling
from minimim.show.grids import gallery
from minimim.show.pictures import grey_out


@dataclass
class Crops:
    """One student view of an image, (C, H, W), the teacher's view that it is compared with, that in which the patches are compared, or
    None without a teacher, and the Mask."""

    student: Tensor
    teacher: Tensor | None
    same: Tensor | None
    mask: Mask


def seen_by(method, image: Tensor, seed: int = 5) -> Crops:
    """What a method draws for an image, (C, H, W) uint8, in training: the first student view with its mask, and the teacher's last one."""
    dice = torch.Generator().manual_seed(seed)
    views = method.views.train()({"image": image[None]}, dice)
    (mask, *_) = method.masking(views.student[0], method.encoder.home_grid, None, 0.5, None, dice, view=0)
    teacher = [denormalize(view["image"])[0] for view in views.teacher] if method.teacher is not None else []
    same = views.same[0]
    return Crops(denormalize(views.student[0]["image"])[0], teacher[-1] if teacher else None, None if same is None or not teacher else teacher[same], mask)


def what_they_see(methods: Mapping[str, object], image: Tensor, side: int = 136) -> Shown:
    """A column for each method: what its student sees of an image, what is asked (the whole picture where only one vector of it is
    compared), and what its teacher sees."""
    rows = {"student sees": [], "is asked": [], "teacher sees": []}
    for method in methods.values():
        crops, patch = seen_by(method, image), method.encoder.patch_size
        asked = torch.stack(crops.mask.scored).any(0)  # (1, N)
        vector = all(term.stream != "patch" for term in method.terms)
        rows["student sees"].append(grey_out(crops.student[None], crops.mask.hidden, patch)[0])
        rows["is asked"].append(crops.student if vector else grey_out(crops.student[None], ~asked, patch)[0])
        rows["teacher sees"].append(crops.teacher)
    alt = f"What student and teacher see of one picture, and what is asked, in {', '.join(methods)}."
    return gallery({name: torch.stack(some) for name, some in rows.items()}, list(methods), side=side, photo=True, alt=alt)


def sibling_of(method, image: Tensor, *, vector=None, patch=None, new: tuple[str, ...] = ()) -> Drawing:
    """`sibling` of a method, with the crops and the mask that it draws for an image, (C, H, W)."""
    crops = seen_by(method, image)
    hidden = crops.mask.hidden[0]
    reads = "all" if not hidden.any() else "mask tokens" if method.encoder.hidden == "token" else "visible"
    apart = vector and patch and patch[1] and crops.same is not None and crops.same is not crops.teacher
    asked = tuple(question[0] for question in crops.mask.scored)
    return sibling(crops.student, crops.teacher, method.encoder.home_grid, hidden=hidden, reads=reads, vector=vector, patch=patch, same=crops.same if apart else None, asked=asked, new=new)
