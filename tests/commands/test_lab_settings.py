"""What `minimim lab` sets in JupyterLab: as Jupyter itself reads it, and overruled by the learner's own settings."""

import json
import os
import subprocess
import sys

import pytest

from minimim.commands import lab
from minimim.commands.lab import SETTINGS, Lab, quiet

NOTICE, NBGRADER, FORMGRADER = "@jupyterlab/apputils-extension:notification", "@jupyter/nbgrader", "nbgrader.server_extensions.formgrader"
ASK = f"""
import json
from jupyter_core.paths import jupyter_config_path
from jupyter_server.extension.config import ExtensionConfigManager
from jupyterlab.commands import get_app_dir
from jupyterlab_server.config import get_static_page_config
from jupyterlab_server.settings_utils import get_settings
from jupyter_core.paths import jupyter_config_dir
app = get_app_dir()
news = get_settings(app + "/settings", app + "/schemas", jupyter_config_dir() + "/lab/user-settings", {NOTICE!r})[0]
print(json.dumps([news["settings"].get("fetchNews", news["schema"]["properties"]["fetchNews"]["default"]),
                  get_static_page_config(level="all").get("disabledExtensions", {{}}).get({NBGRADER!r}),
                  ExtensionConfigManager(read_config_path=jupyter_config_path()).get_jpserver_extensions().get({FORMGRADER!r})]))
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The folder of somebody's own settings."""
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    monkeypatch.delenv("JUPYTER_CONFIG_PATH", raising=False)
    return tmp_path


def asked(environment: dict) -> list:
    """What Jupyter makes of an environment: news, whether nbgrader's panels are left out, whether its pages for teachers are there."""
    return json.loads(subprocess.run([sys.executable, "-c", ASK], env=os.environ | environment, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
def test_jupyter_takes_them_from_the_folder_and_from_nowhere_else(home):
    assert asked(quiet()) == ["false", True, False]
    assert asked({})[:2] == ["none", None]  # what jupyter lab says without minimim
    assert list(home.iterdir()) == []


@pytest.mark.slow
def test_what_the_learner_has_set_overrules_them(home):
    own = {
        f"lab/user-settings/{NOTICE.replace(':', '/')}.jupyterlab-settings": {"fetchNews": "true"},
        "labconfig/page_config.json": {"disabledExtensions": {NBGRADER: False}},
        "jupyter_server_config.json": {"ServerApp": {"jpserver_extensions": {FORMGRADER: True}}},
    }
    for name, content in own.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(json.dumps(content))
    assert asked(quiet()) == ["true", False, True]


def test_the_folder_comes_after_those_that_are_asked_for_already(home, monkeypatch):
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/theirs")
    assert quiet() == {"JUPYTER_CONFIG_PATH": os.pathsep.join(["/theirs", str(home), str(SETTINGS)])}


def test_lab_starts_jupyterlab_with_them_in_the_work_folder(home, tmp_path, monkeypatch):
    started = {}
    monkeypatch.setattr(lab.Work, "run", lambda self: None)
    monkeypatch.setattr(lab.subprocess, "run", lambda command, env, check: started.update(command=command, env=env) or subprocess.CompletedProcess(command, 3))
    assert Lab(str(tmp_path / "work")).run() == 3
    assert started["command"] == [sys.executable, "-m", "jupyterlab", "--log-level=WARN", str(tmp_path / "work")]
    assert started["env"]["JUPYTER_CONFIG_PATH"].endswith(str(SETTINGS)) and started["env"]["PATH"] == os.environ["PATH"]
