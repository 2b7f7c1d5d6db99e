"""Fill a method with foreign weights, or make one of their size."""

from dataclasses import dataclass

import torch
from torch import Tensor

from minimim.encoders import SIZES
from minimim.errors import UserError
from minimim.interop.causes import NOT_THE_ENCODER, has_more, misfit, refuse_other_designs, refuse_other_encoders
from minimim.interop.spellings import to_official, to_ours
from minimim.interop.unsaid import Known, give_cls_a_place, grid_of_table, restate, settle_target, sides
from minimim.methods import Method, create
from minimim.methods.bases import DECODERS
from minimim.patches import resize_positions


@dataclass
class Loaded:
    """What was loaded. source: the code whose names the weights had; decoder: whether a decoder was loaded too; ignored: names not used."""

    source: str
    decoder: bool
    ignored: list[str]


def has_decoder(weights: dict[str, Tensor]) -> bool:
    """Whether foreign weights hold an MAE's decoder beside the encoder, so that they can fill in hidden patches."""
    return "decoder_embed.weight" in to_official(weights)[1]


def load(method: Method, weights: dict[str, Tensor], image_size=None) -> Loaded:
    """Fill a method with foreign weights; their names show which code wrote them.

    image_size: (H, W) or one side that they were trained at, where it is not square. Positions of another grid than the
    method's are interpolated. A decoder is filled when the weights hold one, else it stays as it is, and so does a mask
    token that the encoder has; a teacher begins as a copy of its students.
    Raises UserError when the encoder is incomplete, has another shape, or has parts that the method's lacks.
    """
    source, official = to_official(weights)
    known = Known({"image_size": image_size}, getattr(weights, "says", {}))
    loaded = fill(method, source, official, known)
    known.tell(source)
    return loaded


def fill(method: Method, source: str, official: dict[str, Tensor], known: Known) -> Loaded:
    """Fill a method with weights in the official spelling. Raises UserError for a misfit; the method is then untouched."""
    refuse_other_encoders(method.encoder)
    refuse_other_designs(official)
    give_cls_a_place(official, known)
    ours, own = {to_ours(name): tensor for name, tensor in official.items()}, method.state_dict()
    parts = ("encoder.", "decoder.") if "decoder.embed.weight" in ours else ("encoder.",)
    mine = [name for name in own if name.startswith(parts) and name != "encoder.mask_token"]
    ignored = sorted(set(ours) - set(mine))
    if "encoder.cls_token" in ignored:
        raise UserError("these weights do not fit: their encoder has CLS, and this method's has none; create it with cls=True")
    if absent := [name for name in mine if name not in ours]:
        raise UserError(misfit(source, absent[0], ours, own))
    if more := [name for name in ignored if not NOT_THE_ENCODER.match(name)]:
        raise UserError(has_more(more[0].removeprefix("encoder.")))
    adapt_positions(ours, method, known)
    if other := [name for name in mine if ours[name].shape != own[name].shape]:
        raise UserError(misfit(source, other[0], ours, own))
    method.load_state_dict({name: ours[name] for name in mine}, strict=False)
    if method.teacher is not None:
        method.teacher.begin_again()
    return Loaded(source, len(parts) == 2, ignored)


def adapt_positions(ours: dict[str, Tensor], method: Method, known: Known) -> None:
    """Interpolate positions (1, [1+] N, D) that are of another grid than the method's, in place. A decoder's always lead with CLS."""
    for part, lead in (("encoder", int("encoder.cls_token" in ours)), ("decoder", 1)):
        table, module = ours.get(f"{part}.pos_embed"), getattr(method, part)
        if table is None or not hasattr(module, "home_grid") or table.dim() != 3:
            continue
        grid = grid_of_table(table[0, lead:], method.encoder.patch_size, known, module.home_grid)
        patches = resize_positions(table[0, lead:], grid, module.home_grid)
        ours[f"{part}.pos_embed"] = torch.cat([table[0, :lead], patches]).unsqueeze(0)


def method_for(weights: dict[str, Tensor], *, image_size=None, heads=None, decoder_heads=None, normalize_target=None,
               mean=None, std=None) -> Method:  # fmt: skip
    """An MAE of the size of foreign weights, filled with them, in eval mode: width, depth and patch size are read off their shapes,
    and an encoder without CLS stays without.

    The tensors do not show the rest. None means: as their file states it, or as the weights show beyond doubt, or else as is
    usual, with a warning that lists what was assumed.
    image_size: (H, W) or one side that they were trained at; fixed sine-cosine positions show it, others are taken to fill
    a square. heads: of the encoder; usually as many as the named size has. decoder_heads: usually 16, or as this library's decoder
    of these sizes has. normalize_target: whether the decoder predicts normalised patches; a decoder that answers an image of
    one grey with its grey does not. mean, std: the statistics of pixels, one number a channel in [0, 1]; usually ImageNet's.
    Raises UserError for a width and depth of no named size where heads are not stated, for an encoder with parts that ours lacks
    (such as DINOv2's layer scale), and for what `load` refuses.
    """
    source, official = to_official(weights)
    refuse_other_designs(official)
    asked = {"image_size": image_size, "heads": heads, "decoder_heads": decoder_heads, "normalize_target": normalize_target,
             "mean": mean, "std": std}  # fmt: skip
    if not isinstance(normalize_target, bool | None):
        raise UserError(f"normalize_target is True, False, or None where it is not known, not {normalize_target!r}")
    known = Known(asked, says_of(weights, official))
    give_cls_a_place(official, known)
    shape = shape_of(official, known, image_size)
    painter = "decoder_embed.weight" in official
    if painter:
        shape |= decoder_of(official, shape["size"], known)
    method = create("mae", **shape).eval()
    fill(method, source, official, Known({"image_size": shape["image_size"]}, {}))
    if painter:
        settle_target(method, known)
    restate(method, known, painter)
    known.tell(source)
    return method


