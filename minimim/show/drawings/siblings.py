"""Methods that differ in one part from each other: what student and teacher see, what is asked, and what keeps the answers apart; the
assignment to prototypes by hand, and Sinkhorn by hand."""

from collections.abc import Mapping

import torch
from matplotlib.patches import Rectangle
from torch import Tensor

from minimim.errors import UserError, unknown
from minimim.show.diff import parts_of
from minimim.show.drawing import INK, Drawing

NEW = "#d55e00"  # the frame of what a method changes
CHANGES = ("mask", "view", "student head", "vector head", "teacher head", "target", "vector loss", "patch loss", "questions")
READS = ("all", "mask tokens", "visible")
TOP, LOW = 3.5, 8.3  # the middles of the student's and the teacher's row


def sibling(student: Tensor, teacher: Tensor, grid: tuple[int, int], *, hidden: Tensor | None = None, reads: str = "all", vector=None, patch=None, same: Tensor | None = None, asked: tuple[Tensor, ...] = (), new: tuple[str, ...] = ()) -> Drawing:
    """A student and its teacher, from what they see to what is compared; what this method changes is framed in orange.

    student, teacher: what they see, (C, H, W). hidden: (N,) bool, of the student; reads: what its encoder reads there, one of READS.
    vector, patch: how one vector of an image, and the patches, are compared: (student's head, teacher's head, target, loss), words, or
    None; without a teacher's head the target is the student's own pixels. same: what the teacher sees for the patches, (C, H, W), where that is
    not `teacher`. asked: the questions, (N,) bool each. new: of CHANGES.
    Raises UserError for another change or reading, and for nothing to compare.
    """
    for word in new:
        if word not in CHANGES:
            raise unknown("change", word, CHANGES)
    if reads not in READS:
        raise unknown("reading", reads, READS)
    if not (vector or patch):
        raise UserError("there is nothing to compare: give vector or patch")
    count = grid[0] * grid[1]
    hidden = torch.zeros(count, dtype=torch.bool) if hidden is None else hidden
    told = {
        "all": "The student reads the whole picture",
        "mask tokens": f"The student reads {count - int(hidden.sum())} visible patches and {int(hidden.sum())} mask tokens",
        "visible": f"The student reads only {count - int(hidden.sum())} visible patches",
    }
    compared = [f"{what} by {words[3]}" for what, words in (("one vector of the image", vector), ("patches", patch)) if words]
    drawing = Drawing(25, 11.5, f"{told[reads]}; the teacher reads the whole of its own. Compared are {' and '.join(compared)}. Framed: {', '.join(new) or 'nothing'}.".replace("\n", " "), photo=True)
    kinds = [("mask token" if reads == "mask tokens" else "") if gone else "latent" for gone in hidden.tolist()]
    middles = (("student", TOP, student, hidden if reads != "all" else None, kinds), ("teacher", LOW, teacher, None, ["latent"] * count))
    for who, middle, image, gone, tokens in middles:
        upper = who == "student"
        if upper or same is None:
            drawing.patches(0.4, middle - 1.8, 3.6, image, grid, gone, gap=0.04)
        else:
            for n, (picture, words) in enumerate(((same, "same view:\npatches"), (teacher, "other view:\nvector"))):
                drawing.patches(0.4, middle - 1.8 + 1.85 * n, 1.75, picture, grid, gap=0.02)
                drawing.text(2.25, middle - 0.92 + 1.85 * n, words, at="left", size=8.5)
        drawing.text(2.2, middle - 2.2 if upper else middle + 2.25, f"{who} sees")
        drawing.arrow((4.15, middle), (5.1, middle))
        drawing.box(5.2, middle - 1.1, 2.4, 2.2, "latent", f"{who}'s\nencoder", bold=True)
        drawing.arrow((7.7, middle), (8.4, middle))
        lattice(drawing, 8.6, middle - 1.5, 3.0, grid, tokens)
        if vector:
            side(drawing, vector, upper, middle, who)
        if patch and (upper or patch[1]):
            places(drawing, patch, upper, middle, grid, asked, hidden)
    drawing.arrow((6.4, TOP + 1.2), (6.4, LOW - 1.2), dashed=True)
    drawing.text(6.65, 5.9, "moving average", at="left", size=9)
    if patch:
        drawing.path((19.85, TOP), (20.95, TOP), (20.95, 5.1))
        drawing.box(19.85, 5.2, 2.2, 1.4, words=patch[3], size=9)
        if patch[1]:
            drawing.path((19.85, LOW), (20.95, LOW), (20.95, 6.7))
        else:
            drawing.patches(16.9, LOW - 1.4, 2.8, student, grid, left_out=~hidden, kind="target", gap=0.04)
            drawing.text(16.4, LOW, "own pixels", at="right", size=9)
            drawing.path((19.85, LOW), (20.95, LOW), (20.95, 6.7))
    if vector:
        drawing.path((18.8, TOP - 2.2), (23.55, TOP - 2.2), (23.55, 5.1))
        drawing.path((18.8, LOW + 2.2), (23.55, LOW + 2.2), (23.55, 6.7))
        drawing.box(22.3, 5.2, 2.5, 1.4, words=vector[3], size=9)
    frames = {
        "mask": [(0.25, TOP - 1.95, 3.9, 3.9)], "view": [(0.25, LOW - 1.95, 3.9, 3.9)],
        "vector loss": [(22.2, 5.1, 2.7, 1.6)], "patch loss": [(19.75, 5.1, 2.4, 1.6)], "questions": [(16.75, TOP - 1.6, 3.1, 3.2)],
        "student head": head_frames(vector, patch, TOP, -1), "vector head": head_frames(vector, None, TOP, -1), "teacher head": head_frames(vector, patch, LOW, 1),
        "target": target_frames(vector, patch),
    }  # fmt: skip
    for word in new:
        for x, y, width, height in frames[word]:
            drawing.axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=NEW, linewidth=2.6, zorder=4))
    return drawing


