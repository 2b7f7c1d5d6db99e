"""minimim methods"""

from dataclasses import dataclass

from minimim.methods import RECIPES, names, options


@dataclass
class Methods:
    """List the methods: what each is, the paper it comes from, and what its recipe can be told."""

    def run(self) -> int:
        """Print a paragraph for each method."""
        for name in names():
            first = " ".join(RECIPES[name].__doc__.partition("\n\n")[0].split())
            told = ", ".join(f"{option}={value}" for option, value in options(name).items())
            print(f"{name}\n  {first}\n  options: {told}\n")
        return 0
