"""Rows of all processes: forward all of them, backward to each process its own."""

import pytest
import torch
from gathering import look_at_all, look_with_own, of_two, put_together
from torch.testing import assert_close

from minimim.processes import gathered


def test_alone_rows_stay_what_they_are():
    x = torch.randn(3, 2, requires_grad=True)
    assert gathered(x) is x


@pytest.mark.slow
def test_every_process_has_all_rows_in_the_order_of_the_processes_though_they_differ_in_number():
    for one in of_two()["look_at_all"]:
        assert one["rows"].shape == (8, 3)
        assert_close(one["rows"], look_at_all()["rows"].detach())


@pytest.mark.slow
def test_a_loss_of_all_rows_on_every_process_has_the_gradient_of_one_process():
    """Of the rows, and of a weight whose gradients are averaged, as in a training step."""
    alone, found = look_at_all(), of_two()["look_at_all"]
    assert_close(put_together(found, "gradient"), alone["gradient"])
    for one in found:
        assert_close(one["weight"], alone["weight"])
    assert alone["gradient"].abs().min() > 1e-4


@pytest.mark.slow
def test_a_loss_of_own_rows_against_all_teaches_the_rows_of_the_others_too():
    alone, found = look_with_own(), of_two()["look_with_own"]
    assert_close(put_together(found, "gradient"), alone["gradient"])
