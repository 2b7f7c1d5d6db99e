"""Charts and tables: every number that is given stands on them, with its error and its baseline."""

import pytest
from drawn import check

from minimim.errors import UserError
from minimim.show import Table, bars, curves


def written(shown):
    shown.figure.draw_without_rendering()
    axes = shown.figure.axes[0]
    return [text.get_text() for text in axes.texts] + [label.get_text() for label in axes.get_yticklabels()]


def test_bars_carry_their_numbers_errors_and_baselines():
    shown = bars({"MAE": (0.656, 0.008), "other": (0.5, 0.0)}, floors={"raw pixels": 0.478}, label="accuracy (± standard error)", alt="accuracy of two probes and of raw pixels")
    check(shown)
    assert {"0.656 ± 0.008", "0.500", "0.478", "MAE", "other", "raw pixels"} <= set(written(shown))
    axes = shown.figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.656, 0.5, 0.478] and axes.get_xlabel() == "accuracy (± standard error)"
    assert len({bar.get_facecolor() for bar in axes.patches}) == 2  # baselines are grey


def test_a_bar_that_rounds_to_zero_has_no_minus():
    shown = bars({"just below": -0.001, "below": -0.02}, alt="two bars, both of them below zero", label="difference", digits=2)
    assert [text.get_text() for text in shown.figure.axes[0].texts] == ["0.00", "-0.02"]


def test_curves_have_names_axes_and_baselines():
    shown = curves({"MAE": ([0, 1], [3, 2]), "SimMIM": ([0, 1], [2, 1], [0.1, 0.1])}, across="step", up="loss", floors={"mean guess": 2.5}, alt="two losses that fall with the steps", log="y")
    check(shown)
    axes = shown.figure.axes[0]
    assert {text.get_text() for text in axes.get_legend().get_texts()} == {"MAE", "SimMIM", "mean guess"}
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_yscale()) == ("step", "loss", "log")
    with pytest.raises(UserError, match="at most 7"):
        curves({str(n): ([0], [0]) for n in range(8)}, across="x", up="y", alt="too many lines for colours")


def test_a_table_says_the_same_as_text_and_as_html():
    table = Table(["method", "accuracy"], [["mae", 0.45678], ["raw & <pixels>", 1]])
    assert repr(table) == "method          accuracy\nmae                0.457\nraw & <pixels>         1"
    assert "0.457" in table._repr_html_() and "raw &amp; &lt;pixels&gt;" in table._repr_html_()


def test_the_numbers_along_an_axis_can_be_chosen():
    shown = curves({"tokens": ([8, 16, 32], [784, 196, 49])}, across="patch size", up="how many", log="xy", ticks=[8, 16, 32], alt="tokens against the patch size")
    axes = shown.figure.axes[0]
    shown.figure.draw_without_rendering()
    assert [label.get_text() for label in axes.get_xticklabels()] == ["8", "16", "32"] and len(axes.xaxis.get_minorticklocs()) == 0


def test_two_charts_can_have_one_scale():
    shown = [curves({"a line": ([0, 1], [0, top])}, across="x", up="y", limits=(0, 9), alt="a line that climbs") for top in (1, 8)]
    assert {each.figure.axes[0].get_ylim() for each in shown} == {(0, 9)}


def test_bars_of_two_kinds_take_turns_and_their_numbers_stand_clear_of_the_errors():
    shown = bars({"a, one": (0.5, 0.1), "a, other": (-0.02, 0.1), "b, one": 0.4}, label="R²", alt="three bars of two kinds in turn", turns=2)
    check(shown)
    axes = shown.figure.axes[0]
    one, other, again = (bar.get_facecolor() for bar in axes.patches)
    assert one == again != other and [text.xy[0] for text in axes.texts] == pytest.approx([0.6, 0.08, 0.4])


@pytest.mark.parametrize("limits", [None, (0, 1.05)])
def test_the_numbers_at_the_ends_of_bars_stand_within_the_axes(limits):
    shown = bars({"a method with quite a long name, 2,400 steps": (1.0, 0.02), "other": 0.2}, label="accuracy", alt="two bars, one with a long name", limits=limits)
    shown.figure.draw_without_rendering()
    axes = shown.figure.axes[0]
    assert all(text.get_window_extent().x1 <= axes.get_window_extent().x1 for text in axes.texts)
    assert axes.get_xlim()[0] == 0
