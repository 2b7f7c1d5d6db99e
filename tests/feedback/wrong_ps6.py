"""Wrong answers to problem set 6, tasks 1 and 2, as students write them, with what a check says of each; and what comes nearest to an
answer in the library."""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from right_ps6 import revive_with_infinities

from minimim.targets.handmade import HOG
from minimim.targets.tokens import kmeans, nearest, sums_of

# ps6.1, wrong


def hog_of_the_library(across, down, patch_size, cells, margin, bins):
    """What minimim.targets.HOG does after its gradients."""
    votes = (across.square() + down.square()).sqrt().unsqueeze(1)
    bin_of = (torch.atan2(across, down).unsqueeze(1) / torch.pi * bins).floor().remainder(bins)
    cell = patch_size // cells[0], patch_size // cells[1]
    histograms = torch.stack(
        [F.avg_pool2d(torch.where(bin_of == b, votes, 0), cell) * cell[0] * cell[1] for b in range(bins)], dim=2
    )
    histograms = F.normalize(histograms, dim=2, eps=1e-12).flatten(1, 2)
    return rearrange(histograms, "b n (u r) (v c) -> b (u v) (n r c)", r=cells[0], c=cells[1])


def hog_by_the_class(across, down, patch_size, cells, margin, bins):
    """The library's class on an image that would have these gradients, if there were one."""
    image = (across.cumsum(2) + down.cumsum(1)).unsqueeze(1)
    return HOG(patch_size, bins=bins, cells=cells[0])({"image": image})["patch"]


