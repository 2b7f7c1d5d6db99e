"""ImageNet-1K results across papers: the data, what may be compared, what can be decided, and our own runs beside them."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from minimim.errors import UserError
from minimim.survey.catalogue import paper
from minimim.survey.questions import EFFECTS, claims, effect, gain, ranking, same_conditions
from minimim.survey.ranks import OPEN, agreement, difference
from minimim.survey.results import PROTOCOLS, checked, comparable, differences, pairs, results, rows


def one(**query):
    """The only result that a query finds."""
    (found,) = results(**query)
    return found


def test_every_result_is_of_a_paper_in_the_catalogue_and_of_its_scheme():
    for row in rows():
        assert paper(row.key).key == row.key, row
        assert paper(row.key).scheme == row.scheme, row


def test_no_measurement_stands_twice():
    what = [
        (row.key, row.variant, row.run_by, row.architecture, row.protocol, row.epochs, row.image_size, row.accuracy)
        for row in rows()
    ]
    assert [same for same, times in Counter(what).items() if times > 1] == []


def test_every_protocol_has_contrastive_and_masked_numbers_but_attention():
    for protocol in ("fine-tuned", "linear", "knn"):
        assert results(protocol=protocol, target_level="view"), protocol
        assert results(protocol=protocol, scheme="reconstruction"), protocol
    assert {row.protocol for row in rows()} == set(PROTOCOLS)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"protocol": "knm"}, "did you mean 'knn'"),
        ({"target_level": "hi"}, "Known: both, high"),
        ({"verified": "maybe"}, "remembered"),
        ({"accuracy": 0.83}, None),
        ({"accuracy": 836.0}, "in per cent"),
        ({"source": ""}, "has no source"),
        ({"key": "MAEE"}, "did you mean 'MAE'"),
    ],
)
def test_a_row_that_cannot_be_is_refused(change, says):
    row = dataclasses.replace(rows()[0], **change)
    if says is None:
        assert checked(row) is row  # 0.83 % is a bad encoder, not a bad row
        return
    with pytest.raises(UserError, match=says):
        checked(row)


def test_queries_take_names_several_values_ranges_and_whether_there_is_extra_data():
    assert {row.key for row in results(key=["mae", "iBOT"])} == {"MAE", "iBOT"}
    assert all(300 <= row.epochs <= 800 for row in results(epochs=(300, 800)))
    assert {row.epochs for row in results(epochs=300)} == {300}
    assert all(row.extra for row in results(extra=True)) and not any(row.extra for row in results(extra=False))
    assert len(results(extra=True)) + len(results(extra=False)) == len(rows())
    assert all("epochs" in row.unverified for row in results(unverified="epochs")) and results(unverified="epochs")
    assert one(key="MAE", run_by="", protocol="fine-tuned", architecture="ViT-B/16").accuracy == 83.6
    assert one(key="MAE", run_by="", protocol="fine-tuned", architecture="ViT-H/14", image_size=448).accuracy == 87.8


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"modle": "ViT"}, "did you mean 'model'"),
        ({"protocol": "linea"}, "did you mean 'linear'"),
        ({"key": "SimMM"}, "did you mean 'SimMIM'"),
    ],
)
def test_an_unknown_query_or_value_names_the_nearest(query, says):
    with pytest.raises(UserError, match=says):
        results(**query)


def test_what_is_comparable_is_alike_and_has_one_number_a_method():
    for protocol in ("fine-tuned", "linear"):
        alike = comparable(protocol=protocol)
        assert len(alike) > 10
        assert len({row.key for row in alike}) == len(alike)
        assert {(row.architecture, row.image_size, row.protocol, row.extra, row.run_by) for row in alike} == {
            ("ViT-B/16", 224, protocol, "", "")
        }
        assert all(300 <= row.epochs <= 1600 and row.verified != "remembered" for row in alike)
        assert [row.accuracy for row in alike] == sorted((row.accuracy for row in alike), reverse=True)


def test_the_number_of_a_method_is_its_authors_longest_run_and_not_its_best():
    of = {row.key: row for row in comparable(protocol="fine-tuned", rerun=True, extra=True)}
    assert (of["ColorMAE"].epochs, of["HPM"].epochs, of["BEiTv2"].epochs) == (1600, 800, 1600)
    assert (of["MAE"].run_by, of["MAE"].accuracy) == ("", 83.6)
    assert (of["A2MIM"].run_by, of["A2MIM"].accuracy) == ("", 84.2)  # openmixup's is 84.3
    assert (of["iBOT"].variant, of["iBOT"].accuracy) == ("block", 84.0)  # random masks: 84.1
    assert of["DINO"].run_by == "HIRL" and "DINO" not in {row.key for row in comparable(protocol="fine-tuned")}


def test_extra_data_remembered_numbers_and_other_epochs_come_in_only_where_asked_for():
    linear = {row.key for row in comparable(protocol="linear")}
    assert not linear & {"MILAN", "CAE", "SimCLR", "SemMAE", "MAGE"}
    assert {"MILAN", "CAE"} <= {row.key for row in comparable(protocol="linear", extra=True)}
    assert {"SemMAE", "CMAE"} <= {row.key for row in comparable(protocol="linear", remembered=True)}
    assert "MAGE" in {row.key for row in comparable(protocol="linear", image_size=256)}  # its tokens are of 256 pixels
    assert "dBOT" in {row.key for row in comparable(protocol="fine-tuned", epochs=None)}  # epochs not stated


def test_differences_name_what_keeps_two_results_apart():
    mae = one(key="MAE", run_by="", protocol="linear", architecture="ViT-B/16", variant="")
    assert differences(mae, one(key="SimMIM", run_by="", protocol="linear", architecture="ViT-B/16")) == ()
    assert differences(mae, one(key="MAE", run_by="", protocol="linear", architecture="ViT-L/16", variant="")) == ("size",)
    assert differences(mae, one(key="MAGE", protocol="linear", size="B")) == ("image_size",)
    assert differences(mae, one(key="BEiT", protocol="linear", verified="yes")) == ("extra", "epochs")
    assert differences(mae, one(key="SparK", protocol="fine-tuned", model="ResNet-101")) == (
        "model",
        "size",
        "patch",
        "protocol",
    )
    assert differences(mae, one(key="DINOv2", protocol="linear", size="B", run_by="efficient probing")) == (
        "patch",
        "extra",
        "epochs",
    )


def test_pairs_are_the_same_pretraining_judged_twice():
    found = pairs("fine-tuned", "linear", architecture="ViT-B/16")
    assert len({a.key for a, _ in found}) == len(found) > 10
    for a, b in found:
        assert (a.key, a.variant, a.run_by, a.epochs, a.image_size, a.extra) == (
            b.key,
            b.variant,
            b.run_by,
            b.epochs,
            b.image_size,
            b.extra,
        )
        assert (a.protocol, b.protocol) == ("fine-tuned", "linear")
    assert len(pairs("fine-tuned", "linear", architecture="ViT-B/16", one_each=False)) > len(found)


def test_rank_correlation_is_scipys_with_ties_too():
    stats = pytest.importorskip("scipy.stats")
    draw = np.random.default_rng(1)
    for n in (5, 8, 20):
        x, y = draw.integers(6, size=n), draw.normal(size=n)
        assert agreement(x, y).rho == pytest.approx(stats.spearmanr(x, y).statistic)
    x, y = np.arange(30) + draw.normal(size=30) * 20, np.arange(30)
    assert agreement(x, y).p == pytest.approx(stats.spearmanr(x, y).pvalue, abs=0.01)


def test_the_uncertainty_of_a_rank_correlation_shrinks_and_is_the_same_every_time():
    draw = np.random.default_rng(0)
    x = draw.normal(size=80)
    y = x + draw.normal(size=80)
    few, many = agreement(x[:10], y[:10]), agreement(x, y)
    assert few.low < few.rho < few.high and many.low < many.rho < many.high
    assert many.high - many.low < (few.high - few.low) / 2
    assert agreement(x[:10], y[:10]) == few


def test_rankings_agree_are_reversed_or_cannot_be_decided():
    assert agreement(range(8), range(8)).verdict == "the rankings agree"
    assert agreement(range(8), range(8, 0, -1)).verdict == "the rankings are reversed"
    assert agreement([1, 2, 3, 4, 5, 6], [4, 1, 6, 2, 5, 3]).verdict == OPEN
    assert agreement(range(6), [1] * 6).verdict == OPEN  # all equal: no ranking
    for n in range(5):
        assert agreement(range(n), range(n)).verdict == OPEN and f"{n} points" in str(agreement(range(n), range(n)))
    with pytest.raises(UserError, match="same things"):
        agreement([1, 2], [1, 2, 3])


def test_two_groups_differ_or_it_cannot_be_decided():
    apart = difference([83, 84, 85, 86], [61, 62, 63, 64], names=("a", "b"))
    assert apart.verdict == "a is higher" and apart.difference == 22 and 20 < apart.low < 22 < apart.high < 24
    assert difference([61, 62, 63, 64], [83, 84, 85, 86], names=("a", "b")).verdict == "b is higher"
    assert difference([1, 2, 3, 4], [2, 3, 4, 1.5]).verdict == OPEN
    assert difference([90, 91, 92], [1]).verdict == OPEN  # four numbers
    assert difference(range(80, 95), [1]).p > 0.05 and difference(range(50, 95), [1]).p < 0.05
    assert difference(range(50, 95), [1]).verdict == OPEN  # one in a group
    assert difference([90, 91, 92, 93, 94], []).verdict == OPEN and "none" in str(difference([90], []))


def test_protocols_are_ranked_over_the_methods_that_have_both():
    told = ranking("fine-tuned", "linear", extra=False)
    assert told.agreement.n == len(told.pairs) >= 10 and told.agreement.verdict == OPEN
    assert ranking("fine-tuned", "knn").agreement.n < 5 and ranking("fine-tuned", "knn").agreement.verdict == OPEN


def test_effects_say_what_moves_an_accuracy_and_what_cannot_be_decided():
    assert effect("scheme", "linear").verdict == "another scheme is higher"
    assert effect("scheme", "fine-tuned").verdict == OPEN
    assert effect("target_level", "linear").verdict == "high-level target is higher"
    assert effect("epochs", "linear").mean > 3 * effect("epochs", "fine-tuned").mean > 0
    assert effect("size", "linear").verdict == effect("size", "fine-tuned").verdict == "higher"
    assert all(effect(field, "knn").verdict == OPEN for field in EFFECTS)
    with pytest.raises(UserError, match="did you mean 'epochs'"):
        effect("epoch", "linear")


def test_a_gain_is_within_one_method_run_by_the_same_people():
    steps = gain("epochs", "linear", key="MAE", run_by="mmpretrain", architecture="ViT-B/16").steps
    assert [(a.epochs, b.epochs) for a, b, _ in steps] == [(300, 400), (400, 800), (800, 1600)]
    assert [round(points, 2) for *_, points in steps][1:] == [2.6, 2.0]
    assert round(steps[0][2], 2) == 4.1  # 1.7 points by a third of the epochs more: less than half a doubling
    for field, same in (("epochs", "size"), ("size", "epochs")):
        for a, b, _ in gain(field, "fine-tuned").steps:
            assert (a.key, a.variant, a.run_by, getattr(a, same)) == (b.key, b.variant, b.run_by, getattr(b, same))


def test_the_claim_is_judged_by_protocol():
    linear, knn, tuned = claims()
    assert [claim.protocol for claim in (linear, knn, tuned)] == ["linear", "knn", "fine-tuned"]
    assert linear.verdict == "not borne out" and {row.key for row in linear.views} == {"DINO", "MoCov3"}
    assert knn.verdict == OPEN and knn.masked == ()
    assert tuned.verdict == OPEN and len(tuned.views) == 1
    for claim in (linear, knn, tuned):
        groups = [{row.key for row in group} for group in (claim.masked, claim.views, claim.between)]
        assert not groups[0] & groups[1] and not groups[1] & groups[2] and not groups[0] & groups[2]
        assert "iBOT" in groups[2]
        assert all(a.run_by == b.run_by != "" and a.architecture == b.architecture for a, b in claim.same_code)
    assert any((a.key, b.key, a.accuracy, b.accuracy) == ("MAE", "MoCov3", 60.8, 76.9) for a, b in linear.same_code)
    assert {a.key for a, _ in knn.same_code} == {"MAE", "SimMIM", "MaskFeat"} and {b.key for _, b in knn.same_code} == {"DINO", "MoCov3"}
    assert max(a.accuracy for a, _ in knn.same_code) + 30 < min(b.accuracy for _, b in knn.same_code)
    assert [claim.verdict for claim in claims(strict=True)] == [OPEN, OPEN, OPEN]  # one contrastive method with negatives
    assert claims(rerun=True)[2].verdict == "borne out"  # what a single table with low fine-tuned numbers would make of it


TABLE = "data,method,seed,stage,steps,linear,best_linear,knn,variant\n"


def test_our_runs_stand_beside_the_papers(tmp_path):
    accuracies = {"mae": 0.42, "simmim": 0.40, "crossmae": 0.41, "siameseim": 0.50, "ibot": 0.55, "latent_mim": 0.45}
    lines = [f"scenes,{method},0,whole,600,{accuracy},,{accuracy},\n" for method, accuracy in accuracies.items()]
    lines += [
        "scenes,mae,1,whole,600,0.44,,,\n",  # another seed: the mean counts
        "scenes,mae,0,whole,2400,0.99,,,\n",  # longer
        "scenes,simmim,0,whole,600,0.99,,,lr\n",  # changed
        "scenes,simmim,0,try,300,0.99,,,\n",
        "scenes,random init,0,floor,,0.38,,,\n",
    ]
    path = tmp_path / "methods.csv"
    path.write_text(TABLE + "".join(lines))
    found = same_conditions(path)
    assert [method for method, _, _ in found.pairs] == ["ibot", "siameseim", "latent_mim", "mae", "crossmae", "simmim"]
    assert {method: round(mine, 1) for method, mine, _ in found.pairs}["mae"] == 43.0
    assert {method: row.accuracy for method, _, row in found.pairs}["mae"] == 68.0
    assert found.agreement.rho == 1 and found.agreement.verdict == "the rankings agree" and found.note == ""
    assert any("scenes" in line for line in found.differs) and any("600 steps" in line for line in found.differs)
    assert same_conditions(path, ours="knn", theirs="knn").agreement.verdict == OPEN


def test_our_runs_on_other_data_or_beside_ones_in_bf16_do_not_count(tmp_path):
    head = "data,method,seed,stage,steps,linear,knn,precision,variant\n"
    mae = ["scenes,mae,0,whole,600,0.30,,bf16,", "scenes,mae,0,whole,600,0.40,,fp32,", "fashion,mae,0,whole,300,0.90,,bf16,"]
    path = tmp_path / "methods.csv"
    path.write_text(head + "\n".join(mae) + "\n")
    ((method, mine, _),) = same_conditions(path).pairs
    assert method == "mae" and round(mine, 1) == 30.0 and any("600 steps" in line for line in same_conditions(path).differs)


def test_without_our_table_one_sentence_says_so(tmp_path):
    found = same_conditions(tmp_path / "methods.csv")
    assert found.pairs == () and found.agreement.verdict == OPEN
    assert "methods.csv is not there" in found.note and "python benchmarks/methods.py" in found.note


def test_a_table_or_a_column_that_does_not_fit_is_refused(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="no whole runs"):
        same_conditions(path)
    with pytest.raises(UserError, match="did you mean 'linear'"):
        same_conditions(path, ours="linaer")
