"""What the command line can do. Each command is a small dataclass: its fields are the options, `run` does the work, so
that a notebook can write `Pretrain(data="folder:PICS/train", out="runs/pics").run()`."""

from minimim.commands.bench import Bench
from minimim.commands.check import Check
from minimim.commands.demo import Demo
from minimim.commands.doctor import Doctor
from minimim.commands.export import Export
from minimim.commands.fill import Fill
from minimim.commands.finetune import Finetune
from minimim.commands.lab import Lab, Work
from minimim.commands.methods import Methods
from minimim.commands.presets import Presets
from minimim.commands.pretrain import Pretrain
from minimim.commands.probe import Probe
from minimim.commands.progress import Progress
from minimim.commands.survey import Survey

COMMANDS = {
    "demo": Demo,
    "pretrain": Pretrain,
    "probe": Probe,
    "finetune": Finetune,
    "fill": Fill,
    "export": Export,
    "methods": Methods,
    "presets": Presets,
    "survey": Survey,
    "bench": Bench,
    "doctor": Doctor,
    "work": Work,
    "check": Check,
    "progress": Progress,
    "lab": Lab,
}

__all__ = ["COMMANDS", "Bench", "Check", "Demo", "Doctor", "Export", "Fill", "Finetune", "Lab", "Methods", "Presets", "Pretrain", "Probe"]
__all__ += ["Progress", "Survey", "Work"]