def lattice(drawing: Drawing, x: float, y: float, side: float, grid: tuple[int, int], kinds, words=()) -> None:
    """The tokens of a picture as tiles in its grid; those of kind "" are left out, and their places are drawn pale."""
    cols = grid[1]
    step = side / cols
    for n, kind in enumerate(kinds):
        left, top = x + n % cols * step, y + n // cols * step
        if kind:
            drawing.box(left, top, step - 0.03, step - 0.03, kind, words[n] if words else "", size=7)
        else:
            drawing.axes.add_patch(Rectangle((left, top), step - 0.03, step - 0.03, facecolor="#f4f4f4", edgecolor="#dddddd", linewidth=0.6, zorder=1))


def boxes(drawing: Drawing, y: float, words: tuple[str, ...]) -> None:
    """The head, and behind it what makes a target of its scores, side by side, with their middle at y."""
    wide = 3.9 if len(words) == 1 else 1.85
    for n, text in enumerate(words):
        drawing.box(12.5 + n * 2.05, y - 0.65, wide, 1.3, "visible" if n == 0 else "plain", text, size=8.5)


def side(drawing: Drawing, vector, upper: bool, middle: float, who: str) -> None:
    """The way of one vector for the whole image: above in the student's row, below in the teacher's."""
    y = middle - 2.2 if upper else middle + 2.2
    drawing.path((10.1, middle - 1.6 if upper else middle + 1.6), (10.1, y), (12.4, y))
    boxes(drawing, y, (vector[0],) if upper else tuple(filter(None, vector[1:3])))
    drawing.arrow((16.5, y), (17.8, y))
    drawing.box(17.9, y - 0.4, 0.8, 0.8, "prediction" if upper else "target")


def places(drawing: Drawing, patch, upper: bool, middle: float, grid, asked, hidden: Tensor) -> None:
    """The way of the patches, to those that are asked for."""
    drawing.arrow((11.75, middle), (12.4, middle))
    boxes(drawing, middle, (patch[0],) if upper else tuple(filter(None, patch[1:3])))
    drawing.arrow((16.5, middle), (16.8, middle))
    asked = asked or (hidden,)
    words, kinds = [""] * len(hidden), [""] * len(hidden)
    for number, question in enumerate(asked, 1):
        for n in question.nonzero().flatten().tolist():
            kinds[n] = "prediction" if upper else "target"
            words[n] = str(number) if len(asked) > 1 else ""
    lattice(drawing, 16.9, middle - 1.4, 2.8, grid, kinds, words)


