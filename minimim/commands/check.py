"""minimim check"""

import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from minimim.commands.lab import course
from minimim.config import argument, option
from minimim.errors import UserError
from minimim.feedback.notebook import CLOCK, VERDICTS

START = 120  # seconds for Python to start and to import torch, on a busy machine
TIMES = {getattr(signal, name, None) for name in ("SIGPROF", "SIGALRM")} - {None}  # what ends an answer that takes too long


@dataclass
class Check:
    """Check your answer to one task, and name the mistake where possible: runs the cells of your notebook up to the one that
    holds the answer. Exits with 1 while the answer is not right."""

    task: str = argument("the task: ps1.3 is the third of problem set 1, build.3 that of Build your MAE")
    notebook: str = option("", "the file with your answer (by default the notebook of the set in work/, or else in the course)")
    timeout: float = option(60, "seconds of computing after which it is stopped, or five times as many of waiting")

    def run(self) -> int:
        """Print the sentence of the check."""
        from minimim.feedback import task

        task(self.task)  # an unknown one is told before anything is run
        if not self.timeout > 0:
            raise UserError(f"a timeout of {self.timeout:g} s leaves no time; give a number above 0")
        path = Path(self.notebook) if self.notebook else find(self.task.partition(".")[0])
        if not path.is_file():
            raise UserError(
                f"there is no notebook {path}: minimim work copies the exercises to work/; --notebook names another file"
            )
        try:
            code, told = self.result(path)
        except KeyboardInterrupt:
            print(f"\n{self.task}: stopped by Ctrl-C")
            return 130
        print(told, end="")
        if code is None or -code in TIMES:
            print(f"{self.task}: stopped after {self.timeout:g} s; is there a loop that does not end, or one that waits?")
            return 1
        if code not in VERDICTS:
            raise UserError(
                f"Python ended while it ran {path}, before there was a verdict: does a cell call os._exit(), or need more memory "
                "than there is? Run its cells one by one in JupyterLab to see where"
            )
        return VERDICTS.index(code)

    def result(self, path: Path) -> tuple[int | None, str]:
        """(exit code of the Python that ran the notebook, or None when it had to be stopped; what it printed)."""
        command = [sys.executable, "-m", "minimim.feedback.notebook", self.task, str(path.resolve()), str(self.timeout)]
        with tempfile.TemporaryFile() as told:  # a pipe would stay open as long as any program that the answer has started
            child = subprocess.Popen(
                command, cwd=path.parent, env={**os.environ, "MPLBACKEND": "Agg"},
                stdin=subprocess.DEVNULL, stdout=told, start_new_session=True,
            )  # fmt: skip
            try:
                code = child.wait(START + CLOCK * self.timeout)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                stop(child)
            told.seek(0)
            return code, told.read().decode("utf-8", "replace")


def stop(child: subprocess.Popen) -> None:
    """End the process and all that it has started."""
    if hasattr(os, "killpg"):
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # all are gone
            pass
    child.kill()
    child.wait()


def find(name: str) -> Path:
    """The notebook of a problem set: the learner's copy, or else the one in the course."""
    mine = Path("work", "exercises", name, f"{name}.ipynb")
    return mine if mine.is_file() else course() / mine.relative_to("work")
