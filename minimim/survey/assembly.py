"""A method for a cell of the grid masking × target × objective, out of this library's parts (minimim.survey.gaps).

All of them share what the cell does not name: one random crop, a ViT that reads mask tokens at the hidden places (SimMIM, arXiv 2111.09886),
and a linear map from each token to its prediction. What guides a mask, and what a target is read from, comes with them: a teacher, or a
second head that predicts difficulty (HPM, arXiv 2304.05919). No paper proposes these methods, and whether they learn is for a run to say.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from minimim.config import TrainConfig
from minimim.data.views import RandomViews
from minimim.decoders import LinearDecoder, PrototypeHead, Together
from minimim.encoders import ViT
from minimim.errors import UserError, unknown
from minimim.losses import Term, cosine, cross_entropy, l2, patch_nce, ranking, uniformity
from minimim.losses.adversary import Adversary
from minimim.losses.spectrum import SpectrumDistance
from minimim.masking import AttentionMasking, BlockMasking, ColourMasking, HardestMasking, RandomMasking, SemanticMasking
from minimim.masking.frequency import FrequencyMasking
from minimim.methods.frozen import Frozen
from minimim.methods.method import Method
from minimim.methods.teacher import Teacher
from minimim.survey.catalogue import FACETS
from minimim.targets import HOG, CentredPrototypes, KMeansTokens, LayerMean, OnlineClusters, Pixels
from minimim.targets.frozen import FrozenFeatures
from minimim.targets.spectrum import Spectrum

RATIO = 0.6  # of the patches that are hidden, as in SimMIM, because the encoder reads mask tokens here as there
CODES, PROTOTYPES, CLUSTERS = 512, 256, 256
MASKS: dict[str, Callable[[], nn.Module]] = {
    "random": lambda: RandomMasking(RATIO),
    "block": lambda: BlockMasking(RATIO),
    "noise": lambda: ColourMasking("green", RATIO),
    "attention": lambda: AttentionMasking((RATIO, RATIO), chance=1.0),
    "learned": lambda: HardestMasking(RATIO),
    "semantic": lambda: SemanticMasking(RATIO),
    "frequency": FrequencyMasking,
}
GUIDED = ("attention", "learned", "semantic")  # by a teacher
TARGETS = ("pixels", "hog", "frequency", "tokens", "features", "latents", "clusters")
OBJECTIVES = {  # objective → the targets that it can compare
    "regression": ("pixels", "hog", "frequency", "features", "latents"),
    "classification": ("tokens", "clusters"),
    "contrastive": ("pixels", "hog", "features", "latents"),
    "distillation": ("latents", "clusters"),
    "adversarial": ("pixels",),
    "uniformity": TARGETS,
    "ranking": ("pixels", "hog", "tokens", "features", "latents", "clusters"),
}
WITHOUT = {  # facet → why the library has no part for it
    "tube": "this library has no videos, so there are no frames in which the same places could be hidden",
    "frames": "this library has no videos, so there are no frames to hide",
    "motion": "this library has no videos, so nothing moves",
    "gradient": "no masking here chooses patches by the strength of their edges",
    "mixing": "no masking here fills the hidden places with other content",
    "modalities": "several modalities need an encoder and heads for each, which only the method multimae has",
    "inside": "no encoder here hides features or attention within itself",
    "none": "where nothing is hidden or predicted there is no masked modeling",
    "text": "no decoder of patches here predicts words",
    "shape": "this library has no point clouds",
    "depth": "depth needs an input beside the image, which only the method multimae takes",
    "audio": "this library has no sound",
    "position": "no target here is the place of a patch",
    "labels": "labels belong to whole images here, and are used by the method supmae",
    "other": "the word stands for what occurs once, so there is nothing to choose",
    "diffusion": "no loss here predicts the noise of a diffusion process",
    "likelihood": "no loss here is the likelihood of continuous values",
}
CANNOT = {  # objective → what it needs of a target, where OBJECTIVES does not pair the two
    "regression": "a distance needs numbers, and these are classes or their probabilities",
    "classification": "a cross-entropy needs classes, and these are numbers",
    "contrastive": "telling the right one from others needs a vector at each patch",
    "distillation": "a teacher's distribution is over prototypes of its own latents",
    "adversarial": "the discriminator looks at pictures",
    "ranking": "difficulty is an error at each patch, and a spectrum has one at each frequency",
}


def missing(masking: str, target: str, objective: str) -> str:
    """What keeps the library from making a method for a cell, in a sentence; empty if nothing does. Raises UserError for an unknown facet."""
    for axis, word, known in (
        ("masking", masking, MASKS),
        ("target", target, TARGETS),
        ("objective", objective, OBJECTIVES),
    ):
        if word not in FACETS[axis]:
            raise unknown(axis, word, FACETS[axis])
        if word not in known:
            return WITHOUT[word]
    if target not in OBJECTIVES[objective]:
        return CANNOT[objective]
    judged = masking == "learned" or objective == "ranking"
    if judged and target == "frequency":
        return CANNOT["ranking"]
    if judged and target == "features":
        return "difficulty is predicted by a moving average of the student, and the features come from a frozen teacher: a method has one of them"
    if masking == "learned" and objective == "distillation":
        return "the teacher would need two heads, for prototypes and for difficulty, and its target reads all that it says"
    if masking == "frequency" and objective in ("adversarial", "ranking"):
        return "a mask of frequencies leaves no patch as it was, with which a hidden one could be compared"
    return ""


@dataclass
class Cell:
    """What the parts of a cell are made from. encoder: the student's."""

    masking: str
    target: str
    objective: str
    encoder: ViT
    image_size: tuple[int, int]
    patch_size: int

    @property
    def on(self) -> str:
        """The places that count: for a spectrum all frequencies, or those that the mask removed; else the hidden patches."""
        if self.target == "frequency":
            return "scored" if self.masking == "frequency" else "all"
        return "hidden"

    def what(self) -> tuple[nn.Module, int, Callable]:
        """The target, the width of its prediction, and the loss by which it is usually compared."""
        dim, pixels = self.encoder.dim, 3 * self.patch_size**2
        if self.target == "pixels":
            return Pixels(self.patch_size, normalize=self.objective != "adversarial"), pixels, l2
        if self.target == "hog":
            hog = HOG(self.patch_size)
            return hog, 3 * hog.bins * hog.cells**2, l2
        if self.target == "frequency":
            return Spectrum(), pixels, SpectrumDistance(self.patch_size, self.encoder.home_grid)
        if self.target == "tokens":
            return KMeansTokens(self.image_size, self.patch_size, CODES), CODES, cross_entropy
        if self.target == "features":
            return FrozenFeatures(self.patch_size), Frozen("mae-scenes", self.image_size).dim, cosine
        if self.objective == "distillation":
            return CentredPrototypes(PROTOTYPES), PROTOTYPES, partial(cross_entropy, temperature=0.1)
        if self.target == "latents":
            return LayerMean(max(1, self.encoder.depth // 2)), dim, l2
        return OnlineClusters(dim, CLUSTERS), CLUSTERS, partial(cross_entropy, temperature=0.12)

    def terms(self, loss: Callable) -> list[Term]:
        """How it is compared: by the objective, and where that compares no targets, beside the usual loss."""
        usual = Term("patch", loss, on=self.on)
        if self.objective == "contrastive":
            return [Term("patch", patch_nce, on=self.on)]
        if self.objective == "adversarial":
            return [usual, Term("patch", Adversary(self.encoder), 0.1, on=self.on, name="unlikely")]
        if self.objective == "uniformity":
            return [usual, Term("latent_cls", uniformity, 0.01, pair=None, name="uniformity")]
        return [usual]


def assembled(masking: str, target: str, objective: str, image_size=32, patch_size: int = 4, size: str = "micro") -> Method:
    """The method of a cell, see `minimim.survey.gaps.build`."""
    reason = missing(masking, target, objective)
    if reason:
        raise UserError(f"no method for {masking} × {target} × {objective} can be made of this library's parts: {reason}")
    image_size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    encoder = ViT(image_size, patch_size, size, hidden="token")
    cell = Cell(masking, target, objective, encoder, image_size, patch_size)
    what, width, loss = cell.what()
    distilled = objective == "distillation"
    head = (
        PrototypeHead(encoder.dim, prototypes=width, hidden_dim=4 * encoder.dim, bottleneck_dim=64)
        if distilled
        else LinearDecoder(encoder.dim, width)
    )
    terms, decoder, taught = cell.terms(loss), head, head if distilled else None
    if masking == "learned" or objective == "ranking":
        judge = LinearDecoder(encoder.dim, 1)
        decoder, taught = Together(patch=head, difficulty=judge), Together(difficulty=judge)
        terms.append(Term("difficulty", ranking, on="hidden", against="patch"))
    return Method(
        views=RandomViews(image_size, scale=(0.2, 1.0)),
        masking=MASKS[masking](),
        encoder=encoder,
        decoder=decoder,
        target=what,
        terms=terms,
        teacher=teacher_for(cell, taught),
        defaults=TrainConfig(lr=1e-3, betas=(0.9, 0.999), clip=3.0),
    )


def teacher_for(cell: Cell, head: nn.Module | None) -> nn.Module | None:
    """The teacher that a cell needs, or None. Raises UserError where a frozen one is to guide a mask on another grid."""
    if cell.target == "features":
        frozen = Frozen("mae-scenes", cell.image_size)
        if cell.masking in GUIDED and frozen.encoder.patch_size != cell.patch_size:
            raise UserError(
                f"the frozen teacher has patches of {frozen.encoder.patch_size} pixels, and guides no mask on patches of {cell.patch_size}: "
                f"choose patch_size={frozen.encoder.patch_size}"
            )
        return frozen
    if cell.masking in GUIDED or cell.target in ("latents", "clusters"):
        return Teacher(cell.encoder, head, (0.996, 1.0))
    return None
