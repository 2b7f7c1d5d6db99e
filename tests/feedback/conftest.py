"""What every file of tests here has."""

import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def shown(monkeypatch):
    """The pictures that are drawn; they are counted, not shown."""
    seen = []
    monkeypatch.setattr(plt, "show", lambda: seen.append(plt.gcf()))
    yield seen
    plt.close("all")
