"""Wrong answers to problem set 6, tasks 3 to 5, as students write them, with what a check says of each; and what comes nearest to an
answer in the library."""

import torch
import torch.nn.functional as F
from right_ps6_layouts import layout_by_corners
from right_ps6_masks import blocks_in_lists, hint_in_lists

from minimim.masking import mask_by_noise
from minimim.masking.block import RECTANGLES, BlockMasking
from minimim.masking.blocks import MultiBlockMasking

# ps6.3, wrong


def blocks_of_the_library(sizes, corners, grid, count):
    """BlockMasking: rectangles of its own, which may touch the border."""
    patches = grid[0] * grid[1]
    noise = torch.rand(len(sizes), 4 * RECTANGLES + patches + 2, generator=torch.Generator().manual_seed(0))
    noise[:, 2 : 2 + 4 * min(RECTANGLES, sizes.shape[1]) : 4] = corners[:, :RECTANGLES, 0].float()
    return BlockMasking(count / patches)({"image": corners}, grid, noise=noise)[0].hidden


def blocks_with(
    first=1,
    rows_of=lambda u, side, s: int(u * (side - 1 - s)),
    stop="patch",
    swap=False,
    turn=False,
    order=None,
    rest="inner",
    lie="rows",
):
    """A student's loop with one thing changed. rows_of(u, side, size) → the place; stop: after which patch or rectangle."""

    def answer(sizes, corners, grid, count):
        masks = torch.zeros(len(sizes), *grid, dtype=torch.bool)
        for b in range(len(sizes)):
            numbers = list(range(sizes.shape[1]))
            for k in numbers[::-1] if order == "last" else numbers:
                h, w = sizes[b, k].tolist()[:: -1 if swap else 1]
                u, v = corners[b, k].tolist()[:: -1 if turn else 1]
                top, left = first + rows_of(u, grid[0], h), first + rows_of(v, grid[1], w)
                places = [(r, c) for r in range(top, top + h) for c in range(left, left + w)]
                if lie == "columns":
                    places = [(r, c) for c in range(left, left + w) for r in range(top, top + h)]
                new = [place for place in places if not masks[b][place]]
                if stop == "rectangle" and masks[b].sum() < count:
                    count_here = len(new)
                elif stop == "before" and masks[b].sum() + len(new) > count:
                    break
                elif stop == "fit" and masks[b].sum() + len(new) > count:
                    continue
                else:
                    count_here = count - int(masks[b].sum())
                for r, c in new[: max(0, count_here)]:
                    masks[b, r, c] = True
            if rest == "nothing":
                continue
            edge = 0 if rest == "all" else 1
            places = [(r, c) for r in range(edge, grid[0] - edge) for c in range(edge, grid[1] - edge)]
            for r, c in places[::-1] if rest == "below" else places:
                if masks[b].sum() < count:
                    masks[b, r, c] = True
        return masks.flatten(1)

    return answer


