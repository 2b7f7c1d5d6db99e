"""What is printed: commands to be pasted, and letters that a code page may lack."""

import os
import shlex
import subprocess
import sys


def typed(*words) -> str:
    """Words as one command line for this system's shell; those with blanks, quotes, a tilde and the like are quoted.

    >>> typed("minimim", "probe", "--data", "folder:my pics")
    "minimim probe --data 'folder:my pics'"
    """
    words = [os.fspath(word) for word in words]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def printable() -> None:
    """Print characters that a code page lacks, such as × or ±, as question marks, so that no run ends because of them."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not where a notebook prints
            stream.reconfigure(errors="replace")
