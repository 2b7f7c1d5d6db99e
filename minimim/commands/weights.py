"""Where commands take weights from: a run of your own, a checkpoint, or a foreign file."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from minimim import checkpoint, interop
from minimim.errors import UserError
from minimim.methods import Method
from minimim.patches import resize_positions
from minimim.train import load

FREE = {"encoder.mask_token"}  # stands only for hidden patches: without it an encoder computes the same


@dataclass
class Start:
    """A trained method to begin from. path: its file or folder; whole: whether its decoder was trained, too, and not its encoder alone."""

    method: Method
    path: str
    whole: bool = True


def opened(path: str, key: str = "", **more) -> Start:
    """The method in a run's folder, a checkpoint, or a foreign file. more: what `interop.method_for` is told of foreign weights.

    Raises UserError for what cannot be read, and for a key where it has no meaning.
    """
    if not checkpoint.ours(path):
        weights = interop.load_file(path, key=key)
        return Start(interop.method_for(weights, **more), path, interop.has_decoder(weights))
    if key:
        raise UserError(f"{path} holds one method, and --key chooses among those of a foreign file: leave it out")
    return Start(load(path), path)


def wanted(command, otherwise: str, **more) -> Start:
    """The method that a command names by --checkpoint or --weights, or else one that lies otherwise.

    Raises UserError if both are given, or if one is given where the other is meant.
    """
    if command.weights and command.checkpoint:
        raise UserError("--weights and --checkpoint both say where the weights come from: give one of the two")
    if command.weights and checkpoint.ours(command.weights):
        raise UserError(f"{command.weights} was written by minimim: give it as --checkpoint")
    if not command.weights:
        checkpoint.description(command.checkpoint or otherwise)
        more = {}
    return opened(command.weights or command.checkpoint or otherwise, command.key, **more)


def begin(method: Method, start: Start) -> str:
    """Copy trained weights into a fresh method, and say which ones: "all weights" if both are the same method and everything fits, or
    else "the encoder"; a teacher then begins as a copy of its students.

    Positions of another grid are interpolated. Raises UserError where the encoder does not fit.
    """
    own, trained = method.state_dict(), at_home_in(method, start.method)
    refuse_misfit(method, start, own, trained)
    alike = start.whole and method.spec["name"] == start.method.spec["name"]
    everything = alike and {name: t.shape for name, t in own.items()} == {name: t.shape for name, t in trained.items()}
    carried = [name for name in own if name in trained and (everything or name.startswith("encoder."))]
    method.load_state_dict({name: trained[name] for name in carried}, strict=False)
    if method.teacher is not None and not everything:
        method.teacher.begin_again()
    return "all weights" if everything else "the encoder"


def at_home_in(method: Method, trained: Method) -> dict[str, Tensor]:
    """The weights of a trained method, with positions for the grid of another."""
    tensors, there = trained.state_dict(), dict(trained.named_modules())
    for name, part in method.named_modules():
        other = there.get(name)
        if hasattr(part, "home_grid") and hasattr(other, "home_grid") and f"{name}.pos_embed" in tensors:
            table = tensors[f"{name}.pos_embed"]  # (1, [1+] N, D)
            rows, cols = other.home_grid
            lead = table.shape[1] - rows * cols
            patches = resize_positions(table[0, lead:], other.home_grid, part.home_grid)  # (N', D)
            tensors[f"{name}.pos_embed"] = torch.cat([table[0, :lead], patches]).unsqueeze(0)
    return tensors


def refuse_misfit(method: Method, start: Start, own: dict, trained: dict) -> None:
    """Raise UserError, with the cause, unless the trained encoder has all that the method's needs, in the same shapes."""
    was, asked = start.method.spec, method.spec
    for name, usual in (("size", None), ("patch_size", None), ("channels", 3)):
        before, now = was.get(name, usual), asked.get(name, usual)
        if before != now:
            raise UserError(f"the weights in {start.path} are of {name} {before}, and this run is of {name} {now}: give both the same")
    theirs, ours = (type(each.encoder) for each in (start.method, method))
    if not issubclass(theirs, ours) and not issubclass(ours, theirs):
        raise UserError(
            f"the weights in {start.path} ({was['name']}) are of a {theirs.__name__}, and the encoder of {asked['name']} here is a "
            f"{ours.__name__}: choose a --method, or its --encoder, like theirs"
        )
    if ("encoder.cls_token" in own) != ("encoder.cls_token" in trained):
        with_cls, without = ("this run's", "theirs") if "encoder.cls_token" in own else ("theirs", "this run's")
        raise UserError(
            f"the weights in {start.path} ({was['name']}) do not fit {asked['name']}: {with_cls} is an encoder with a CLS token, and "
            f"{without} has none; pretrain with a --method whose encoder is like theirs"
        )
    encoder = {name for name in {**own, **trained} if name.startswith("encoder.")} - FREE
    for name in sorted(encoder):
        have, need = (tuple(each[name].shape) if name in each else "nothing" for each in (trained, own))
        if have != need:
            raise UserError(f"the weights in {start.path} ({was['name']}) do not fit {asked['name']}: they have {have} for {name}, and it needs {need}")


def refuse_another_start(out: str, begun: dict | None, wanted: str) -> None:
    """Raise UserError if a resumed run, by its checkpoint, began from other weights than those that are given now."""
    if wanted and (begun is None or place(begun["weights"]) != place(wanted)):
        was = "random weights" if begun is None else begun["weights"]
        raise UserError(f"the run in {out} began from {was}, not from {wanted}: leave --from out to go on with it, or choose another --out")


def place(path: str) -> Path:
    """Where weights are, however the path is written: the folder of a run stands for its checkpoint."""
    whole = Path(path).absolute()
    return whole.parent if whole.name == checkpoint.NAME else whole
