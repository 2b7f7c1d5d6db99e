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
from minimim.show.drawings.training import adamw_step, training_loop
from minimim.show.drawings.whole import mae
from minimim.show.grids import gallery, heatmaps
from minimim.show.pictures import Filled, as_pixels, fill_in, grey_out, png, strip

__all__ = ["Drawing", "Filled", "Shown", "Table", "as_pixels", "bars", "curves", "fill_in", "gallery", "grey_out", "heatmaps", "mae", "png", "strip"]
__all__ += ["broken", "decoder_tiles", "put_back", "visible_only"]
__all__ += ["adamw_step", "training_loop"]
__all__ += ["attention_over", "heads_side_by_side", "queries_keys_values", "score_matrix", "softmax_row", "weighted_mean"]
