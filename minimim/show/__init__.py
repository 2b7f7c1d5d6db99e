"""Pictures: what a method sees, what it hides, and what it fills in."""

from minimim.show.pictures import Filled, as_pixels, fill_in, grey_out, png, strip

__all__ = ["Filled", "as_pixels", "fill_in", "grey_out", "png", "strip"]