def says_of(weights: dict[str, Tensor], official: dict[str, Tensor]) -> dict:
    """What the weights' file states; nothing when it describes a model of another width or depth.

    Raises UserError for a model whose MLP or norms compute something else than ours."""
    says = getattr(weights, "says", {})
    dim, depth = len(official.get("patch_embed.proj.weight", ())), depth_of(official, "blocks.")
    if (says.get("dim", dim), says.get("depth", depth)) != (dim, depth):
        return {}
    if says.get("activation", "gelu") != "gelu":
        raise UserError(f"these weights are of a model whose MLP has the activation {says['activation']}, and this library's has gelu")
    if says.get("eps", 0) > 2e-5:  # below that, features differ in their fifth digit
        raise UserError(f"these weights are of a model whose norms add {says['eps']:g} to the variance, and this library's add 1e-6")
    return says


def depth_of(official: dict[str, Tensor], blocks: str) -> int:
    """How many blocks there are under a name, `blocks.` or `decoder_blocks.`."""
    return len({name.split(".")[1] for name in official if name.startswith(blocks)})


def shape_of(official: dict[str, Tensor], known: Known, image_size) -> dict:
    """The options of `create` for the encoder of these weights: size, patch_size, channels, image_size, and cls=False without CLS."""
    kernel, table = official.get("patch_embed.proj.weight"), official.get("pos_embed")
    if kernel is None:
        raise UserError("these weights have no patch_embed.proj.weight, so their size cannot be told: give the whole encoder's")
    if kernel.dim() != 4 or kernel.shape[2] != kernel.shape[3]:
        raise UserError(
            f"these weights have a patch embedding of shape {tuple(kernel.shape)}, and this library's is (D, C, P, P), for square patches "
            "of single images: those of a video have another dimension"
        )
    if table is None or table.dim() != 3:
        have = "no pos_embed" if table is None else f"a pos_embed of shape {tuple(table.shape)}"
        raise UserError(
            f"these weights have {have}, and this library's encoder has a table (1, [1+] N, D): theirs places patches in another way, or "
            "the file is not whole"
        )
    dim, channels, patch_size, _ = kernel.shape
    cls = "cls_token" in official
    rows, cols = grid_of_table(table[0, int(cls) :], patch_size, known)
    shape = {"size": size_of_encoder(dim, depth_of(official, "blocks."), known), "patch_size": patch_size, "channels": channels}
    shape["image_size"] = (rows * patch_size, cols * patch_size)
    if image_size is not None and sides(image_size) != shape["image_size"]:
        raise UserError(
            f"image_size={image_size} is not what these weights were trained at: they have positions for {rows}×{cols} patches of "
            f"{patch_size}×{patch_size} pixels; leave it out, and encode images of any size afterwards"
        )
    return shape if cls else {**shape, "cls": False}


def size_of_encoder(dim: int, depth: int, known: Known) -> str | tuple[int, int, int]:
    """The name of a size, or (dim, depth, heads) where it has none, or other heads than the named one."""
    name = next((name for name, known_size in SIZES.items() if known_size[:2] == (dim, depth)), None)
    if depth == 0 or (name is None and "heads" not in known.told):
        raise UserError(
            f"these weights have width {dim} and {depth} blocks, which is none of the sizes {', '.join(SIZES)}, and weights do not show "
            "how many heads share the width: give heads="
        )
    usual = SIZES[name][2] if name else None
    heads = known.take("heads", usual, f"{usual} heads, as the size {name} has")
    return name if heads == usual else (dim, depth, heads)


def decoder_of(official: dict[str, Tensor], size, known: Known) -> dict:
    """The options of `create` for the decoder of these weights, and what is known of how it was trained."""
    dim, depth = len(official["decoder_embed.weight"]), depth_of(official, "decoder_blocks.")
    ours = DECODERS.get(size) if isinstance(size, str) else None
    usual = ours[2] if ours and ours[:2] == (dim, depth) else 16  # as the official MAE and Hugging Face have by default
    options = {"decoder_dim": dim, "decoder_depth": depth, "normalize_target": known.told.get("normalize_target", False)}
    options["decoder_heads"] = known.take("decoder_heads", usual, f"{usual} heads in the decoder")
    return options | {word: known.told[word] for word in ("mask_ratio",) if word in known.told}
