"""The command line: `minimim`, `python -m minimim`, and `torchrun -m minimim`."""

import sys

from minimim.threads import wait_patiently


def main() -> int:
    """Run one command; see minimim/cli.py."""
    wait_patiently()
    from minimim import cli  # imports torch

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
