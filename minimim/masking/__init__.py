"""What is hidden: masking modules, all called as (inputs, grid, guide, progress, noise, generator, view) → [Mask].

inputs: the student view, {"image": (B, C, H, W), …}. grid: (rows, cols) of its patches. guide: the teacher's output for the same crop
(`Seen`), or None. progress: the fraction of the run that is over. noise: random numbers to use instead of a draw from the generator.
view: the number of the student view."""

from minimim.masking.asked import PartlyAskedMasking
from minimim.masking.block import BlockMasking
from minimim.masking.blocks import InverseBlockMasking, MultiBlockMasking
from minimim.masking.guided import AttentionMasking, HardestMasking
from minimim.masking.learned import AdversarialMasking
from minimim.masking.mask import Mask, mask_by_noise, visible_count
from minimim.masking.noise import ColourMasking
from minimim.masking.nothing import NoMasking
from minimim.masking.random import GridMasking, RandomMasking
from minimim.masking.semantic import SemanticMasking
from minimim.masking.variable import VariableMasking
from minimim.masking.views import FirstViewsMasking

__all__ = ["BlockMasking", "GridMasking", "HardestMasking", "Mask", "RandomMasking", "mask_by_noise", "visible_count"]
__all__ += ["AttentionMasking", "ColourMasking", "InverseBlockMasking", "MultiBlockMasking", "SemanticMasking"]
__all__ += ["PartlyAskedMasking"]
__all__ += ["VariableMasking"]
__all__ += ["AdversarialMasking", "FirstViewsMasking", "NoMasking"]
