"""Do two rankings agree, and do two groups differ: with an interval, and *cannot be decided* where the numbers do not say."""

from dataclasses import dataclass

import numpy as np

from minimim.errors import UserError

LEAST = 5  # points; with fewer, nothing is decided
OPEN = "cannot be decided"


@dataclass(frozen=True)
class Agreement:
    """Spearman's rank correlation with its 95 % interval by resampling, and the chance of one as large where the order is random."""

    rho: float  # -1 to 1; nan with fewer than two different values
    low: float
    high: float
    p: float  # two-sided, by permutation
    n: int

    @property
    def verdict(self) -> str:
        """The rankings agree, are reversed, or it cannot be decided: under five points, or where chance would do it (p of 0.05 or more)."""
        if self.n < LEAST or not self.p < 0.05:
            return OPEN
        return "the rankings agree" if self.rho > 0 else "the rankings are reversed"

    def __str__(self) -> str:
        if self.n < LEAST:
            return f"{OPEN}: {self.n} points, and at least {LEAST} are needed"
        return f"rank correlation {self.rho:.2f} (95 % interval {self.low:.2f} to {self.high:.2f}, p = {self.p:.3f}, n = {self.n}): {self.verdict}"


@dataclass(frozen=True)
class Difference:
    """The mean of one group less that of another, with its 95 % interval by resampling and the chance of one as large by permutation."""

    names: tuple[str, str]
    means: tuple[float, float]
    counts: tuple[int, int]
    difference: float  # of the means, first less second
    low: float
    high: float
    p: float  # two-sided

    @property
    def verdict(self) -> str:
        """Which group is higher, or that it cannot be decided: under five points in all, under two in a group, or p of 0.05 or more."""
        if sum(self.counts) < LEAST or min(self.counts) < 2 or not self.p < 0.05:
            return OPEN
        return f"{self.names[0 if self.difference > 0 else 1]} is higher"

    def __str__(self) -> str:
        groups = ", ".join(
            f"{name}: {mean:.1f} (n = {n})" if n else f"{name}: none"
            for name, mean, n in zip(self.names, self.means, self.counts, strict=True)
        )
        if sum(self.counts) < LEAST or min(self.counts) < 2:
            return f"{groups}: {OPEN}, because at least {LEAST} numbers are needed, and two in each group"
        return f"{groups}; difference {self.difference:+.1f} (95 % interval {self.low:+.1f} to {self.high:+.1f}, p = {self.p:.3f}): {self.verdict}"


def agreement(x, y, *, resamples: int = 2000, seed: int = 0) -> Agreement:
    """How far two rankings of the same n things agree. x, y: n numbers each. Ties share their mean rank.

    The interval resamples the things (bootstrap): with few of them it is wide, and it holds for things like these. Raises UserError for
    unequal lengths.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.shape != y.shape or x.ndim != 1:
        raise UserError(f"two rankings of the same things are needed, not of shapes {x.shape} and {y.shape}")
    n, draw, nan = len(x), np.random.default_rng(seed), float("nan")
    if n < 2:
        return Agreement(nan, nan, nan, nan, n)
    rho = spearman(x[None], y[None])[0]
    chosen = draw.integers(n, size=(resamples, n))
    again = spearman(x[chosen], y[chosen])
    low, high = np.nanquantile(again, [0.025, 0.975]) if np.isfinite(again).any() else (nan, nan)
    shuffled = spearman(np.broadcast_to(x, (resamples, n)), draw.permuted(np.tile(y, (resamples, 1)), axis=1))
    return Agreement(float(rho), float(low), float(high), chance(shuffled, rho), n)


def difference(
    first, second, *, names: tuple[str, str] = ("first", "second"), resamples: int = 2000, seed: int = 0
) -> Difference:
    """How far the mean of one group of numbers lies above that of another. The permutation deals the numbers out anew to groups of these
    sizes; the interval resamples within each group."""
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    draw, nan, counts = np.random.default_rng(seed), float("nan"), (len(first), len(second))
    means = tuple(float(group.mean()) if len(group) else nan for group in (first, second))
    if min(counts) == 0:
        return Difference(names, means, counts, nan, nan, nan, nan)
    gap = means[0] - means[1]
    again = [draw.choice(group, size=(resamples, len(group))).mean(axis=1) for group in (first, second)]
    low, high = np.quantile(again[0] - again[1], [0.025, 0.975])
    dealt = draw.permuted(np.tile(np.concatenate([first, second]), (resamples, 1)), axis=1)
    shuffled = dealt[:, : counts[0]].mean(axis=1) - dealt[:, counts[0] :].mean(axis=1)
    return Difference(names, means, counts, gap, float(low), float(high), chance(shuffled, gap))


def chance(shuffled: np.ndarray, seen: float) -> float:
    """The fraction of shuffled values at least as far from 0 as the one that was seen, which counts as one of them."""
    if not np.isfinite(seen):
        return float("nan")
    return float((1 + (np.abs(shuffled) >= abs(seen) - 1e-12).sum()) / (1 + len(shuffled)))


def spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of each row of two arrays (rows, n); nan where a row of either is constant."""
    x, y = (ranks(values) - (values.shape[1] + 1) / 2 for values in (x, y))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))


def ranks(values: np.ndarray) -> np.ndarray:
    """The ranks of each row of (rows, n), from 1; equal values share their mean rank."""
    below = (values[:, None, :] < values[:, :, None]).sum(axis=2)  # (rows, n): how many are smaller
    equal = (values[:, None, :] == values[:, :, None]).sum(axis=2)  # (rows, n): itself among them
    return below + (equal + 1) / 2
