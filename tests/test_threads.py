"""How torch's threads wait: said before torch is imported, by the command line alone, and never over a person's own word."""

import os
import re
import subprocess
import sys
import tomllib

import pytest
from helpers import TOP

from minimim.threads import COUNT, OWN, wait_patiently


def python(*words, **environment):
    """What a fresh Python prints, in an environment without settings of its own."""
    clean = {name: value for name, value in os.environ.items() if name not in OWN}
    done = subprocess.run(
        [sys.executable, *words], env=clean | environment, capture_output=True, text=True, check=True, cwd=TOP
    )
    return done.stdout.strip()


def test_importing_the_library_sets_nothing_and_does_not_import_torch():
    code = "import os, sys, minimim; print('torch' in sys.modules, 'GOMP_SPINCOUNT' in os.environ)"
    assert python("-c", code) == "False False"
    assert python("-c", "import os, minimim.train; print('GOMP_SPINCOUNT' in os.environ)") == "False"


@pytest.mark.slow
def test_the_command_line_says_it_before_torch_is_imported():
    code = """
import os, sys
import minimim.__main__ as start
assert "torch" not in sys.modules
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(os.environ.get("GOMP_SPINCOUNT"))
sys.meta_path.insert(0, Watch())
sys.argv = ["minimim", "methods"]
start.main()
"""
    assert python("-c", code).splitlines()[0] == COUNT
    scripts = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"minimim": "minimim.__main__:main"}


@pytest.mark.parametrize("name", OWN)
def test_a_setting_of_ones_own_stays(name, monkeypatch):
    for each in OWN:
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, "17")
    wait_patiently()
    assert [os.environ.get(each) for each in OWN if each != name] == [None] and os.environ[name] == "17"


def test_make_says_the_same_to_what_it_starts():
    assert re.search(r"^export GOMP_SPINCOUNT \?= (\d+)", (TOP / "Makefile").read_text(), re.MULTILINE)[1] == COUNT
