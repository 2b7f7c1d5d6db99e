"""How a process that trains on a CPU is set up, before torch is imported. benchmarks/waiting.py has what each part is worth.

A step of training is hundreds of short pieces of work, cut into one part a thread. A thread that is done with its part
waits for the others by asking again and again whether they are done. Alone on the machine that is the quickest way. Beside
other programs it takes the core that the thread it waits for needs, and a step becomes many times slower. So the asking is
cut short here, and then the thread sleeps.

Every step also frees the memory of the one before and takes as much again. The C library of Linux gives large pieces back to
the system at once, which has to clear them before it hands them out anew. Here the process keeps them.
"""

import ctypes
import os
import sys
from contextlib import suppress

COUNT = "2000"  # how often a thread asks before it sleeps; left alone, the OpenMP library of GCC asks 300,000 times
OWN = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")  # by which a person says it otherwise
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of mallopt: bytes from which freed memory, and single pieces, go back to the system
LARGE = 2**30


def wait_patiently() -> None:
    """Say so to the OpenMP library that torch uses on Linux, and to the processes that this one starts.

    It reads the environment once, when torch is imported: call this before. A person's own setting stays.
    """
    if not any(name in os.environ for name in OWN):
        os.environ["GOMP_SPINCOUNT"] = COUNT


def keep_memory() -> bool:
    """Keep freed memory for the next step, in this process; whether it took effect. Where the C library is another than GNU's,
    or a person has set MALLOC_… in the environment, nothing happens."""
    if sys.platform != "linux" or any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return False
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        return bool(mallopt(MMAP_THRESHOLD, LARGE) and mallopt(TRIM_THRESHOLD, LARGE))
    return False
