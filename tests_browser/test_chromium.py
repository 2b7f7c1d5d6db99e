"""The browser is found, or asked for in one sentence that says what to do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from chromium import ELSEWHERE, root

SCRIPT = Path(__file__).parent / "chromium.py"


def asked(**environment: str) -> subprocess.CompletedProcess:
    """What the script says that make runs before the tests."""
    return subprocess.run([sys.executable, SCRIPT], env=os.environ | environment, capture_output=True, text=True, check=False)


def test_a_browser_that_starts_is_named():
    done = asked()
    assert done.returncode == 0 and done.stdout.startswith(("Chromium", "Google Chrome"))


@pytest.mark.skipif(any(map(shutil.which, ELSEWHERE)), reason="one is found whatever PATH says")
def test_without_one_and_without_apt_get_a_sentence_says_what_to_install_or_to_set(tmp_path):
    done = asked(PATH=str(tmp_path), MINIMIM_BROWSER="")
    assert done.returncode == 1
    assert "install Chromium" in done.stderr and "MINIMIM_BROWSER" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.skipif(not root(), reason="apt-get installs for the administrator alone")
def test_apt_get_brings_one_where_it_may(tmp_path):
    """A stand-in for apt-get, which writes down what it is asked for, and a stand-in for a browser."""
    apt_get = tmp_path / "apt-get"
    browser = f"printf '#!/bin/sh\\necho Chromium 1' > {tmp_path}/chromium; /bin/chmod +x {tmp_path}/chromium"
    apt_get.write_text(f"#!/bin/sh\necho $@ >> {tmp_path}/asked\n[ $1 = install ] && {browser}\n")
    apt_get.chmod(0o755)
    done = asked(PATH=str(tmp_path), MINIMIM_BROWSER="")
    assert done.returncode == 0 and done.stdout.endswith(f"Chromium 1, {tmp_path}/chromium\n")
    assert (tmp_path / "asked").read_text().splitlines()[0].startswith("update")
    assert (tmp_path / "asked").read_text().splitlines()[1] == "install -y -qq --no-install-recommends chromium"


@pytest.mark.parametrize(("content", "words"), [(None, "is no program"), ("#!/bin/sh\necho no display >&2\nexit 3\n", "does not start (no display)")])
def test_one_that_is_set_and_does_not_start_is_told(tmp_path, content, words):
    path = tmp_path / "browser"
    if content:
        path.write_text(content)
        path.chmod(0o755)
    done = asked(MINIMIM_BROWSER=str(path))
    assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr
