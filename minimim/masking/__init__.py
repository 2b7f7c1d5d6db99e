"""Every answer to "what is hidden": modules with one call, (inputs, grid, guide, progress, noise, generator, view) → [Mask].

guide: what a teacher makes of the same crop, or None. view: the number of the student view."""

from minimim.masking.asked import PartlyAskedMasking
from minimim.masking.block import BlockMasking
from minimim.masking.blocks import InverseBlockMasking, MultiBlockMasking
from minimim.masking.guided import HardestMasking
from minimim.masking.mask import Mask, mask_by_noise, visible_count
from minimim.masking.random import GridMasking, RandomMasking

__all__ = ["BlockMasking", "GridMasking", "HardestMasking", "Mask", "RandomMasking", "mask_by_noise", "visible_count"]
__all__ += ["InverseBlockMasking", "MultiBlockMasking"]
__all__ += ["PartlyAskedMasking"]
