"""How torch's threads wait for each other on a CPU.

A step of training is hundreds of short pieces of work, cut into one part a thread. A thread that is done with its part
waits for the others by asking again and again whether they are done. Alone on the machine that is the quickest way. Beside
other programs it takes the core that the thread it waits for needs, and a step becomes many times slower. So the asking is
cut short here, and then the thread sleeps; benchmarks/waiting.py has what that costs and gains.
"""

import os

COUNT = "2000"  # how often a thread asks before it sleeps; left alone, the OpenMP library of GCC asks 300,000 times
OWN = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")  # environment variables by which a user chooses otherwise


def wait_patiently() -> None:
    """Set COUNT for the OpenMP library that torch uses on Linux, here and in the processes that this one starts.

    The library reads the environment once, when torch is imported, so call this before. A user's own setting is left as it is.
    """
    if not any(name in os.environ for name in OWN):
        os.environ["GOMP_SPINCOUNT"] = COUNT
