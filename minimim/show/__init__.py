"""Pictures, drawings and charts: what a method sees, what it hides, what it fills in, and how well.

Each name is brought from its file when it is first asked for, so that a command that draws nothing does not wait for matplotlib.
"""

from importlib import import_module

NAMES = {  # file → what of it is used from outside
    "charts": ("Table", "bars", "curves"),
    "diff": ("Diff",),
    "drawing": ("Drawing", "Shown"),
    "grids": ("gallery", "heatmaps"),
    "pictures": ("Filled", "as_pixels", "fill_in", "filling", "grey_out", "png", "strip"),
    "drawings.attention": ("attention_over", "heads_side_by_side", "queries_keys_values", "score_matrix", "softmax_row", "weighted_mean"),
    "drawings.contrast": ("cosine_tables", "info_nce_by_hand", "on_the_circle", "patch_finds_its_place", "runs_on_a_plane", "student_and_teacher"),
    "drawings.decoder": ("broken", "decoder_tiles", "put_back", "visible_only"),
    "drawings.hiding": ("by_scores", "distance_by_hand", "heads_by_training"),
    "drawings.losses": ("counted", "doubt", "loss_by_hand", "normalising"),
    "drawings.masks": ("filler_at", "shuffle_and_restore", "three_choices"),
    "drawings.patches": ("alike", "cut_apart", "cuts", "kernel_and_row", "layouts", "split_permute_merge", "to_tokens"),
    "drawings.probes": ("frozen", "overlap", "regions", "spotlit", "votes"),
    "drawings.project": ("difference", "project_cycle", "seeds_on_a_line"),
    "drawings.runs": ("clouds", "features_apart", "leak_maps", "reading_plan"),
    "drawings.seen": ("seen_by", "sibling_of", "what_they_see"),
    "drawings.siblings": ("assigned", "family", "sibling", "sinkhorn_by_hand"),
    "drawings.start": ("numbered", "transfer", "turned_down", "two_directions"),
    "drawings.survey": ("gap_grid", "kappa_by_hand", "papers_of", "taxonomy_tree", "timeline"),
    "drawings.survey_charts": ("dendrogram", "kappas", "results_scatter"),
    "drawings.targets": ("all_targets", "amplitudes", "codebook", "hog_by_hand", "hog_glyphs", "moved", "pca_colours", "side_by_side", "target_panels"),
    "drawings.training": ("adamw_step", "training_loop"),
    "drawings.vit": ("add_then_gather", "block_flow", "boxes_on", "clocks", "position_table", "vit_whole"),
    "drawings.whole": ("mae",),
    "widgets.explorer": ("mask_explorer",),
    "widgets.fill": ("live_fill_in",),
    "widgets.lens": ("attention_lens",),
    "widgets.targets": ("target_gallery",),
    "widgets.theatre": ("collapse_theatre",),
}
FILE = {name: file for file, names in NAMES.items() for name in names}
__all__ = list(FILE)


def __getattr__(name: str):
    """A drawing, by its name."""
    if name not in FILE:
        raise AttributeError(f"minimim.show has no '{name}'")
    return getattr(import_module(f"minimim.show.{FILE[name]}"), name)


def __dir__() -> list[str]:
    """What there is, for completion."""
    return sorted([*globals(), *FILE])