def hog_with(place=None, split=None, around=None, length=None, layout="b (u v) (r c n)", power=1, weigh=None):
    """A student's HOG with one thing changed. place(across, down, bins) → the direction in units; split(place, bins) → [(bin, part)];
    around(maps, margin) → padded maps; length(x, bins) → what a patch is divided by; weigh(across, down) → the votes."""

    def answer(across, down, patch_size, cells, margin, bins):
        where = place(across, down, bins) if place else (torch.atan2(down, across) + 2 * math.pi) * bins / math.pi
        low = torch.floor(where)
        parts = split(where, bins) if split else [(low, 1 - (where - low)), (low + 1, where - low)]
        size = weigh(across, down) if weigh else torch.sqrt(across**2 + down**2) ** power
        maps = torch.zeros(len(across), bins, *across.shape[1:], dtype=across.dtype)
        for number, part in parts:
            maps = maps.scatter_add(1, (number.long() % bins).unsqueeze(1), (size * part).unsqueeze(1))
        maps = around(maps, margin) if around else F.pad(maps, (margin, margin, margin, margin))
        h, w = patch_size // cells[0], patch_size // cells[1]
        if around is no_margin:
            margin = 0
        sums = F.unfold(maps.flatten(0, 1).unsqueeze(1), (h + 2 * margin, w + 2 * margin), stride=(h, w)).sum(1)
        sums = sums.view(len(across), bins, across.shape[1] // h, across.shape[2] // w)
        x = rearrange(sums, "b n (u r) (v c) -> " + layout, r=cells[0], c=cells[1])
        return x / (length(x, bins) if length else x.norm(dim=-1, keepdim=True).clamp(min=1e-20))

    return answer


def no_margin(maps, margin):
    return maps


def repeated(maps, margin):
    rows = torch.arange(-margin, maps.shape[2] + margin).clamp(0, maps.shape[2] - 1)
    cols = torch.arange(-margin, maps.shape[3] + margin).clamp(0, maps.shape[3] - 1)
    return maps[:, :, rows][..., cols]


def hog_of_whole_votes(where, bins):
    return [(torch.floor(where), torch.ones_like(where))]


def hog_of_rounded_votes(where, bins):
    return [(torch.round(where), torch.ones_like(where))]


def hog_turned_round(where, bins):
    part = where - where.floor()
    return [(where.floor(), part), (where.floor() + 1, 1 - part)]


def hog_that_loses(where, bins):
    where = where % bins
    part = where - where.floor()
    return [(where.floor(), 1 - part), (where.floor() + 1, part * (where.floor() + 1 < bins))]


def hog_that_keeps(where, bins):
    where = where % bins
    part = where - where.floor()
    return [(where.floor(), 1 - part), ((where.floor() + 1).clamp(max=bins - 1), part)]


def hog_of_numbers_below_bins(place, strict=False):
    """A table of votes for each direction, from those pixels whose direction it is; or one_hot, which raises an error."""

    def answer(across, down, patch_size, cells, margin, bins):
        where = place(torch.atan2(down, across)) * bins / math.pi
        low, size = where.floor(), torch.hypot(across, down)
        part = where - low
        if strict:
            F.one_hot(low.long(), bins)
        maps = [size * (1 - part) * (low == b) + size * part * ((low + 1) % bins == b) for b in range(bins)]
        padded = F.pad(torch.stack(maps, 1), [margin] * 4)
        h, w = patch_size // cells[0], patch_size // cells[1]
        sums = padded.unfold(2, h + 2 * margin, h).unfold(3, w + 2 * margin, w).sum((-1, -2))
        return F.normalize(rearrange(sums, "b n (u r) (v c) -> b (u v) (r c n)", r=cells[0], c=cells[1]), dim=-1)

    return answer


def half_turn(angle):
    return torch.where(angle < 0, angle + math.pi, angle)


def hog_truncated(where, bins):
    low = where.long()
    return [(low, 1 - (where - low)), (low + 1, where - low)]


def round_the_image(maps, margin):
    rows = torch.arange(-margin, maps.shape[2] + margin) % maps.shape[2]
    cols = torch.arange(-margin, maps.shape[3] + margin) % maps.shape[3]
    return maps[:, :, rows][..., cols] if margin < min(maps.shape[2:]) else F.pad(maps, [margin] * 4)


def hog_of_a_shape(reach):
    """Sums over the pixels that are in reach(y, x, top, left, high, wide, margin) of a cell."""

    def answer(across, down, patch_size, cells, margin, bins):
        maps = hog_with(length=lambda x, n: 1)(across, down, 1, (1, 1), 0, bins).mT.unflatten(2, across.shape[1:])
        h, w = patch_size // cells[0], patch_size // cells[1]
        y, x = torch.arange(across.shape[1]).view(-1, 1), torch.arange(across.shape[2])
        sums = [
            torch.stack([(maps * reach(y, x, t, e, h, w, margin)).sum((2, 3)) for e in range(0, across.shape[2], w)], -1)
            for t in range(0, across.shape[1], h)
        ]
        return F.normalize(
            rearrange(torch.stack(sums, 2), "b n (u r) (v c) -> b (u v) (r c n)", r=cells[0], c=cells[1]), dim=-1
        )

    return answer


def hog_of_cells_in_pixels(across, down, patch_size, cells, margin, bins):
    return hog_with()(across, down, patch_size, (patch_size // cells[0], patch_size // cells[1]), margin, bins)


def hog_patch_by_patch(across, down, patch_size, cells, margin, bins):
    """Each patch cut out and padded by itself."""
    cut = [rearrange(x, "b (u p) (v q) -> (b u v) p q", p=patch_size, q=patch_size) for x in (across, down)]
    return hog_with()(*cut, patch_size, cells, margin, bins).squeeze(1).unflatten(0, (len(across), -1))


def hog_of_turned_cells(across, down, patch_size, cells, margin, bins):
    return hog_with()(across, down, patch_size, (cells[1], cells[0]), margin, bins)


def hog_scaled_by_cell(x, bins):
    cells = x.unflatten(-1, (-1, bins))
    return cells.norm(dim=-1, keepdim=True).clamp(min=1e-20).expand_as(cells).flatten(-2)


# ps6.2, wrong


def revive_of_the_library(codes, latents, usage, momentum, threshold):
    """What VQTokens.move_codes does, with random latents."""
    total, counts = sums_of(latents, nearest(latents, codes), len(codes))
    mean = total / counts.clamp(min=1).unsqueeze(1)
    moved = torch.where(counts.unsqueeze(1) > 0, codes.lerp(mean, 0.1), codes)
    usage = usage.lerp(counts.to(usage.dtype), 1 - momentum)
    drawn = latents[torch.randint(len(latents), (len(codes),))]
    unused = usage < threshold
    return torch.where(unused.unsqueeze(1), drawn, moved), torch.where(unused, 1.0, usage), unused


def revive_by_kmeans(codes, latents, usage, momentum, threshold):
    found, counts = kmeans(latents, len(codes), 3, torch.Generator().manual_seed(0))
    return found, counts.to(usage.dtype), usage < threshold


def revive_with(
    usage_of=None,
    is_dead=None,
    before=None,
    after=None,
    order=None,
    start=None,
    limit=0.0,
    living_only=True,
    results=None,
    turn=list,
):
    """A student's loop with one thing changed. usage_of(old, counts, momentum); is_dead(new, old, counts, threshold); before(distances)
    and after(distances, new distances); order(away) → a latent; start(new, dead, old, threshold)."""

    def answer(codes, latents, usage, momentum, threshold):
        counts, choice = torch.zeros_like(usage), []
        for x in latents:
            d = torch.stack([(x - c).square().sum() for c in codes])
            choice.append(d)
            counts[int(d.argmin())] += 1
        table = torch.stack(choice)  # (M, K)
        new = usage_of(usage, counts, momentum) if usage_of else usage * momentum + counts * (1 - momentum)
        dead = is_dead(new, usage, counts, threshold) if is_dead else new < threshold
        away = (table[:, ~dead] if living_only else table).min(dim=1)[0]
        begin = start(new, dead, usage, threshold) if start else new[~dead].mean()
        out, final, moved = codes.clone(), new.clone(), torch.zeros(len(codes), dtype=torch.bool)
        for number, k in enumerate(turn(torch.where(dead)[0].tolist())):
            n = order(away, number) if order else int(away.argmax())
            if away[n] <= limit:
                continue
            out[k], moved[k] = latents[n], True
            if begin is not None:
                final[k] = begin
            fresh = (latents - latents[n]).square().sum(1)
            away = after(away, fresh) if after else torch.minimum(away, fresh)
        return results(out, final, moved, dead) if results else (out, final, moved)

    return answer


def nth_farthest(away, number):
    return int(away.sort(descending=True, stable=True).indices[min(number, len(away) - 1)])


def revive_far_from(places):
    """Looks anew in every step, from places(codes, k)."""

    def answer(codes, latents, usage, momentum, threshold):
        _, new, _ = revive_with(turn=lambda ids: [])(codes, latents, usage, momentum, threshold)
        dead, out, moved = new < threshold, codes.clone(), torch.zeros(len(codes), dtype=torch.bool)
        fresh = new[~dead].mean()
        for k in range(len(codes)):
            away = (latents[:, None] - places(out, k)).square().sum(-1).min(1).values
            if dead[k] and away.max() > 0:
                out[k], new[k], moved[k] = latents[away.argmax()], fresh, True
        return out, new, moved

    return answer


def revive_in_place(codes, latents, usage, momentum, threshold):
    out, new, moved = revive_with_infinities(codes, latents, usage, momentum, threshold)
    codes.copy_(out)
    return codes, new, moved


WRONG = {
    "ps6.1": [
        ("go to different directions", hog_with(place=lambda a, d, n: torch.atan2(d, a) % (2 * math.pi) / (2 * math.pi) * n)),
        ("measured from the vertical", hog_with(place=lambda a, d, n: (torch.atan2(a, d) + 2 * math.pi) * n / math.pi)),
        ("loses its sign", hog_with(place=lambda a, d, n: torch.atan(d.abs() / a.abs().clamp(min=1e-20)) * n / math.pi)),
        ("a hair below 180°", hog_of_numbers_below_bins(lambda angle: angle % math.pi)),
        ("a hair below 180°", hog_of_numbers_below_bins(half_turn)),
        ("reaches `bins`", hog_of_numbers_below_bins(lambda angle: angle % math.pi, strict=True)),
        ("below 0; a gradient and its opposite", hog_of_numbers_below_bins(lambda angle: angle, strict=True)),
        ("points upwards loses its sign", hog_with(place=lambda a, d, n: torch.atan2(d, a).abs() * n / math.pi)),
        ("upwards and downwards are exchanged", hog_with(place=lambda a, d, n: (torch.atan2(-d, a) + 2 * math.pi) * n / math.pi)),
        ("that of the edge", hog_with(place=lambda a, d, n: (torch.atan2(d, a) + 1.5 * math.pi) * n / math.pi)),
        ("round towards 0", hog_with(place=lambda a, d, n: torch.atan2(d, a) * n / math.pi, split=hog_truncated)),
        ("|across| + |down|", hog_with(weigh=lambda a, d: a.abs() + d.abs())),
        ("its other side begins again", hog_with(around=round_the_image)),
        ("on one side of the cell", hog_of_a_shape(lambda y, x, t, e, h, w, m: (y >= t) & (y < t + h + m) & (x >= e) & (x < e + w + m))),
        ("the corners of the margin are missing", hog_of_a_shape(lambda y, x, t, e, h, w, m: (y >= t - m) & (y < t + h + m) & (x >= e) & (x < e + w) | (y >= t) & (y < t + h) & (x >= e - m) & (x < e + w + m))),
        ("the size of a cell in pixels", hog_of_cells_in_pixels),
        ("whole to the direction below its own", hog_with(split=hog_of_whole_votes)),
        ("whole to the nearest direction", hog_with(split=hog_of_rounded_votes)),
        ("the two parts of a vote are exchanged", hog_with(split=hog_turned_round)),
        ("lies at b · 180° / bins", hog_with(place=lambda a, d, n: (torch.atan2(d, a) + 2 * math.pi) * n / math.pi - 0.5)),
        ("loses a part of its vote", hog_with(split=hog_that_loses)),
        ("stays with the last", hog_with(split=hog_that_keeps)),
        ("every pixel has one vote", hog_with(power=0)),
        ("the votes are squared lengths", hog_with(power=2)),
        ("the margin is not used", hog_with(around=no_margin)),
        ("the margin ends at the edge of the patch", hog_patch_by_patch),
        ("its last pixels are repeated", hog_with(around=repeated)),
        ("each cell is brought to length 1 by itself", hog_with(length=hog_scaled_by_cell)),
        ("the patches of an image are scaled together", hog_with(length=lambda x, n: x.flatten(1).norm(dim=1).clamp(min=1e-20).view(-1, 1, 1))),
        ("the numbers of a patch add up to 1", hog_with(length=lambda x, n: x.sum(-1, keepdim=True).clamp(min=1e-20))),
        ("the votes are not scaled", hog_with(length=lambda x, n: 1)),
        ("gives NaN, 0 / 0", hog_with(length=lambda x, n: x.square().sum(-1, keepdim=True).sqrt())),
        ("a small number is added to the length", hog_with(length=lambda x, n: x.norm(dim=-1, keepdim=True) + 1e-5)),
        ("added to the length, 1e-06", hog_with(length=lambda x, n: x.norm(dim=-1, keepdim=True) + 1e-6)),
        ("a length below 0.001 is raised", hog_with(length=lambda x, n: x.norm(dim=-1, keepdim=True).clamp(min=1e-3))),
        ("a length below 1 is raised to 1", hog_with(length=lambda x, n: x.norm(dim=-1, keepdim=True).clamp(min=1))),
        ("direction, row, column", hog_with(layout="b (u v) (n r c)")),
        ("the cells of a patch come column by column", hog_with(layout="b (u v) (c r n)")),
        ("the patches come column by column", hog_with(layout="b (v u) (r c n)")),
        ("rows and columns of cells are exchanged", hog_of_turned_cells),
    ],
    "ps6.2": [
        ("momentum is on the wrong side", revive_with(usage_of=lambda old, counts, m: old.lerp(counts, m))),
        ("the counts of this batch alone", revive_with(usage_of=lambda old, counts, m: counts)),
        ("usage does not change", revive_with(usage_of=lambda old, counts, m: old)),
        ("divided by the number of latents", revive_with(usage_of=lambda old, counts, m: m * old + (1 - m) * counts / counts.sum())),
        ("the counts are added whole", revive_with(usage_of=lambda old, counts, m: m * old + counts)),
        ("without a latent in this batch is dead", revive_with(is_dead=lambda new, old, counts, t: counts < 1)),
        ("the usage of before decides", revive_with(is_dead=lambda new, old, counts, t: old < t)),
        ("just the threshold is dead", revive_with(is_dead=lambda new, old, counts, t: ~(new > t))),
        ("the distance is taken to all codes", revive_with(living_only=False)),
        ("all dead codes move to the same latent", revive_with(after=lambda away, fresh: away)),
        ("the first few of one ranking", revive_with(after=lambda away, fresh: away, order=nth_farthest)),
        ("the last revived code alone", revive_with(after=lambda away, fresh: fresh)),
        ("those that are still dead", revive_far_from(lambda out, k: out)),
        ("where it stood itself", revive_far_from(lambda out, k: out[k : k + 1])),
        ("of latents that are equally far the last", revive_with(order=lambda away, n: int((away == away.max()).nonzero()[-1]))),
        ("a code that could not move gets", revive_with(results=lambda out, new, moved, dead: (out, new.where(~dead, new[~dead].mean()), moved))),
        ("nearest to a code", revive_with(order=lambda away, n: int(torch.where(away > 0, away, 1e9).argmin()))),
        ("served from the last to the first", revive_with(turn=reversed)),
        ("only the first dead code", revive_with(turn=lambda ids: ids[:1])),
        ("the usage of a revived code stays what it was", revive_with(start=lambda *_: None)),
        ("begins with a usage of 1", revive_with(start=lambda *_: 1.0)),
        ("begins with a usage of 0", revive_with(start=lambda *_: 0.0)),
        ("begins at the threshold", revive_with(start=lambda new, dead, old, t: t)),
        ("the mean usage runs over all codes", revive_with(start=lambda new, dead, old, t: new.mean())),
        ("the mean usage is that of before", revive_with(start=lambda new, dead, old, t: old[~dead].mean())),
        ("a living code at its very place", revive_with(limit=-1.0)),
        ("says which codes are dead", revive_with(results=lambda out, new, moved, dead: (out, new, dead))),
        ("upside down", revive_with(results=lambda out, new, moved, dead: (out, new, ~moved))),
        ("changed its argument codes", revive_in_place),
        ("3 results were asked for", revive_with(results=lambda out, new, moved, dead: out)),
    ],
}  # fmt: skip
