"""Commands that are printed to be pasted."""

import os
import shlex
import subprocess


def typed(*words) -> str:
    """Words as they are typed at a prompt of this system: those with blanks, quotes and the like are quoted, a tilde too.

    >>> typed("minimim", "probe", "--data", "folder:my pics")
    "minimim probe --data 'folder:my pics'"
    """
    words = [os.fspath(word) for word in words]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
