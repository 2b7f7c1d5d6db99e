"""Problem set 2: right answers in many hands pass and earn all points, wrong ones are told which mistake they make and
lose points, and what the lessons and the library hold does not do as an answer."""

import inspect
import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from einops import einsum, rearrange, repeat
from graded import Graded, at_hand, each, handed_on, mistaken, mutants, refusal

from minimim import layers, patches
from minimim.encoders import vit
from minimim.feedback import WrongAnswer, check
from minimim.feedback.check import examine
from minimim.feedback.ps2 import tasks as ps2
from minimim.feedback.ps2 import truth
from minimim.masking import Mask
from minimim.masking import mask as masks

TASKS = {task.name: task for task in ps2.TASKS}
SET = Graded("ps2", TASKS, __name__)
MARKED = SET.marked
points, full = SET.points, SET.full


def attention(q, k, v, allowed=None):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)


def scores(q, k):
    return q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])


# ps2.1, right


def attend_sample_by_sample(q, k, v, valid):
    out = torch.zeros_like(q)
    for b in range(len(q)):
        if valid[b].any():
            out[b] = scores(q[b], k[b][:, valid[b]]).softmax(-1) @ v[b][:, valid[b]]
    return out


def attend_fused(q, k, v, valid):
    return attention(q, k, v, valid[:, None, None, :])


def attend_einsum(q, k, v, valid):
    real = repeat(valid, "b s -> b h t s", h=q.shape[1], t=q.shape[2])
    s = einsum(q, k, "b h t d, b h s d -> b h t s") * q.shape[-1] ** -0.5
    weights = torch.where(real, s, -1e30).softmax(-1)
    return einsum(torch.where(real, weights, 0), v, "b h t s, b h s d -> b h t d")


def attend_by_hand(q, k, v, valid):
    s = scores(q, k).masked_fill(~valid[:, None, None], -1e4)
    parts = (s - s.amax(-1, keepdim=True).detach()).exp() * valid[:, None, None]
    return parts @ v / parts.sum(-1, keepdim=True).clamp(min=1e-12)


def attend_in_float64(q, k, v, valid):
    return attend_einsum(q.double(), k.double(), v.double(), valid).to(q.dtype)


def attend_not_contiguous(q, k, v, valid):
    s = (k / k.shape[-1] ** 0.5) @ q.mT  # (B, heads, S, T)
    s = s.masked_fill(~valid[:, None, :, None] & valid.any(1)[:, None, None, None], -math.inf)
    return (v.mT @ (s.softmax(-2) * valid[:, None, :, None])).mT


def attend_with_an_empty_place(q, k, v, valid):
    """One more key, always there, that takes all the weight where nothing else can."""
    s = scores(q, k).masked_fill(~valid[:, None, None], -math.inf)
    nobody = torch.zeros_like(s[..., :1]).masked_fill(valid.any(1)[:, None, None, None], -math.inf)
    return torch.cat([s, nobody], -1).softmax(-1)[..., :-1] @ v


# ps2.1, wrong


def attend_hidden(fill, dim=-1, scale=True):
    def answer(q, k, v, valid):
        s = q @ k.mT * (q.shape[-1] ** -0.5 if scale else 1)
        return s.masked_fill(~valid[:, None, None], fill).softmax(dim) @ v

    return answer


def attend_scale_of_all_heads(q, k, v, valid):
    return attend_fused(q / q.shape[1] ** 0.5, k, v, valid)


def attend_scores_times_valid(q, k, v, valid):
    return (scores(q, k) * valid[:, None, None]).softmax(-1) @ v


def attend_cut_late(q, k, v, valid):
    return (scores(q, k).softmax(-1) * valid[:, None, None]) @ v


def attend_clamped(q, k, v, valid):
    parts = scores(q, k).exp() * valid[:, None, None]
    return parts @ v / parts.sum(-1, keepdim=True).clamp(min=1)


def attend_in_place(q, k, v, valid):
    k.masked_fill_(~valid[:, None, :, None], 0)
    return attend_fused(q, k, v, valid)


def attend_added(q, k, v, valid):
    return (scores(q, k) - 1e9 * ~valid[:, None, None]).softmax(-1) @ v


def attend_heads_together(q, k, v, valid):
    return attend_fused(q, k, v, valid).transpose(1, 2).flatten(2)


# ps2.2, right


def shared_repeated(q, k, v):
    share = q.shape[1] // k.shape[1]
    return attention(q, k.repeat_interleave(share, 1), v.repeat_interleave(share, 1))


def shared_indexed(q, k, v):
    group = torch.arange(q.shape[1]) // (q.shape[1] // k.shape[1])
    return scores(q, k[:, group]).softmax(-1) @ v[:, group]


