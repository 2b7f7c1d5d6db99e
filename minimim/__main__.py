"""The command line: `minimim`, `python -m minimim`, and `torchrun -m minimim`."""

from __future__ import annotations  # for minimim doctor, which tells a Python that is too old

import sys

from minimim.threads import wait_patiently


def main() -> int:
    """Run one command; see minimim/cli.py. The doctor is asked without it, because it imports torch, which may be what is broken."""
    if sys.argv[1:] in (["doctor"], ["doctor", "--before"]):
        from minimim import doctor

        return doctor.run(doctor.BEFORE if "--before" in sys.argv else doctor.AFTER)
    wait_patiently()
    try:
        from minimim import cli
    except (ImportError, OSError, RuntimeError) as error:
        told = " ".join(str(error).split())
        print(f"minimim: something that it needs is missing or broken ({told[:200]}): python -m minimim doctor says what to do", file=sys.stderr)
        return 2
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