def blocks_counted_twice(sizes, corners, grid, count):
    out = torch.zeros(len(sizes), *grid, dtype=torch.bool)
    for b in range(len(sizes)):
        left_over = count
        for (h, w), (u, v) in zip(sizes[b].tolist(), corners[b].tolist(), strict=True):
            t, e = 1 + int(u * (grid[0] - 1 - h)), 1 + int(v * (grid[1] - 1 - w))
            for n in range(min(h * w, left_over)):
                out[b, t + n // w, e + n % w] = True
            left_over -= min(h * w, left_over)
    return out.flatten(1)


def blocks_in_reading_order(sizes, corners, grid, count):
    covered = blocks_in_lists(sizes, corners, grid, 0)
    for b in range(len(sizes)):
        for k in range(sizes.shape[1]):
            covered[b] |= blocks_in_lists(
                sizes[b : b + 1, k : k + 1], corners[b : b + 1, k : k + 1], grid, int(sizes[b, k].prod())
            )[0]
    inner = blocks_in_lists(sizes, corners, grid, (grid[0] - 2) * (grid[1] - 2))
    stage = torch.where(covered, 0, torch.where(inner, 1, 2))
    return stage.argsort(dim=1, stable=True).argsort(dim=1) < count


def blocks_from_lists(make):
    """make(patches of rectangles, one after the other, inner patches, count) → the patches that are hidden."""

    def answer(sizes, corners, grid, count):
        out = torch.zeros(len(sizes), grid[0] * grid[1], dtype=torch.bool)
        inner = [r * grid[1] + c for r in range(1, grid[0] - 1) for c in range(1, grid[1] - 1)]
        for b in range(len(sizes)):
            rectangles = []
            for (h, w), (u, v) in zip(sizes[b].tolist(), corners[b].tolist(), strict=True):
                t, e = 1 + int(u * (grid[0] - 1 - h)), 1 + int(v * (grid[1] - 1 - w))
                rectangles.append([r * grid[1] + c for r in range(t, t + h) for c in range(e, e + w)])
            out[b, make(rectangles, inner, count)] = True
        return out

    return answer


def in_line(rectangles):
    return [n for one in rectangles for n in one]


def all_whole(rectangles, inner, count):
    covered = dict.fromkeys(in_line(rectangles))
    return list(covered | dict.fromkeys(inner))[: max(count, len(covered))]


def first_of_all(rectangles, inner, count):
    hidden: set = set()
    while rectangles and len(hidden) < count:
        hidden.update(rectangles.pop(0))
    return list(dict.fromkeys(sorted(hidden) + inner))[:count]


def last_of_the_last(rectangles, inner, count):
    hidden: list = []
    for one in rectangles:
        new = [n for n in one if n not in hidden]
        hidden += new[max(0, len(hidden) + len(new) - count) :]
    return list(dict.fromkeys(hidden + inner))[:count]


def blocks_without_border(sizes, corners, grid, count):
    """Anywhere in the grid, and then the border is made visible."""
    border = torch.ones(grid, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    stage = torch.full((len(sizes), *grid), sizes.shape[1])
    for b in range(len(sizes)):
        for k in reversed(range(sizes.shape[1])):
            (h, w), (u, v) = sizes[b, k].tolist(), corners[b, k].tolist()
            t, e = int(u * (grid[0] - h + 1)), int(v * (grid[1] - w + 1))
            stage[b, t : t + h, e : e + w] = k
    stage = stage.masked_fill(border, sizes.shape[1] + 1).flatten(1)
    return stage.argsort(dim=1, stable=True).argsort(1) < count


def blocks_by_an_index(sizes, corners, grid, count):
    """torch.tensor of an empty list is a tensor of floats."""
    out = blocks_in_lists(sizes, corners, grid, count)
    again = torch.zeros_like(out)
    for mask, line in zip(again, out, strict=True):
        mask[torch.tensor(line.nonzero().flatten().tolist())] = True
    return again


def blocks_by_a_stable_sort(sizes, corners, grid, count):
    return (~blocks_in_lists(sizes, corners, grid, count)).argsort(1, stable=True).argsort(1) < count


def blocks_by_columns(sizes, corners, grid, count):
    return blocks_in_lists(sizes, corners, grid, count).unflatten(1, grid).mT.flatten(1)


# ps6.4, wrong


def hint_of_the_library(importance, patch_size, noise, count, top, hint):
    """AttentionMasking's rule: hide the most important, show some of the very first again; and mask_by_noise for the rest."""
    worth = F.avg_pool2d(importance[:, None], patch_size).flatten(1)
    rank = worth.argsort(dim=1, descending=True).argsort(dim=1)
    hidden = rank < max(1, count)
    turn = (noise + ~(rank < top)).argsort(1).argsort(1)
    hints = (rank < top) & (turn < hint)
    return hidden & ~hints, hints


def hint_by_noise_alone(importance, patch_size, noise, count, top, hint):
    hidden = mask_by_noise(-noise, noise.shape[1] - count).hidden
    return hidden, ~hidden & (noise.argsort(1).argsort(1) < hint)


def hint_with(pool=None, best=None, shown=None, fill=None, results=None, flip=False):
    """A student's loop with one thing changed. pool(square) → a number; best(worth (N,), top) → numbers of patches; shown(object, noise,
    worth, hint, all) → the hint; fill(outside, noise, worth, missing, hints) → the others; results(hidden, hints, object)."""

    def answer(importance, patch_size, noise, count, top, hint):
        p, out = patch_size, []
        for pixels, u in zip(importance, noise, strict=True):
            squares = pixels.unfold(0, p, p).unfold(1, p, p)  # (rows, cols, p, p)
            squares = squares.transpose(0, 1).flatten(0, 1) if flip else squares.flatten(0, 1)
            worth = torch.stack([pool(s) if pool else s.mean() for s in squares])
            inside = best(worth, top) if best else worth.argsort(descending=True, stable=True)[:top].tolist()
            near = shown(inside, u, worth, hint) if shown else sorted(inside, key=lambda n, u=u: float(u[n]))[:hint]
            outside = [n for n in range(len(u)) if n not in inside]
            missing = count - (top - hint)
            others = (
                fill(outside, u, worth, missing, near) if fill else sorted(outside, key=lambda n, u=u: float(u[n]))[:missing]
            )
            masks = torch.zeros(3, len(u), dtype=torch.bool)
            masks[0, [n for n in inside if n not in near] + list(others)] = True
            masks[1, list(near)], masks[2, list(inside)] = True, True
            out.append(masks)
        hidden, hints, object_ = torch.stack(out, 1)
        return results(hidden, hints, object_) if results else (hidden, hints)

    return answer


def by_noise(ids, u, count):
    return sorted(ids, key=lambda n: float(u[n]))[:count]


def last_equals(worth, top):
    return sorted(range(len(worth)), key=lambda n: (-float(worth[n]), -n))[:top]


def all_equals(worth, top):
    return (worth >= worth.sort(descending=True).values[max(0, top - 1)]).nonzero().flatten().tolist() if top else []


def hint_of_the_batch(importance, patch_size, noise, count, top, hint):
    worth = F.avg_pool2d(importance[:, None], patch_size).flatten()
    inside = torch.zeros(noise.numel(), dtype=torch.bool)
    inside[worth.argsort(descending=True, stable=True)[: top * len(noise)]] = True
    inside = inside.view(noise.shape)
    near = (noise.masked_fill(~inside, 2).argsort(1).argsort(1) < hint) & inside
    others = (noise.masked_fill(inside, 2).argsort(1).argsort(1) < count - top + hint) & ~inside
    return (inside & ~near) | others, near


def hint_by_attmask(importance, patch_size, noise, count, top, hint):
    """The `count` most important are hidden, and the hint is shown again."""
    _, hints = hint_in_lists(importance, patch_size, noise, count, top, hint)
    worth = F.avg_pool2d(importance[:, None].double(), patch_size).flatten(1)
    inside = worth.sort(dim=1, descending=True, stable=True).indices
    hidden = torch.zeros_like(hints).scatter(1, inside[:, :count], True)
    hidden |= torch.zeros_like(hints).scatter(1, inside[:, :top], True)
    return hidden & ~hints, hints


def hint_by_a_stable_sort(importance, patch_size, noise, count, top, hint):
    worth = F.avg_pool2d(importance[:, None].double(), patch_size).flatten(1)
    return worth.argsort(1, descending=True, stable=True).argsort(1) < count, noise < 0


# ps6.5, wrong


def layout_of_the_library(corners, size, targets, context, noise, grid):
    """MultiBlockMasking, whose targets may overlap."""
    area = size[0] * size[1] / (grid[0] * grid[1])
    generator = torch.Generator().manual_seed(0)
    masking = MultiBlockMasking(targets, (min(area, 0.2), min(area, 0.2)), (size[0] / size[1],) * 2)
    mask = masking({"image": noise}, grid, generator=generator)[0]
    return torch.stack(mask.scored, 1), ~mask.hidden


def layout_with(refuse=None, most=True, odd=None, minus=None, choose=None, count=None, place=None, size_of=None):
    """A student's loop with one thing changed. refuse(block, taken, all before) → whether it is passed over; odd(blocks, taken, all)
    fills what was not found; minus(taken, all) → what the context loses; choose(ids, noise, keep); count(free, contexts) → numbers;
    place(context) → top, left, height, width; size_of(size)."""

    def answer(corners, size, targets, context, noise, grid):
        size = size_of(size) if size_of else size
        grids, blocks, free, whole = torch.arange(grid[0] * grid[1]).view(grid), [], [], []
        for b in range(len(corners)):
            taken, before = [], []
            for r, c in corners[b].tolist():
                one = set(grids[r : r + size[0], c : c + size[1]].flatten().tolist())
                bad = refuse(one, taken, before) if refuse else any(one & other for other in taken)
                if not bad and (len(taken) < targets or not most):
                    taken.append(one)
                before.append(one)
            kept = taken[:targets]
            found = list(kept)
            if odd:
                found += odd(kept, before)[: targets - len(kept)]
            masks = torch.zeros(targets, grids.numel(), dtype=torch.bool)
            for n, one in enumerate(found):
                masks[n, list(one)] = True
            blocks.append(masks)
            t, e, h, w = place(context[b].tolist(), grid) if place else context[b].tolist()
            inside = set(grids[t : t + h, e : e + w].flatten().tolist())
            whole.append(len(inside))
            free.append(inside - (minus(kept, before) if minus else set().union(*taken)))
        sizes = [len(ids) for ids in free]
        keep = count(sizes, whole) if count else [min(sizes)] * len(free)
        visible = torch.zeros_like(noise).bool()
        for b, ids in enumerate(free):
            visible[b, choose(ids, noise[b], keep[b]) if choose else by_noise(ids, noise[b], keep[b])] = True
        return torch.stack(blocks), visible

    return answer


def layout_where(apart, spend=""):
    """Candidates are compared by their corners: apart(r, c, y, x, size, context) for each target (y, x) before."""

    def answer(corners, size, targets, context, noise, grid):
        chosen = []
        for places, room in zip(corners.tolist(), context.tolist(), strict=True):
            taken: list = []
            for r, c in places:
                if len(taken) == targets:
                    break
                if all(apart(r, c, *place, size, room) for place in [*taken, (99, 99)] if place):
                    taken.append((r, c))
                elif spend == "place":
                    taken.append(None)
                elif spend == "search":
                    break
            chosen.append(taken)
        blocks = torch.zeros(len(corners), targets, *grid, dtype=torch.bool)
        for b, taken in enumerate(chosen):
            for t, place in enumerate(taken):
                if place:
                    blocks[b, t, place[0] : place[0] + size[0], place[1] : place[1] + size[1]] = True
        free = torch.zeros(len(corners), *grid, dtype=torch.bool)
        for b, (t, e, h, w) in enumerate(context.tolist()):
            free[b, t : t + h, e : e + w] = True
        free = (free & ~blocks.any(1)).flatten(1)
        rank = noise.masked_fill(~free, torch.inf).argsort(1).argsort(1)
        return blocks.flatten(2), rank < free.sum(1).min()

    return answer


def beside(r, c, y, x, size, room):
    """Right: no patch in common."""
    return abs(r - y) >= size[0] or abs(c - x) >= size[1]


def outside(r, c, y, x, size, room):
    """And none in common with the context."""
    t, e, h, w = room
    away = r + size[0] <= t or r >= t + h or c + size[1] <= e or c >= e + w
    return away and beside(r, c, y, x, size, room)


def layout_of_turned_corners(corners, size, targets, context, noise, grid):
    """Each corner is read as (column, row)."""
    return layout_with()(corners.flip(-1), size, targets, context, noise, grid)


def layout_as_hidden(corners, size, targets, context, noise, grid):
    blocks, visible = layout_by_corners(corners, size, targets, context, noise, grid)
    return blocks, ~visible


def layout_as_a_list(corners, size, targets, context, noise, grid):
    blocks, visible = layout_by_corners(corners, size, targets, context, noise, grid)
    return blocks.any(1), visible


WRONG = {
    "ps6.3": [
        ("rectangles touch the border", blocks_with(first=0, rows_of=lambda u, side, s: int(u * (side - s + 1)))),
        ("rectangles begin at row 0 and column 0", blocks_with(first=0)),
        ("the last place is never reached", blocks_with(rows_of=lambda u, side, s: int(u * (side - 2 - s)))),
        ("rounded to the nearest", blocks_with(rows_of=lambda u, side, s: round(u * (side - 2 - s)))),
        ("pushed back", blocks_with(rows_of=lambda u, side, s: min(int(u * (side - 2)), side - 2 - s))),
        ("lose what is on the border", blocks_without_border),
        ("the size is not taken off", blocks_with(rows_of=lambda u, side, s: int(u * (side - 2)))),
        ("counted in all rows and columns", blocks_with(rows_of=lambda u, side, s: int(u * (side - s + 1)))),
        ("hidden whole, however many", blocks_from_lists(all_whole)),
        ("are trimmed together", blocks_from_lists(first_of_all)),
        ("loses its beginning", blocks_from_lists(last_of_the_last)),
        ("drop it first", blocks_from_lists(lambda rectangles, inner, count: (in_line(rectangles) + inner)[:count])),
        ("hidden already, and these count twice", blocks_from_lists(lambda rectangles, inner, count: (list(dict.fromkeys(in_line(rectangles))) + inner)[:count])),
        ("torch.tensor of an empty list", blocks_by_an_index),
        ("argsort(dim=1, stable=True)", blocks_by_a_stable_sort),
        ("height and width are exchanged", blocks_with(swap=True)),
        ("the numbers of `corners` are exchanged", blocks_with(turn=True)),
        ("the last rectangle is kept whole", blocks_with(stop="rectangle")),
        ("is passed over; its first patches", blocks_with(stop="fit")),
        ("is left out whole", blocks_with(stop="before")),
        ("counted twice", blocks_counted_twice),
        ("fewer than `count` patches are hidden: go on", blocks_with(rest="nothing")),
        ("the patches of all rectangles are taken in reading order", blocks_in_reading_order),
        ("from the last to the first", blocks_with(order="last")),
        ("trimmed column by column", blocks_with(lie="columns")),
        ("the rest is taken from below", blocks_with(rest="below")),
        ("the rest touches the border", blocks_with(rest="all")),
        ("c · rows + r", blocks_by_columns),
        ("True is visible", lambda sizes, corners, grid, count: ~blocks_in_lists(sizes, corners, grid, count)),
        ("a 0/1 mask", lambda sizes, corners, grid, count: blocks_in_lists(sizes, corners, grid, count).long()),
    ],
    "ps6.4": [
        ("True is visible", hint_with(results=lambda hidden, hints, o: (~hidden, hints))),
        ("the least important patches are the object", hint_with(best=lambda w, top: w.argsort(stable=True)[:top].tolist())),
        ("its largest pixel", hint_with(pool=torch.max)),
        ("one of its pixels", hint_with(pool=lambda s: s[0, 0])),
        ("numbered column by column", hint_with(flip=True)),
        ("ranked together", hint_of_the_batch),
        ("all that are equally important", hint_with(best=all_equals)),
        ("the last belong to the object", hint_with(best=last_equals)),
        ("the hint is the most important", hint_with(shown=lambda o, u, w, hint: o[:hint])),
        ("the hint is the least important", hint_with(shown=lambda o, u, w, hint: o[len(o) - hint :])),
        ("the hint has the highest noise", hint_with(shown=lambda o, u, w, hint: by_noise(o, -u, hint))),
        ("the hint is chosen from all patches", hint_with(shown=lambda o, u, w, hint: by_noise(range(len(u)), u, hint))),
        ("so that the hint is too small", hint_with(shown=lambda o, u, w, hint: [n for n in o if n in by_noise(range(len(u)), u, hint)])),
        ("too few others are hidden", hint_with(fill=lambda out, u, w, missing, near: [n for n in out if n in by_noise(range(len(u)), u, missing)])),
        ("as in AttMask's code", hint_by_attmask),
        ("the results are exchanged", hint_with(results=lambda hidden, hints, o: (hints, hidden))),
        ("all that is visible", hint_with(results=lambda hidden, hints, o: (hidden, ~hidden))),
        ("argsort(dim=1, stable=True)", hint_by_a_stable_sort),
        ("the hint is hidden as well", hint_with(results=lambda hidden, hints, o: (hidden | o, hints))),
        ("only the object is hidden", hint_with(fill=lambda out, u, w, missing, near: [])),
        ("`count` is all that is hidden", lambda importance, patch_size, noise, count, top, hint: hint_in_lists(
            importance, patch_size, noise, count + top - hint, top, hint)),
        ("may be hints", hint_with(fill=lambda out, u, w, missing, near: by_noise([*out, *near], u, missing))),
        ("the next important ones", hint_with(fill=lambda out, u, w, missing, near: sorted(out, key=lambda n: (-float(w[n]), n))[:missing])),
        ("others that are hidden have the highest noise", hint_with(fill=lambda out, u, w, missing, near: by_noise(out, -u, missing))),
        ("the whole object; it is the hint alone", hint_with(results=lambda hidden, hints, o: (hidden, o))),
        ("2 results were asked for", hint_with(results=lambda hidden, hints, o: hidden)),
    ],
    "ps6.5": [
        ("also where they overlap", layout_with(refuse=lambda one, taken, before: False)),
        ("compared with the last block", layout_with(refuse=lambda one, taken, before: bool(taken and one & taken[-1]))),
        ("compared with all candidates before it", layout_with(refuse=lambda one, taken, before: bool(before and one & set().union(*before)))),
        ("compared with the first block alone", layout_with(refuse=lambda one, taken, before: bool(taken and one & taken[0]))),
        ("lies in the context is passed over", layout_where(outside)),
        ("touches a target", layout_where(lambda r, c, y, x, size, room: abs(r - y) > size[0] or abs(c - x) > size[1])),
        ("leaves an empty target behind", layout_where(beside, spend="place")),
        ("ends the search", layout_where(beside, spend="search")),
        ("the numbers of `corners` are exchanged", layout_of_turned_corners),
        ("so that too few are shown", layout_with(choose=lambda ids, u, keep: [n for n in ids if n in by_noise(range(len(u)), u, keep)])),
        ("blocks beyond the number of targets", layout_with(most=False)),
        ("size is (height, width)", layout_with(size_of=lambda size: size[::-1])),
        ("repeat the last one", layout_with(odd=lambda taken, before: [taken[-1]] * 9)),
        ("filled with candidates that overlap", layout_with(odd=lambda taken, before: [one for one in before if one not in taken])),
        ("still holds patches of targets", layout_with(minus=lambda taken, before: set())),
        ("also lacks the patches of candidates", layout_with(minus=lambda taken, before: set().union(*before))),
        ("different numbers of patches", layout_with(count=lambda sizes, whole: sizes)),
        ("the first patches in reading order stay", layout_with(choose=lambda ids, u, keep: sorted(ids)[:keep])),
        ("the patches with the highest noise stay", layout_with(choose=lambda ids, u, keep: by_noise(ids, -u, keep))),
        ("patches are counted before", layout_with(count=lambda sizes, whole: [min(whole)] * len(whole))),
        ("(top, left, bottom, right)", layout_with(place=lambda c, grid: (c[0], c[1], max(0, c[2] - c[0]), max(0, c[3] - c[1])))),
        ("the whole image minus the targets", layout_with(place=lambda c, grid: (0, 0, *grid))),
        ("height and width of the context", layout_with(place=lambda c, grid: (c[0], c[1], c[3], c[2]))),
        ("visible is upside down", layout_as_hidden),
        ("its shape is", layout_as_a_list),
    ],
}  # fmt: skip