def head_frames(vector, patch, middle: float, way: int) -> list[tuple[float, float, float, float]]:
    """Around the heads of a row; way: −1 if the vector is above, 1 if below."""
    found = []
    for words, y in ((vector, middle + way * 2.2), (patch, middle)):
        if words and words[0 if way < 0 else 1]:
            found.append((12.4, y - 0.75, 4.1 if way < 0 or not words[2] else 2.05, 1.5))
    return found


def target_frames(vector, patch) -> list[tuple[float, float, float, float]]:
    """Around what makes targets of the teacher's scores."""
    return [(14.45, y - 0.75, 2.05, 1.5) for words, y in ((vector, LOW + 2.2), (patch, LOW)) if words and words[1] and words[2]]


def assigned(scores: Tensor, centre: Tensor, temperatures: tuple[float, float]) -> Drawing:
    """The scores of a few images, (n, K), as assignments: a plain softmax, sharpened, centred, and both, as bars; the images' most
    assigned prototype is lit. centre: (K,). temperatures: that of the plain softmax, and the sharp one.

    Raises UserError for more than 4 images or 8 prototypes.
    """
    count, kinds = scores.shape
    if count > 4 or kinds > 8:
        raise UserError(f"4 images and 8 prototypes fit the page, not {count} and {kinds}")
    plain, sharp = temperatures
    moved = scores - centre
    panels = {
        f"softmax(s / {plain:g})": (scores / plain).softmax(1),
        f"sharp: softmax(s / {sharp:g})": (scores / sharp).softmax(1),
        f"centred: softmax((s − c) / {plain:g})": (moved / plain).softmax(1),
        f"both: softmax((s − c) / {sharp:g})": (moved / sharp).softmax(1),
    }
    left, wide, tall = 1.2, 5.5, 1.9
    drawing = Drawing(left + 5.95 * len(panels), 1.4 + tall * count + 0.6, "Bars: the assignment of images, one a row, to prototypes, by a plain softmax, sharpened, centred, and both. " + f"Without the centre the most assigned prototype of the images is {sorted({int(n) for n in scores.argmax(1)})}, with it {sorted({int(n) for n in moved.argmax(1)})}.")
    step = wide / (kinds + 0.2)
    for p, (name, values) in enumerate(panels.items()):
        x = left + p * 5.95
        drawing.text(x + wide / 2, 0.5, name, bold=True, size=9)
        for r in range(count):
            floor = 1.2 + (r + 1) * tall - 0.2
            drawing.axes.plot((x, x + wide - 0.1), (floor, floor), color=INK, linewidth=1, zorder=3)
            for k in range(kinds):
                part = float(values[r, k])
                best = k == int(values[r].argmax())
                drawing.box(x + k * step + 0.08, floor - 1.15 * part, step - 0.16, 1.15 * part, fill="#56b4e9" if best else "#dddddd")
                if best or part >= 0.095:
                    drawing.text(x + (k + 0.5) * step, floor - 1.15 * part - 0.22, f"{part:.2f}", size=8)
        for k in range(kinds):
            drawing.text(x + (k + 0.5) * step, 1.3 + count * tall, str(k), size=8, color="#555555")
    for r in range(count):
        drawing.text(0.6, 1.2 + (r + 0.6) * tall, f"image\n{r}", size=9)
    return drawing


def rounds(scores: Tensor, count: int) -> list[tuple[str, Tensor]]:
    """The tables of Sinkhorn: exp(scores), then in turns divided by the sums of its columns and of its rows, `count` times."""
    tables = [("exp(s)", scores.exp())]
    for _ in range(count):
        tables.append(("÷ column sums", tables[-1][1] / tables[-1][1].sum(0)))
        tables.append(("÷ row sums", tables[-1][1] / tables[-1][1].sum(1, keepdim=True)))
    return tables


