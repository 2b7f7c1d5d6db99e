"""Each test starts from the same seed, whatever ran before it."""

import pytest
import torch


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)
