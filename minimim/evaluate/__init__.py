"""Evaluation: one protocol for every encoder, and for its floors, which are baselines that have learnt nothing.

Features are extracted once, by one function for train and test images, and k-NN and every probe but `official_probe` read the same
ones. `official_probe` and `finetune` train on the images themselves.
"""

from minimim.evaluate.attentive import attentive_probe
from minimim.evaluate.compare import compare, floors, monitor, sweep, table
from minimim.evaluate.features import Features, extract, raw_pixels
from minimim.evaluate.finetune import FinetuneConfig, finetune, load_classifier
from minimim.evaluate.knn import knn
from minimim.evaluate.low_shot import low_shot
from minimim.evaluate.official import OfficialConfig, official_probe
from minimim.evaluate.probe import linear_probe
from minimim.evaluate.regression import place_and_size, regression_probe
from minimim.evaluate.score import Score
from minimim.evaluate.segmentation import compare_segmentation, patch_pixels, segmentation_probe

__all__ = ["Features", "FinetuneConfig", "OfficialConfig", "Score", "attentive_probe", "compare", "extract", "finetune", "floors", "knn", "linear_probe"]
__all__ += ["load_classifier", "monitor", "official_probe", "place_and_size", "raw_pixels", "regression_probe", "sweep", "table"]
__all__ += ["compare_segmentation", "low_shot", "patch_pixels", "segmentation_probe"]
