"""A sentence for each scene, from its truth alone."""

NOUNS = {"trouser": "pair of trousers"}  # where the class name does not read as a noun


def caption(truth: dict, size: tuple[int, int], classes, tints) -> str:
    """One scene in words, nearest object first: "a small red sneaker at the top left, in front of a large blue coat …"."""
    order = range(truth["count"] - 1, -1, -1)  # objects are listed from the farthest to the nearest
    return ", in front of ".join(describe(truth, k, size, classes, tints) for k in order)


def describe(truth: dict, k: int, size, classes, tints) -> str:
    """One object: its size, colour, class and place."""
    share = truth["size"][k] / min(size)
    large = "small" if share < 0.45 else "large" if share > 0.8 else "mid-sized"
    x0, y0, x1, y1 = truth["box"][k]
    column = ("left", "", "right")[min(2, 3 * (x0 + x1) // (2 * size[1]))]
    row = ("top", "", "bottom")[min(2, 3 * (y0 + y1) // (2 * size[0]))]
    place = f"at the {' '.join(filter(None, (row, column)))}" if row or column else "in the centre"
    name = classes[truth["class"][k]]
    return f"a {large} {tints[truth['tint'][k]]} {NOUNS.get(name, name)} {place}"
