"""Pictures, drawings and charts: what a method sees, what it hides, what it fills in, and how well."""

from minimim.show.charts import Table, bars, curves
from minimim.show.drawing import Drawing, Shown
from minimim.show.drawings.attention import (
    attention_over,
    heads_side_by_side,
    queries_keys_values,
    score_matrix,
    softmax_row,
    weighted_mean,
)
from minimim.show.drawings.decoder import broken, decoder_tiles, put_back, visible_only
from minimim.show.drawings.losses import counted, doubt, loss_by_hand, normalising
from minimim.show.drawings.masks import filler_at, shuffle_and_restore, three_choices
from minimim.show.drawings.patches import (
    alike,
    cut_apart,
    cuts,
    kernel_and_row,
    layouts,
    split_permute_merge,
    to_tokens,
)
from minimim.show.drawings.probes import frozen, overlap, regions, spotlit, votes
from minimim.show.drawings.project import difference, project_cycle, seeds_on_a_line
from minimim.show.drawings.runs import clouds, features_apart, leak_maps, reading_plan
from minimim.show.drawings.start import numbered, transfer, turned_down, two_directions
from minimim.show.drawings.training import adamw_step, training_loop
from minimim.show.drawings.vit import add_then_gather, block_flow, boxes_on, clocks, position_table, vit_whole
from minimim.show.drawings.whole import mae
from minimim.show.grids import gallery, heatmaps
from minimim.show.pictures import Filled, as_pixels, fill_in, grey_out, png, strip

__all__ = ["Drawing", "Filled", "Shown", "Table", "as_pixels", "bars", "curves", "fill_in", "gallery", "grey_out", "heatmaps", "mae", "png", "strip"]
__all__ += ["broken", "decoder_tiles", "put_back", "visible_only"]
__all__ += ["adamw_step", "training_loop"]
__all__ += ["attention_over", "heads_side_by_side", "queries_keys_values", "score_matrix", "softmax_row", "weighted_mean"]
__all__ += ["alike", "cut_apart", "cuts", "kernel_and_row", "layouts", "split_permute_merge", "to_tokens"]
__all__ += ["filler_at", "shuffle_and_restore", "three_choices"]
__all__ += ["clouds", "difference", "features_apart", "leak_maps", "project_cycle", "reading_plan", "seeds_on_a_line"]
__all__ += ["numbered", "transfer", "turned_down", "two_directions"]
__all__ += ["counted", "doubt", "loss_by_hand", "normalising"]
__all__ += ["frozen", "overlap", "regions", "spotlit", "votes"]
__all__ += ["add_then_gather", "block_flow", "boxes_on", "clocks", "position_table", "vit_whole"]
