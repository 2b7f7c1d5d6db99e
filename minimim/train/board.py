"""What TensorBoard shows of a run, where it is asked for: a curve for every number of metrics.jsonl, and filled-in pictures."""

import time
import warnings
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from minimim.errors import UserError

FOLDER = "tensorboard"  # in the run's folder
PICTURES = 10  # moments of a whole run at which pictures are drawn


class Board:
    """Writes to OUT/tensorboard. Where that cannot be written, a warning says so and the run goes on, because metrics.jsonl has the numbers.

    start: steps that are done; TensorBoard hides what was written before of later steps. history: the lines of these
    steps, which are drawn too where the earlier part had no TensorBoard. pictures: a function of the method that gives a picture,
    uint8 (H, W, 3), or None.
    """

    def __init__(self, out: Path, start: int, total: int, history: list[dict], pictures=None):
        self.writer, self.total, self.pictures = None, total, pictures
        begun = [int(path.name.split(".")[3]) for path in out.glob(f"{FOLDER}/events.out.tfevents.*")]  # in which second each part was
        with self.trying():
            if int(time.time()) in begun:
                time.sleep(1)  # TensorBoard reads the parts in the order of these seconds
            self.writer = summary_writer()(out / FOLDER, purge_step=start + 1)
        for line in () if begun else history:
            self.add(line)

    def add(self, line: dict) -> None:
        """Draw every number of a line of metrics.jsonl."""
        if self.writer:
            with self.trying():
                for name, value in line.items():
                    if name != "step":
                        self.writer.add_scalar(name, value, line["step"])

    def due(self, step: int) -> bool:
        """Whether it is time for pictures."""
        return bool(self.writer and self.pictures) and step * PICTURES // self.total > (step - 1) * PICTURES // self.total

    def paint(self, step: int, method) -> None:
        """Add the picture of the method as it is now."""
        picture: Tensor | None = self.pictures(method)
        if picture is not None:
            with self.trying():
                self.writer.add_image("filled in", picture.numpy(), step, dataformats="HWC")

    def close(self) -> None:
        """Close the file."""
        if self.writer:
            self.writer.close()

    @contextmanager
    def trying(self):
        """A context after which everything is with the system, so that a run that is killed loses nothing. An error of the disk ends the
        curves with a warning."""
        try:
            yield
            self.writer.flush()
        except OSError as error:
            self.writer = None
            warnings.warn(f"TensorBoard cannot write ({error}): the run goes on without it", stacklevel=2)


def summary_writer() -> type:
    """torch's writer for TensorBoard. Raises UserError where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UserError(
            f"--tensorboard needs TensorBoard ({error}): install it by python -m pip install tensorboard, or leave the option out, because "
            "metrics.jsonl holds the same numbers"
        ) from error
    return SummaryWriter


def refuse_board(out: Path | None) -> None:
    """Raise UserError where a run cannot have a TensorBoard: without a folder, and without the package."""
    if out is None:
        raise UserError("--tensorboard writes its curves into the run's folder, and there is none: give --out, or leave the option out")
    summary_writer()
