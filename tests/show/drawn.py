"""What every drawing of the course keeps to."""

import io

from PIL import Image


def check(shown, width: int = 1040) -> None:
    """A Shown has words for those who do not see it, fits a page, is small, and nothing on it is unreadable."""
    content = shown.content()
    picture = Image.open(io.BytesIO(content))
    assert shown.alt and shown.alt.strip() == shown.alt and len(shown.alt) > 20
    assert picture.width <= width and len(content) < 300_000, (picture.size, len(content))
    if hasattr(shown, "faults"):
        assert shown.faults() == []
