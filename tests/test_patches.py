"""Patches: properties, and slow loops that know nothing of the library's code."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from minimim.errors import UserError
from minimim.patches import PatchEmbed, patchify, resize_positions, sincos_positions, take, unpatchify

shapes = st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.integers(1, 5))


@given(shapes)
@settings(max_examples=40, deadline=None)
def test_unpatchify_undoes_patchify(shape):
    batch, channels, rows, cols, side = shape
    images = torch.randn(batch, channels, rows * side, cols * side)
    patches = patchify(images, side)
    assert patches.shape == (batch, rows * cols, side * side * channels)
    assert torch.equal(unpatchify(patches, side, (rows, cols)), images)


def test_patchify_reads_row_by_row_with_channels_last():
    images = torch.randn(2, 3, 6, 4)
    patches = patchify(images, 2)
    for n in range(6):
        row, col = divmod(n, 2)
        for p in range(2):
            for q in range(2):
                for c in range(3):
                    pixel = images[:, c, row * 2 + p, col * 2 + q]
                    assert torch.equal(patches[:, n, (p * 2 + q) * 3 + c], pixel)


def test_patchify_says_what_does_not_divide():
    with pytest.raises(UserError, match="32×30 .* patches of 4"):
        patchify(torch.zeros(1, 3, 32, 30), 4)


def test_unpatchify_refuses_a_grid_that_does_not_fit():
    with pytest.raises(UserError, match="3×3 grid"):
        unpatchify(torch.zeros(1, 8, 12), 2, (3, 3))


def test_patch_embedding_is_a_convolution_and_embeds_only_what_is_asked():
    embed = PatchEmbed(4, 3, 8)
    images = torch.randn(2, 3, 8, 16)
    whole = embed.proj(images).flatten(2).transpose(1, 2)  # (B, N, D)
    torch.testing.assert_close(embed(images), whole)
    ids = torch.tensor([[3, 0], [7, 5]])
    torch.testing.assert_close(embed(images, ids), take(whole, ids))


def test_patch_embedding_names_wrong_channels():
    with pytest.raises(UserError, match="1 channels, but this encoder was built for 3"):
        PatchEmbed(4, 3, 8)(torch.zeros(1, 1, 8, 8))


def test_positions_encode_the_column_first_then_the_row():
    dim, rows, cols = 16, 3, 5
    table = sincos_positions(dim, (rows, cols))
    for row in range(rows):
        for col in range(cols):
            for i in range(dim // 4):
                rate = 10000 ** (-i / (dim / 4))
                expected = [math.sin(col * rate), math.cos(col * rate), math.sin(row * rate), math.cos(row * rate)]
                got = table[row * cols + col, [i, i + 4, i + 8, i + 12]]
                torch.testing.assert_close(got, torch.tensor(expected))


def test_positions_need_a_width_that_is_a_multiple_of_four():
    with pytest.raises(UserError, match="multiple of 4, not 10"):
        sincos_positions(10, (2, 2))


def test_positions_resize_to_any_grid_and_keep_their_own():
    table = sincos_positions(8, (4, 4))
    assert resize_positions(table, (4, 4), (4, 4)) is table
    wide = resize_positions(table, (4, 4), (4, 8))
    assert wide.shape == (32, 8)
    ramp = torch.arange(4.0).repeat_interleave(4).unsqueeze(1)  # the row number, everywhere
    finer = resize_positions(ramp, (4, 4), (8, 4)).view(8, 4)
    assert torch.all(finer.diff(dim=0) > 0) and torch.allclose(finer[:, 0], finer[:, 3])


def test_take_gathers_each_sample_its_own():
    tokens = torch.randn(3, 5, 2)
    ids = torch.tensor([[4, 0], [1, 1], [2, 3]])
    for b in range(3):
        for k in range(2):
            assert torch.equal(take(tokens, ids)[b, k], tokens[b, ids[b, k]])


def test_patchify_is_unfold_in_another_order():
    images = torch.randn(2, 3, 8, 12)
    unfolded = F.unfold(images, 4, stride=4).transpose(1, 2)  # (B, N, C·P·P)
    reordered = unfolded.unflatten(2, (3, 16)).transpose(2, 3).flatten(2)  # (B, N, P·P·C)
    assert torch.equal(patchify(images, 4), reordered)
