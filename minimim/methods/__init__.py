"""Methods by name: each is a recipe of a few lines, in a file for the section in which the survey (arXiv 2408.06687) has it."""

from minimim.methods import (  # noqa: F401 — their recipes are entered
    architecture,
    beyond,
    combined,
    contrast_and_masking,
    distilled,
    frequency,
    handmade,
    latent_mim,
    learned_masking,
    mage,
    masking_strategy,
    objective,
    references,
    several,
    siamese,
    target_features,
)
from minimim.methods.method import Method, Output, joint_embedding, reconstruction
from minimim.methods.registry import RECIPES, SECTIONS, anew, create, kinds, names, options, recipe
from minimim.methods.teacher import Seen, Teacher

__all__ = ["RECIPES", "SECTIONS", "Method", "Output", "Seen", "Teacher", "anew", "create", "joint_embedding", "kinds", "names", "options"]
__all__ += ["recipe", "reconstruction"]