def shared_loop(q, k, v):
    share, out = q.shape[1] // k.shape[1], []
    for head in range(q.shape[1]):
        out.append(scores(q[:, head], k[:, head // share]).softmax(-1) @ v[:, head // share])
    return torch.stack(out, 1)


def shared_einops(q, k, v):
    q = rearrange(q, "b (g r) t d -> b g r t d", g=k.shape[1])
    weights = (einsum(q, k, "b g r t d, b g s d -> b g r t s") / q.shape[-1] ** 0.5).softmax(-1)
    return rearrange(einsum(weights, v, "b g r t s, b g s d -> b g r t d"), "b g r t d -> b (g r) t d")


def shared_fused(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)


def shared_longer_queries(q, k, v):
    """The queries of a block, one after the other, as the queries of one head."""
    out = attention(q.reshape(q.shape[0], k.shape[1], -1, q.shape[-1]), k, v)
    return out.reshape(q.shape)


def shared_in_float64(q, k, v):
    return shared_indexed(q.double(), k.double(), v.double()).to(q.dtype)


def shared_taken(q, k, v):
    ids = (torch.arange(q.shape[1]) * k.shape[1] // q.shape[1])[None, :, None, None]
    return attention(q, torch.take_along_dim(k, ids, 1), torch.take_along_dim(v, ids, 1))


# ps2.2, wrong


def shared_in_turn(q, k, v):
    share = q.shape[1] // k.shape[1]
    return attention(q, k.repeat(1, share, 1, 1), v.repeat(1, share, 1, 1))


def shared_axis_cut_the_wrong_way(q, k, v):
    q = rearrange(q, "b (r g) t d -> b g r t d", g=k.shape[1])
    return rearrange(scores(q, k[:, :, None]).softmax(-1) @ v[:, :, None], "b g r t d -> b (r g) t d")


def shared_heads_mixed_up(q, k, v):
    out = scores(q.unflatten(1, (k.shape[1], -1)), k[:, :, None]).softmax(-1) @ v[:, :, None]
    return out.transpose(1, 2).flatten(1, 2)


def shared_first(q, k, v):
    return scores(q, k[:, :1]).softmax(-1) @ v[:, :1]


def shared_mean(q, k, v):
    return scores(q, k.mean(1, keepdim=True)).softmax(-1) @ v.mean(1, keepdim=True)


def shared_no_scale(q, k, v):
    share = q.shape[1] // k.shape[1]
    return (q @ k.repeat_interleave(share, 1).mT).softmax(-1) @ v.repeat_interleave(share, 1)


def shared_over_queries(q, k, v):
    share = q.shape[1] // k.shape[1]
    return scores(q, k.repeat_interleave(share, 1)).softmax(2) @ v.repeat_interleave(share, 1)


def shared_values_in_turn(q, k, v):
    share = q.shape[1] // k.shape[1]
    return attention(q, k.repeat_interleave(share, 1), v.repeat(1, share, 1, 1))


def shared_one_head_a_group(q, k, v):
    return attention(q[:, : k.shape[1]], k, v)


# ps2.3, right


def places(grid):
    n = torch.arange(grid[0] * grid[1])
    return n // grid[1], n % grid[1]


def windowed_masked(q, k, v, grid, window):
    row, col = places(grid)
    home = row // window * grid[1] + col // window
    return attention(q, k, v, home[:, None] == home)


def windowed_filled(q, k, v, grid, window):
    row, col = (place // window for place in places(grid))
    apart = (row[:, None] != row) | (col[:, None] != col)
    return scores(q, k).masked_fill(apart, -math.inf).softmax(-1) @ v


def windowed_square_by_square(q, k, v, grid, window):
    boards = [x.unflatten(2, grid) for x in (q, k, v)]
    out = torch.zeros_like(boards[2])
    for top in range(0, grid[0], window):
        for left in range(0, grid[1], window):
            q1, k1, v1 = (x[:, :, top : top + window, left : left + window].flatten(2, 3) for x in boards)
            out[:, :, top : top + window, left : left + window] = attention(q1, k1, v1).unflatten(2, (window, window))
    return out.flatten(2, 3)


def windowed_permuted(q, k, v, grid, window):
    row, col = places(grid)
    order = ((row // window * grid[1] + col // window) * grid[1] ** 2 + row % window * window + col % window).argsort()
    q, k, v = (x[:, :, order].unflatten(2, (-1, window**2)) for x in (q, k, v))
    return attention(q, k, v).flatten(2, 3)[:, :, order.argsort()]


def windowed_taken(q, k, v, grid, window):
    ids = torch.arange(grid[0] * grid[1]).view(grid).unfold(0, window, window).unfold(1, window, window)
    ids = ids.reshape(1, 1, -1, 1)
    q, k, v = (torch.take_along_dim(x, ids, 2).unflatten(2, (-1, window**2)) for x in (q, k, v))
    out = attention(q, k, v).flatten(2, 3)
    return torch.zeros_like(out).scatter(2, ids.expand(*out.shape[:2], -1, out.shape[-1]), out)


def windowed_folded_into_the_batch(q, k, v, grid, window):
    b, h, _, d = q.shape
    shape = (b, h, grid[0] // window, window, grid[1] // window, window, d)
    q, k, v = (x.reshape(shape).permute(0, 2, 4, 1, 3, 5, 6).reshape(-1, h, window**2, d) for x in (q, k, v))
    out = attention(q, k, v).reshape(b, shape[2], shape[4], h, window, window, d)
    return out.permute(0, 3, 1, 4, 2, 5, 6).reshape(b, h, -1, d)


def windowed_in_float64(q, k, v, grid, window):
    return windowed_filled(q.double(), k.double(), v.double(), grid, window).to(q.dtype)


def windowed_token_by_token(q, k, v, grid, window):
    row, col = (place // window for place in places(grid))
    out = []
    for t in range(q.shape[2]):
        near = (row == row[t]) & (col == col[t])
        out.append(attention(q[:, :, t : t + 1], k[:, :, near], v[:, :, near]))
    return torch.cat(out, 2)


# ps2.3, wrong


def windowed_by(pattern, back=True, grid_turned=False, dim=-1, scaled=True):
    def answer(q, k, v, grid, window):
        rows, cols = grid[::-1] if grid_turned else grid
        sizes = {"r": rows // window, "p": window, "s": cols // window, "w": window}
        q, k, v = (rearrange(x, f"b h ({pattern}) d -> b h (r s) (p w) d", **sizes) for x in (q, k, v))
        s = scores(q, k) if scaled else q @ k.mT
        out = s.softmax(dim) @ v
        return rearrange(out, f"b h (r s) (p w) d -> b h ({pattern}) d", **sizes) if back else out.flatten(2, 3)

    return answer


def windowed_runs(q, k, v, grid, window):
    home = torch.arange(q.shape[2]) // window**2
    return attention(q, k, v, home[:, None] == home)


def windowed_all(q, k, v, grid, window):
    return attention(q, k, v)


def windowed_rows_alone(q, k, v, grid, window):
    row, _ = places(grid)
    return attention(q, k, v, row[:, None] // window == row // window)


def windowed_around(q, k, v, grid, window):
    row, col = places(grid)
    far = torch.maximum((row[:, None] - row).abs(), (col[:, None] - col).abs())
    return attention(q, k, v, far <= window // 2)


def windowed_near(more):
    def answer(q, k, v, grid, window):
        row, col = places(grid)
        far = torch.maximum((row[:, None] - row).abs(), (col[:, None] - col).abs())
        return attention(q, k, v, far < window + more)

    return answer


def windowed_shifted(q, k, v, grid, window):
    row, col = ((place + window - 1) // window for place in places(grid))
    return attention(q, k, v, (row[:, None] == row) & (col[:, None] == col))


def windowed_columns_alone(q, k, v, grid, window):
    _, col = places(grid)
    return attention(q, k, v, col[:, None] // window == col // window)


def windowed_cut_late(q, k, v, grid, window):
    row, col = (place // window for place in places(grid))
    return scores(q, k).softmax(-1) * ((row[:, None] == row) & (col[:, None] == col)) @ v


def windowed_meshgrid_xy(q, k, v, grid, window):
    row, col = (x.flatten() // window for x in torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="xy"))
    return scores(q, k).masked_fill((row[:, None] != row) | (col[:, None] != col), -math.inf).softmax(-1) @ v


def windowed_ordered_again(q, k, v, grid, window):
    row, col = places(grid)
    order = ((row // window * grid[1] + col // window) * grid[1] ** 2 + row % window * window + col % window).argsort()
    q, k, v = (x[:, :, order].unflatten(2, (-1, window**2)) for x in (q, k, v))
    return attention(q, k, v).flatten(2, 3)[:, :, order]


def windowed_count(q, k, v, grid, window):
    row, col = places(grid)
    home = row // (grid[0] // window) * window + col // (grid[1] // window)
    return attention(q, k, v, home[:, None] == home)


# ps2.4, right


def waves(place, dim):
    angles = torch.outer(place.flatten().double(), 10000.0 ** -(torch.arange(dim // 6).double() / (dim // 6)))
    return torch.cat([angles.sin(), angles.cos()], 1)


def axes(grid):
    return torch.meshgrid(*map(torch.arange, grid), indexing="ij")


def positions_concatenated(dim, grid):
    return torch.cat([waves(place, dim) for place in axes(grid)], 1).float()


def positions_number_by_number(dim, grid):
    rows = []
    for frame in range(grid[0]):
        for row in range(grid[1]):
            for col in range(grid[2]):
                one = []
                for place in (frame, row, col):
                    angles = [place / 10000 ** (6 * i / dim) for i in range(dim // 6)]
                    one += [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
                rows.append(one)
    return torch.tensor(rows)


def positions_by_division(dim, grid):
    n = torch.arange(math.prod(grid))
    return torch.cat([waves(p, dim) for p in (n // (grid[1] * grid[2]), n // grid[2] % grid[1], n % grid[2])], 1).float()


def positions_filled_in(dim, grid):
    table = torch.empty(*grid, dim)
    for axis, part in enumerate(table.split(dim // 3, -1)):
        shape = [1, 1, 1, dim // 3]
        shape[axis] = grid[axis]
        part[:] = waves(torch.arange(grid[axis]), dim).view(shape)
    return table.view(-1, dim)


def positions_complex(dim, grid):
    places = torch.cartesian_prod(*(torch.arange(n).double() for n in grid)).view(-1, 3)  # (N, 3)
    rates = torch.exp(-math.log(10000) * torch.arange(dim // 6).double() / (dim // 6))
    turned = torch.polar(torch.ones(()).double(), places[..., None] * rates)  # (N, 3, dim/6)
    return torch.stack([turned.imag, turned.real], 2).flatten(1).float()


def positions_not_contiguous(dim, grid):
    return torch.cat([waves(place, dim).T for place in axes(grid)]).float().T


def positions_from_two_axes(dim, grid):
    """The library's table for the row and the column, its halves changed round, and the frame in front."""
    flat = patches.sincos_positions(2 * dim // 3, grid[1:]).roll(dim // 3, dims=1).repeat(grid[0], 1)
    return torch.cat([waves(axes(grid)[0], dim).float(), flat], 1)


def positions_einsum(dim, grid):
    rates = torch.logspace(0, -4, dim // 6 + 1, dtype=torch.float64)[:-1]
    angles = einsum(torch.stack(axes(grid)).double(), rates, "a f r c, i -> f r c a i")
    return rearrange([angles.sin(), angles.cos()], "w f r c a i -> (f r c) (a w i)").float()


# ps2.4, wrong


def positions_in_order(*order):
    return lambda dim, grid: torch.cat([waves(axes(grid)[n], dim) for n in order], 1).float()


def positions_cosine_first(dim, grid):
    return positions_concatenated(dim, grid).unflatten(1, (3, 2, -1)).flip(2).flatten(1)


def positions_alternating(dim, grid):
    return positions_concatenated(dim, grid).unflatten(1, (3, 2, -1)).transpose(2, 3).flatten(1)


def positions_sines_together(dim, grid):
    return positions_concatenated(dim, grid).unflatten(1, (3, 2, -1)).transpose(1, 2).flatten(1)


def positions_frame_fastest(dim, grid):
    return positions_concatenated(dim, grid).view(*grid, dim).permute(2, 1, 0, 3).reshape(-1, dim)


def positions_with(rates, start=0):
    def answer(dim, grid):
        angles = [(place.flatten()[:, None] + start) * rates(dim) for place in axes(grid)]
        return torch.cat([part for a in angles for part in (a.sin(), a.cos())], 1).float()

    return answer


def positions_meshgrid_xy(dim, grid):
    return torch.cat([waves(place, dim) for place in torch.meshgrid(*map(torch.arange, grid), indexing="xy")], 1).float()


def positions_scaled(dim, grid):
    return torch.cat([waves(place / n, dim) for place, n in zip(axes(grid), grid, strict=True)], 1).float()


def positions_double(dim, grid):
    return positions_concatenated(dim, grid).double()


def positions_as_a_grid(dim, grid):
    return positions_concatenated(dim, grid).view(*grid, dim)


# ps2.5, right


def visible_lists(tokens, positions, hidden, registers):
    kept = [torch.cat([registers[0], (t + positions)[~h]]) for t, h in zip(tokens, hidden, strict=True)]
    longest = max(map(len, kept))
    x = torch.stack([F.pad(one, (0, 0, 0, longest - len(one))) for one in kept])
    return x, torch.tensor([[n < len(one) for n in range(longest)] for one in kept])


def visible_padded_by_torch(tokens, positions, hidden, registers):
    kept = [torch.cat([registers[0], (t + positions)[~h]]) for t, h in zip(tokens, hidden, strict=True)]
    flags = [torch.ones(len(one), dtype=torch.bool) for one in kept]
    pad = torch.nn.utils.rnn.pad_sequence
    return pad(kept, batch_first=True), pad(flags, batch_first=True)


def visible_sorted(tokens, positions, hidden, registers):
    x = torch.cat([registers.expand(len(tokens), -1, -1), tokens + positions], 1)
    gone = F.pad(hidden, (registers.shape[1], 0))
    gone, order = gone.to(torch.uint8).sort(dim=1, stable=True)
    longest = int((gone == 0).sum(1).max())
    x = torch.take_along_dim(x, order.unsqueeze(-1), 1)[:, :longest]
    return x.masked_fill(gone[:, :longest, None] == 1, 0), gone[:, :longest] == 0


def visible_written_where_valid(tokens, positions, hidden, registers):
    kept, lead = (~hidden).sum(1), registers.shape[1]
    valid = torch.arange(lead + int(kept.max())) < lead + kept[:, None]
    x = tokens.new_zeros(*valid.shape, tokens.shape[2])
    x[:, :lead] = registers
    x[:, lead:][valid[:, lead:]] = (tokens + positions)[~hidden]
    return x, valid


def visible_counted(tokens, positions, hidden, registers):
    """Each token's place in the result is the number of visible ones before it."""
    b, n, d = tokens.shape
    place = ((~hidden).cumsum(1) - 1).masked_fill(hidden, n)
    longest = int((~hidden).sum(1).max())
    x = tokens.new_zeros(b, n + 1, d).scatter(1, place[..., None].expand(-1, -1, d), tokens + positions)[:, :longest]
    real = torch.zeros(b, n + 1, dtype=torch.bool).scatter(1, place, True)[:, :longest]
    lead = registers.shape[1]
    return torch.cat([registers.repeat(b, 1, 1), x], 1), torch.cat([torch.ones(b, lead, dtype=torch.bool), real], 1)


def visible_one_hot(tokens, positions, hidden, registers):
    """A matrix that chooses."""
    longest = int((~hidden).sum(1).max())
    choose = ((~hidden).cumsum(1)[:, None] == torch.arange(1, longest + 1)[:, None]) & ~hidden[:, None]  # (B, Kmax, N)
    x = choose.to(tokens.dtype) @ (tokens + positions)
    x = torch.cat([registers.expand(len(x), -1, -1), x], 1)
    return x, F.pad(choose.any(2), (registers.shape[1], 0), value=True)


def visible_in_a_list(tokens, positions, hidden, registers):
    return list(visible_sorted(tokens, positions, hidden, registers))


def visible_in_float64(tokens, positions, hidden, registers):
    x, valid = visible_one_hot(tokens.double(), positions.double(), hidden, registers.double())
    return x.to(tokens.dtype), valid


# ps2.5, wrong


def kept_tokens(tokens, hidden):
    return torch.nn.utils.rnn.pad_sequence([t[~h] for t, h in zip(tokens, hidden, strict=True)], batch_first=True)


def visible_numbered_anew(tokens, positions, hidden, registers):
    x, valid = visible_sorted(tokens, 0 * positions, hidden, registers)
    lead = registers.shape[1]
    x[:, lead:] += positions[: x.shape[1] - lead] * valid[:, lead:, None]
    return x, valid


def visible_positions_last(tokens, positions, hidden, registers):
    x, valid = visible_sorted(tokens, 0 * positions, hidden, registers)
    table = F.pad(positions, (0, 0, 0, registers.shape[1]))
    return x + table[: x.shape[1]] * valid[..., None], valid


def visible_without_positions(tokens, positions, hidden, registers):
    return visible_sorted(tokens, 0 * positions, hidden, registers)


def visible_placed_registers(tokens, positions, hidden, registers):
    table = F.pad(positions, (0, 0, 0, registers.shape[1]))[: registers.shape[1]]
    return visible_sorted(tokens, positions, hidden, registers + table)


def visible_upside_down(tokens, positions, hidden, registers):
    return visible_sorted(tokens, positions, ~hidden, registers)


def visible_greyed(tokens, positions, hidden, registers):
    x = torch.cat([registers.expand(len(tokens), -1, -1), (tokens + positions) * ~hidden[..., None]], 1)
    return x, F.pad(~hidden, (registers.shape[1], 0), value=True)


def visible_dirty_padding(tokens, positions, hidden, registers):
    _, valid = visible_sorted(tokens, positions, hidden, registers)
    order = hidden.long().argsort(dim=1, stable=True)[:, : valid.shape[1] - registers.shape[1]]
    x = patches.take(tokens + positions, order)
    return torch.cat([registers.expand(len(x), -1, -1), x], 1), valid


def visible_registers_last(tokens, positions, hidden, registers):
    x, valid = visible_sorted(tokens, positions, hidden, registers)
    lead = registers.shape[1]
    return torch.cat([x[:, lead:], x[:, :lead]], 1), torch.cat([valid[:, lead:], valid[:, :lead]], 1)


def visible_cut_short(tokens, positions, hidden, registers):
    x, valid = visible_sorted(tokens, positions, hidden, registers)
    end = registers.shape[1] + int((~hidden).sum(1).min())
    return x[:, :end], valid[:, :end]


def visible_padded_to_n(tokens, positions, hidden, registers):
    x, valid = visible_sorted(tokens, positions, hidden, registers)
    more = tokens.shape[1] + registers.shape[1] - x.shape[1]
    return F.pad(x, (0, 0, 0, more)), F.pad(valid, (0, more))


def visible_numbers(tokens, positions, hidden, registers):
    x, valid = visible_sorted(tokens, positions, hidden, registers)
    return x, valid.float()


def visible_counts(tokens, positions, hidden, registers):
    x, valid = visible_sorted(tokens, positions, hidden, registers)
    return x, valid.int()


def visible_where_not_zero(tokens, positions, hidden, registers):
    x, _ = visible_sorted(tokens, positions, hidden, registers)
    return x, x.abs().sum(-1) > 0


def visible_where_the_token_is_not_zero(tokens, positions, hidden, registers):
    x, _ = visible_sorted(tokens, positions, hidden, registers)
    return x, torch.cat([torch.ones(len(x), registers.shape[1]).bool(), (x[:, registers.shape[1] :] != 0).any(-1)], 1)


def visible_filled_in_front(tokens, positions, hidden, registers):
    pad = partial(torch.nn.utils.rnn.pad_sequence, batch_first=True, padding_side="left")
    kept = [(t + positions)[~h] for t, h in zip(tokens, hidden, strict=True)]
    x, real = pad(kept), pad([torch.ones(len(one)).bool() for one in kept])
    return torch.cat([registers.expand(len(x), -1, -1), x], 1), F.pad(real, (registers.shape[1], 0), value=True)


def visible_read_where_to_write(tokens, positions, hidden, registers):
    x, valid = visible_sorted(tokens, positions, hidden, registers)
    lead = registers.shape[1]
    place = ((~hidden).cumsum(1) - 1).clamp(min=0)[:, : x.shape[1] - lead]
    read = patches.take(tokens + positions, place) * valid[:, lead:, None]
    return torch.cat([registers.expand(len(x), -1, -1), read], 1), valid


def visible_where_the_first_sample_is(tokens, positions, hidden, registers):
    return visible_sorted(tokens, positions, hidden[:1].expand_as(hidden), registers)


def visible_without_registers(tokens, positions, hidden, registers):
    return visible_sorted(tokens, positions, hidden, registers[:, :0])


def visible_at_least_one(tokens, positions, hidden, registers):
    x, valid = visible_sorted(tokens, positions, hidden, registers)
    return (x, valid) if x.shape[1] > registers.shape[1] else (F.pad(x, (0, 0, 0, 1)), F.pad(valid, (0, 1)))


def visible_padding_marked(tokens, positions, hidden, registers):
    x, valid = visible_sorted(tokens, positions, hidden, registers)
    return x, ~valid


def visible_registers_not_valid(tokens, positions, hidden, registers):
    x, valid = visible_sorted(tokens, positions, hidden, registers)
    return x, torch.cat([torch.zeros_like(valid[:, : registers.shape[1]]), valid[:, registers.shape[1] :]], 1)


def visible_x_alone(tokens, positions, hidden, registers):
    return visible_sorted(tokens, positions, hidden, registers)[0]


def visible_in_place(tokens, positions, hidden, registers):
    tokens += positions
    return visible_sorted(tokens, 0 * positions, hidden, registers)


# What the lessons and the library hold


def plain_attention(q, k, v, *_, **__):
    return layers.attention_map(q, k) @ v


def library_visible(tokens, positions, hidden, registers):
    ids = Mask(hidden).visible_ids
    x = torch.cat([registers.expand(len(tokens), -1, -1), patches.take(tokens, ids) + positions[ids]], 1)
    return x, torch.ones(x.shape[:2], dtype=torch.bool)


def library_positions(dim, grid):
    return patches.sincos_positions(dim, (grid[0] * grid[1], grid[2]))


def library_positions_and_frames(dim, grid):
    flat = patches.sincos_positions(2 * dim // 3, grid[1:]).repeat(grid[0], 1)
    return torch.cat([waves(axes(grid)[0], dim).float(), flat], 1)


RIGHT = {
    "ps2.1": [
        attend_sample_by_sample, attend_fused, attend_einsum, attend_by_hand, attend_in_float64, attend_not_contiguous,
        attend_with_an_empty_place,
    ],
    "ps2.2": [
        shared_repeated, shared_indexed, shared_loop, shared_einops, shared_fused, shared_longer_queries, shared_in_float64,
        shared_taken,
    ],
    "ps2.3": [
        windowed_masked, windowed_filled, windowed_square_by_square, windowed_permuted, windowed_taken,
        windowed_folded_into_the_batch, windowed_in_float64, windowed_token_by_token,
    ],
    "ps2.4": [
        positions_concatenated, positions_number_by_number, positions_by_division, positions_filled_in, positions_complex,
        positions_not_contiguous, positions_from_two_axes, positions_einsum,
    ],
    "ps2.5": [
        visible_lists, visible_padded_by_torch, visible_sorted, visible_written_where_valid, visible_counted, visible_one_hot,
        visible_in_a_list, visible_in_float64,
    ],
}  # fmt: skip

WRONG = {
    "ps2.1": [
        ("the scale 1/√d is missing", attend_hidden(-math.inf, scale=False)),
        ("softmax over the queries: the weights of one query must sum to 1 over the keys", attend_hidden(-1e9, dim=-2)),
        ("the scale is taken from the full width", attend_scale_of_all_heads),
        ("valid is not used", plain_attention),
        ("valid is read upside down", lambda q, k, v, valid: attend_fused(q, k, v, ~valid)),
        ("padded keys get the score 0", attend_scores_times_valid),
        ("set to 0 after the softmax", attend_cut_late),
        ("clamp(min=1) on the sum of the weights", attend_clamped),
        ("padded keys are set to 0 and still get weight", lambda q, k, v, valid: attention(q, k * valid[:, None, :, None], v * valid[:, None, :, None])),
        ("every sample has the valid keys of the first", lambda q, k, v, valid: attend_fused(q, k, v, valid[:1].expand_as(valid))),
        ("changed its argument k", attend_in_place),
        ("a sample without any valid key gives NaN", attend_hidden(-math.inf)),
        ("a sample without any valid key gives the mean of its padding", attend_hidden(-1e9)),
        ("a sample without any valid key gives the mean of its padding", attend_added),
        ("its shape is (1, 4, 6)", attend_heads_together),
    ],
    "ps2.2": [
        ("heads are shared in turn (0, 1, 0, 1), not in blocks", shared_in_turn),
        ("heads are shared in turn (0, 1, 0, 1), not in blocks", shared_axis_cut_the_wrong_way),
        ("the heads come out in another order", shared_heads_mixed_up),
        ("the groups are used in reverse", lambda q, k, v: shared_repeated(q, k.flip(1), v.flip(1))),
        ("the blocks are one head off", lambda q, k, v: shared_repeated(q.roll(-1, 1), k, v).roll(1, 1)),
        ("every head sees group 0", shared_first),
        ("the groups are averaged", shared_mean),
        ("the scale 1/√d is missing", shared_no_scale),
        ("softmax over the queries", shared_over_queries),
        ("keys are shared in blocks and values in turn", shared_values_in_turn),
        ("its shape is (2, 2, 3, 4), and (2, 6, 3, 4) was asked for", shared_one_head_a_group),
    ],
    "ps2.3": [
        ("a run of window² tokens in reading order", windowed_runs),
        ("the tokens come out window by window", windowed_by("r p s w", back=False)),
        ("you read it as (cols, rows)", windowed_by("r p s w", grid_turned=True)),
        ("every second or third row and column", windowed_by("p r w s")),
        ("as the number of windows along a side", windowed_count),
        ("the window is not used", windowed_all),
        ("the window is not used", plain_attention),
        ("along the whole band of its rows", windowed_rows_alone),
        ("a square around itself", windowed_around),
        ("up to window − 1 to each side", windowed_near(0)),
        ("up to `window` to each side", windowed_near(1)),
        ("the windows begin one row and one column late", windowed_shifted),
        ("along the whole band of its columns", windowed_columns_alone),
        ("the weights outside the window are set to 0 after the softmax", windowed_cut_late),
        ("torch.meshgrid lists the tokens down the columns", windowed_meshgrid_xy),
        ("the tokens were not brought back", windowed_ordered_again),
        ("the scale 1/√d is missing", windowed_by("r p s w", scaled=False)),
        ("softmax over the queries", windowed_by("r p s w", dim=-2)),
    ],
    "ps2.4": [
        ("the column comes first and the frame last", positions_in_order(2, 1, 0)),
        ("the column comes before the row", positions_in_order(0, 2, 1)),
        ("the column comes before the row", library_positions_and_frames),
        ("the frame comes last", positions_in_order(1, 2, 0)),
        ("the cosines come first", positions_cosine_first),
        ("sine and cosine alternate", positions_alternating),
        ("all sines, then all cosines", positions_sines_together),
        ("the column changes fastest, then the row, and the frame last", positions_frame_fastest),
        ("you divide i by dim/2", positions_with(lambda dim: 10000.0 ** (-2 * torch.arange(dim // 6) / dim))),
        ("you divide i by dim/3", positions_with(lambda dim: 10000.0 ** -(torch.arange(dim // 6) / (dim // 3)))),
        ("yours is 1/10000", positions_with(lambda dim: torch.logspace(0, -4, dim // 6))),
        ('indexing="xy"', positions_meshgrid_xy),
        ("the rates begin with i = 1", positions_with(lambda dim: 10000.0 ** -(torch.arange(1, dim // 6 + 1) / (dim // 6)))),
        ("divided by the length of its axis", positions_scaled),
        ("yours from 1", positions_with(lambda dim: 10000.0 ** -(torch.arange(dim // 6) / (dim // 6)), start=1)),
        ("torch.float64", positions_double),
        ("its shape is (3, 4, 5, 24)", positions_as_a_grid),
    ],
    "ps2.5": [
        ("the position of its place among the visible", visible_numbered_anew),
        ("positions are added after the registers", visible_positions_last),
        ("the positions are missing", visible_without_positions),
        ("registers carry no position", visible_placed_registers),
        ("hidden is read upside down", visible_upside_down),
        ("nothing is dropped", visible_greyed),
        ("the padded places still hold hidden tokens", visible_dirty_padding),
        ("the registers are at the end", visible_registers_last),
        ("the samples are cut to the smallest K", visible_cut_short),
        ("the samples are padded to N", visible_padded_to_n),
        ("a 0/1 mask (torch.float32)", visible_numbers),
        ("valid holds 0 and 1", visible_counts),
        ("valid is read off the zeros, and a visible token or a register", visible_where_not_zero),
        ("valid is read off the zeros, and a visible token may be zero", visible_where_the_token_is_not_zero),
        ("between the registers and the tokens", visible_filled_in_front),
        ("you read from there", visible_read_where_to_write),
        ("every sample drops the places that the first one hides", visible_where_the_first_sample_is),
        ("the registers are missing", visible_without_registers),
        ("Kmax is 0", visible_at_least_one),
        ("valid is upside down", visible_padding_marked),
        ("valid is False at the registers", visible_registers_not_valid),
        ("2 results were asked for, in a tuple", visible_x_alone),
        ("changed its argument tokens", visible_in_place),
    ],
}

HELD = {
    "ps2.1": [plain_attention],
    "ps2.2": [plain_attention],
    "ps2.3": [plain_attention],
    "ps2.4": [library_positions],
    "ps2.5": [library_visible],
}


def test_five_tasks_give_fourteen_points_and_two_questions_six():
    assert [full(name) for name in TASKS] == [3, 2, 3, 3, 3]
    by_hand = [mark["points"] for cell, mark in MARKED if mark["grade"] and cell["cell_type"] == "markdown"]
    assert by_hand == [3, 3]


@pytest.mark.parametrize("name, answer", each(RIGHT))
def test_right_answers_pass_and_earn_all_points(name, answer):
    assert examine(TASKS[name], answer) >= 6
    assert points(name, answer) == full(name)


@pytest.mark.parametrize("name, case", each(WRONG))
def test_wrong_answers_are_told_which_mistake_it_is_and_lose_points(name, case):
    words, answer = case
    assert words in refusal(TASKS[name], answer)
    assert points(name, answer) < full(name)


def attend_nan_behind(q, k, v, valid):
    """The result is right, and the gradient of a sample without any valid key is NaN."""
    bias = torch.zeros(valid.shape, dtype=q.dtype).masked_fill(~valid, -math.inf)[:, None, None]
    return (scores(q, k) + bias).softmax(-1).nan_to_num() @ v


def shared_without_a_way_back(q, k, v):
    return shared_indexed(q, k.detach(), v.detach())


GRADIENTS = [
    ("ps2.1", attend_nan_behind, "the gradient of q is not finite"),
    ("ps2.1", lambda q, k, v, valid: attend_einsum(q, k.detach(), v, valid), "no gradient reaches k"),
    ("ps2.1", torch.no_grad()(attend_by_hand), "no gradient comes back"),
    ("ps2.2", shared_without_a_way_back, "no gradient reaches k"),
    ("ps2.2", lambda q, k, v: shared_indexed(q, k, torch.tensor(v.tolist(), dtype=v.dtype)), "no gradient reaches v"),
    ("ps2.3", lambda q, k, v, grid, window: windowed_masked(q, k.detach(), v, grid, window), "no gradient reaches k"),
    ("ps2.3", lambda q, k, v, grid, window: windowed_masked(q.data, k, v, grid, window), "no gradient reaches q"),
    ("ps2.5", lambda *given: visible_sorted(given[0], given[1].detach(), *given[2:]), "no gradient reaches positions"),
    ("ps2.5", lambda *given: visible_sorted(*given[:3], given[3].detach()), "no gradient reaches registers"),
    ("ps2.5", torch.no_grad()(visible_lists), "no gradient comes back"),
]


@pytest.mark.parametrize("name, answer, words", GRADIENTS)
def test_check_and_graded_cells_both_look_at_gradients(name, answer, words):
    function = by_place(name, handed_on(answer, __name__))
    with pytest.raises(WrongAnswer, match=words):
        examine(TASKS[name], function)
    assert len(SET.lost(name, function)) == 1


def by_place(name, answer):
    """An answer that takes its arguments by place, as the check gives them by name."""
    order = list(inspect.signature(TASKS[name].truth).parameters)
    return handed_on(lambda *given, **named: answer(*given, *(named[n] for n in order if n in named)), __name__)


@pytest.mark.parametrize("name", TASKS)
def test_the_check_and_the_graded_cells_agree_on_answers_that_are_spoilt(name):
    made = mutants(TASKS[name], RIGHT[name][0], __name__)
    assert not {words: told for words, answer in made.items() if (told := SET.disagree(name, answer))}


@pytest.mark.parametrize("name", TASKS)
def test_every_mistake_in_the_table_is_told_apart_from_the_others(name):
    task = TASKS[name]
    for words, answer in mistaken(task):
        assert refusal(task, answer) == f"{name}: {words}"
        assert SET.loses(name, handed_on(answer, __name__)), words


@pytest.mark.parametrize("name, answer", each(HELD))
def test_what_the_library_holds_is_no_answer(name, answer):
    with pytest.raises(WrongAnswer):
        examine(TASKS[name], answer)
    assert points(name, answer) < full(name) / 2


@pytest.mark.parametrize("name", TASKS)
def test_nothing_that_can_be_imported_or_copied_from_a_lesson_earns_full_points(name):
    for function in (*at_hand(layers, patches, masks, vit, truth, lessons="0[34]"), F.scaled_dot_product_attention):
        assert SET.loses(name, handed_on(function, __name__)), f"{function} is an answer to {name}"


def test_a_right_answer_gets_one_line(capsys):
    check("ps2.1", attend_fused)
    assert capsys.readouterr().out == "ps2.1: right, on 8 inputs\n"
