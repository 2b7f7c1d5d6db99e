"""minimim check"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from minimim.commands.lab import course
from minimim.config import argument, option
from minimim.errors import UserError


@dataclass
class Check:
    """Check your answer to one task, and name the mistake where it can be: runs the cells of your notebook up to the one that
    holds the answer. Exits with 1 when it is not right yet."""

    task: str = argument("which: ps1.3 is the third of problem set 1")
    notebook: str = option("", "the file with your answer (that of the set in work/, else in the course)")
    timeout: float = option(60, "seconds after which it is stopped")

    def run(self) -> int:
        """Print the sentence of the check."""
        from minimim.feedback import task

        task(self.task)  # an unknown one is told before anything is run
        path = Path(self.notebook) if self.notebook else find(self.task.partition(".")[0])
        if not path.is_file():
            raise UserError(f"there is no notebook {path}: minimim work copies the exercises to work/; --notebook names another file")
        command = [sys.executable, "-m", "minimim.feedback.notebook", self.task, str(path.resolve())]
        try:
            done = subprocess.run(
                command, cwd=path.parent, env={**os.environ, "MPLBACKEND": "Agg"}, timeout=self.timeout,
                stdout=subprocess.PIPE, text=True, encoding="utf-8", check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            print(f"{self.task}: stopped after {self.timeout:g} s; is there a loop that does not end?")
            return 1
        print(done.stdout, end="")
        if done.returncode not in (0, 1):
            raise UserError(f"Python ended while it ran {path}; run its cells one by one in JupyterLab to see where")
        return done.returncode


def find(name: str) -> Path:
    """The notebook of a problem set: the learner's copy, else the one of the course."""
    mine = Path("work", "exercises", name, f"{name}.ipynb")
    return mine if mine.is_file() else course() / mine.relative_to("work")
