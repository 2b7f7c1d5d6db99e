"""Commands that are printed to be pasted."""

import os
import shlex
import subprocess


def typed(*words) -> str:
    """Words as one command line for this system's shell; those with blanks, quotes, a tilde and the like are quoted.

    >>> typed("minimim", "probe", "--data", "folder:my pics")
    "minimim probe --data 'folder:my pics'"
    """
    words = [os.fspath(word) for word in words]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