def sinkhorn_by_hand(scores: Tensor, count: int = 2) -> Drawing:
    """Sinkhorn on a table of scores already divided by the temperature, (3, 2): its tables from left to right, the sums of rows and
    columns beside them, the sums that were just made equal lit. Raises UserError for a table of another shape, and more than 2 rounds."""
    if scores.shape != (3, 2) or not 1 <= count <= 2:
        raise UserError(f"a table of 3 images and 2 prototypes, and 1 or 2 rounds fit the page, not {tuple(scores.shape)} and {count}")
    tables = rounds(scores, count)
    cell, gap, top = 1.15, 1.35, 1.9
    wide = 3 * cell
    drawing = Drawing(1.3 + len(tables) * (wide + gap) - gap + 0.3, 7.0, f"Sinkhorn by hand on 3 images and 2 prototypes: {len(tables)} tables from left to right. The columns, and then the rows, are divided by their sums, {count} times; both sums come nearer to being equal.")
    for r in range(3):
        drawing.text(0.65, top + (r + 0.5) * cell, f"image\n{r}", size=9)
    for n, (name, table) in enumerate(tables):
        x = 1.3 + n * (wide + gap)
        drawing.text(x + cell, 0.5, name, bold=True, size=10)
        for k in range(2):
            drawing.text(x + (k + 0.5) * cell, top - 0.75, f"proto-\ntype {k}", size=8)
        drawing.numbers(x, top, table, cell=(cell, cell), size=10)
        columns, rows = table.sum(0), table.sum(1)
        drawing.text(x + 2.5 * cell + 0.05, top - 0.55, "sum", size=8, color="#555555")
        for r in range(3):
            drawing.box(x + 2 * cell + 0.15, top + r * cell, cell - 0.15, cell, "lit" if name == "÷ row sums" else "visible", f"{rows[r]:.2f}", size=9)
        for k in range(2):
            drawing.box(x + k * cell, top + 3 * cell + 0.15, cell, cell - 0.15, "lit" if name == "÷ column sums" else "visible", f"{columns[k]:.2f}", size=9)
        if n:
            drawing.arrow((x - gap + 0.1, top + 1.5 * cell), (x - 0.15, top + 1.5 * cell))
    return drawing


def short(part: str) -> str:
    """A part by its class, and the number of its views where it says one."""
    name, _, rest = part.partition("(")
    count = rest.partition("count=")[2].partition(",")[0]
    return f"{name}, {count}" if name.endswith("Views") and count else name


def family(methods: Mapping[str, tuple[object, str]]) -> Drawing:
    """The parts of several methods, read from the methods themselves: {name: (Method, name of the one it is compared with, or "")}; parts
    of another kind than that one's are lit."""
    columns = ("views", "masking", "head", "target", "terms")
    high, first, wide = 1.5, 2.9, 4.35
    drawing = Drawing(first + wide * len(columns) + 0.3, 1.1 + high * len(methods), f"The parts of {', '.join(methods)} as a table: {', '.join(columns)}. Parts of another kind than those of the method named below each name are lit.")
    for c, name in enumerate(columns):
        drawing.text(first + (c + 0.5) * wide, 0.5, name, bold=True)
    said = {name: {column: [short(line) if column != "terms" else line for line in lines] for column, lines in parts_of(method).items()} for name, (method, _) in methods.items()}
    for r, (name, (_, parent)) in enumerate(methods.items()):
        y = 1.0 + r * high
        drawing.text(0.2, y + high / 2 - (0.3 if parent else 0), name, at="left", bold=True, size=11)
        if parent:
            drawing.text(0.2, y + high / 2 + 0.35, f"from {parent}", at="left", size=9, color="#555555")
        for c, column in enumerate(columns):
            words = "\n".join(said[name][column])
            changed = bool(parent) and said[name][column] != said[parent][column]
            drawing.box(first + c * wide + 0.05, y + 0.05, wide - 0.1, high - 0.1, "lit" if changed else "plain", words, size=7.5 if column == "terms" else 9)
    return drawing
