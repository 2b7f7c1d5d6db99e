"""The names of minimim.show: each is there, and none makes a command wait for matplotlib."""

import subprocess
import sys

import pytest

from minimim import show


def test_every_name_is_brought_from_its_file_and_stands_in_one():
    assert len(set(show.__all__)) == len(show.__all__) == sum(len(names) for names in show.NAMES.values())
    for name in show.__all__:
        assert getattr(show, name).__module__ == f"minimim.show.{show.FILE[name]}", name
    assert set(show.__all__) <= set(dir(show))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="minimim.show has no 'galery'"):
        show.galery  # noqa: B018


def test_the_command_line_does_not_wait_for_matplotlib():
    code = "import sys, minimim.cli; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
