"""The mistakes that people make in ps5.5, the stored runs: what a check says of each, and a function that makes it."""

from collections.abc import Callable

from minimim.feedback.ps5.runs import DIMENSIONAL, HEALTHY, TOTAL
from minimim.feedback.ps5.truth import told

PART = 0.3  # of the random network's number


def judging(judge: Callable) -> Callable:
    """A mistake: judge(run) → its name."""
    return lambda stored: {letter: judge(run) for letter, run in stored.items()}


def below(run: dict, name: str, part: float = PART) -> bool:
    """Whether a number is below a part of the random network's."""
    return run["trained"][name] < part * run["random"][name]


def by(std: str, rank: str) -> Callable:
    """The rule with other instruments in it."""
    return judging(lambda run: TOTAL if below(run, std, 0.25) else DIMENSIONAL if below(run, rank, 0.25) else HEALTHY)


def by_loss(run: dict) -> str:
    return TOTAL if run["loss"][-1] < 0.05 else HEALTHY


def by_loss_and_rank(run: dict) -> str:
    return TOTAL if run["loss"][-1] < 0.05 else DIMENSIONAL if below(run, "head_rank") else HEALTHY


def rank_first(run: dict) -> str:
    return DIMENSIONAL if below(run, "head_rank") else TOTAL if below(run, "head_std") else HEALTHY


def no_learning(run: dict) -> str:
    """k-NN no better than random is taken for collapse."""
    gained = run["trained"]["knn"] - run["random"]["knn"]
    return HEALTHY if gained > 2 * run["trained"]["knn_error"] else TOTAL


def fixed(run: dict) -> str:
    """Numbers that suit the six, whatever the random network gives."""
    trained = run["trained"]
    return TOTAL if trained["head_std"] < 0.1 else DIMENSIONAL if trained["head_rank"] < 5 else HEALTHY


def shut(run: dict) -> str:
    """A loss that has not fallen is taken for a collapse."""
    return TOTAL if run["loss"][-1] > 0.85 * run["loss"][0] or run["loss"][-1] < 0.05 else HEALTHY


def exchanged(run: dict) -> str:
    return {TOTAL: DIMENSIONAL, DIMENSIONAL: TOTAL, HEALTHY: HEALTHY}[told(run)]


def both_low(run: dict) -> str:
    low = below(run, "head_rank")
    return (TOTAL if below(run, "head_std") else DIMENSIONAL) if low else HEALTHY


def beside_the_first(stored: dict[str, dict]) -> dict[str, str]:
    """One random network for all runs."""
    start = next(iter(stored.values()))["random"]
    return {letter: told(run | {"random": start}) for letter, run in stored.items()}


VERDICTS = {
    "the loss decides which runs have collapsed, and it cannot: one collapsed run has a loss that stays high, and a loss may be low in a "
    "healthy one": judging(by_loss),
    "the loss tells total collapse, and it cannot: look at how much the outputs differ between images": judging(
        by_loss_and_rank
    ),
    "a loss that does not fall is taken for a collapse: it can stay where it is while the network learns, as where the target moves too": judging(
        shut
    ),
    "k-NN decides which runs have collapsed, and it cannot: features before the head can stay as good as a random network's, or become better, "
    "while the head's outputs collapse": judging(no_learning),
    "the effective rank of the head's outputs decides alone: where all outputs are nearly the same, the rank is that of the noise that is "
    "left": judging(lambda run: DIMENSIONAL if below(run, "head_rank") else HEALTHY),
    "the effective rank of the head's outputs decides alone, and names every collapse total; the standard deviation tells the two apart": judging(
        lambda run: TOTAL if below(run, "head_rank") else HEALTHY
    ),
    "the standard deviation of the head's outputs decides alone: it is as high as ever where they lie along few directions": judging(
        lambda run: TOTAL if below(run, "head_std") else HEALTHY
    ),
    "a total collapse is believed only where the effective rank is low too: the standard deviation says it alone, because the rank is then that "
    "of the noise that is left": judging(both_low),
    "all runs are compared with the random network of the first; each has its own": beside_the_first,
    "the effective rank is asked first: in a total collapse it may be low or high, so ask the standard deviation first": judging(
        rank_first
    ),
    "the features of the encoder are looked at, and not the outputs of the head, which collapse first": by("std", "rank"),
    "the standard deviation is that of the encoder's features; the outputs of the head collapse first": by(
        "std", "head_rank"
    ),
    "the effective rank is that of the encoder's features; the outputs of the head are what the loss is about": by(
        "head_std", "rank"
    ),
    "the bounds are fixed numbers; what is low depends on the architecture, so compare with the random network": judging(
        fixed
    ),
    "the two kinds of collapse are exchanged": judging(exchanged),
    "every run is called healthy": judging(lambda run: HEALTHY),
}
