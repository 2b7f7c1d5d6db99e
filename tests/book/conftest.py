"""What makes the web edition is no part of the package: it is found beside it."""

import sys

from helpers import TOP

sys.path.append(str(TOP))
