"""python -m minimim, and torchrun -m minimim, are the command line too."""

import sys

from minimim.cli import main

sys.exit(main())
