"""What is installed, in all the places that say so: they must agree."""

import re
import shutil
import subprocess
import sys
import tomllib
from itertools import chain

import pytest
from helpers import TOP
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import minimim

PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
PLATFORMS = [("linux", "Linux", "x86_64"), ("darwin", "Darwin", "arm64"), ("win32", "Windows", "AMD64")]


def lock(name):
    """The lines of a lock file as requirements."""
    lines = (TOP / name).read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def resolved(name, python, platform):
    """What a lock file installs on one platform: {package: version}."""
    system, called, machine = platform
    place = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": system}
    place |= {"platform_system": called, "platform_machine": machine, "os_name": "nt" if system == "win32" else "posix"}
    found = {}
    for line in lock(name):
        if line.marker is None or line.marker.evaluate(default_environment() | place):
            key = canonicalize_name(line.name)
            assert key not in found, f"{key} twice in {name} for Python {python} on {called}"
            found[key] = str(line.specifier).removeprefix("==")
    return found


@pytest.mark.parametrize("platform", PLATFORMS, ids=[p[1] for p in PLATFORMS])
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_locks_give_one_version_within_the_range_of_everything_that_is_asked_for(python, platform):
    asked = {
        "requirements.lock": PROJECT["dependencies"] + PROJECT["optional-dependencies"]["lab"],
        "requirements-test.lock": [*PROJECT["dependencies"], *chain.from_iterable(PROJECT["optional-dependencies"].values())],
    }
    for name, wanted in asked.items():
        have = resolved(name, python, platform)
        for requirement in map(Requirement, wanted):
            version = have.get(canonicalize_name(requirement.name))
            assert version and requirement.specifier.contains(version), f"{name}: {requirement} is {version}"


@pytest.mark.parametrize("platform", PLATFORMS, ids=[p[1] for p in PLATFORMS])
def test_learners_and_tests_get_the_same_versions(platform):
    small, large = (resolved(name, "3.12", platform) for name in ("requirements.lock", "requirements-test.lock"))
    assert small.items() <= large.items()
    assert not {"timm", "transformers", "nbgrader", "hypothesis", "pytest"} & set(small)


def test_locks_name_exact_versions_and_no_place():
    for name in ("requirements.lock", "requirements-test.lock"):
        for line in lock(name):
            assert re.fullmatch(r"==[\w.+!]+", str(line.specifier)) and line.url is None, line
        assert "://" not in (TOP / name).read_text()


def test_conda_gives_python_alone_and_the_project_the_rest():
    text = (TOP / "environment.yml").read_text()
    entries = re.findall(r"^\s*- (.*)$", text, re.MULTILINE)
    assert entries == ["conda-forge", "python=3.12", "pip", "pip:", "--constraint requirements.lock", "--editable .[lab]"]
    low, high = re.findall(r"3\.\d+", PROJECT["requires-python"])
    assert low == "3.11" and high == "3.14"
    python = entries[1].removeprefix("python=")
    assert SpecifierSet(PROJECT["requires-python"]).contains(python)
    assert resolved("requirements.lock", python, PLATFORMS[0])["torch"]


@pytest.mark.slow
def test_the_part_of_conda_that_is_for_pip_is_what_pip_can_read(tmp_path):
    """conda writes it into a file beside environment.yml, as here, and hands that to pip."""
    lines = re.findall(r"^ {6}- (.*)$", (TOP / "environment.yml").read_text(), re.MULTILINE)
    for name in ("pyproject.toml", "requirements.lock", "README.md", "LICENSE"):
        shutil.copy(TOP / name, tmp_path)
    (tmp_path / "minimim").mkdir()
    shutil.copy(TOP / "minimim" / "__init__.py", tmp_path / "minimim")  # which has the version
    (tmp_path / "condaenv.requirements.txt").write_text("\n".join(lines))
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--no-index", "--no-build-isolation", "-r", "condaenv.requirements.txt"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert f"Would install minimim-{minimim.__version__}" in done.stdout, done.stderr


def test_python_versions_are_the_same_everywhere():
    from minimim.doctor.pythons import VERSIONS

    assert PROJECT["requires-python"] == ">={}.{},<{}.{}".format(*VERSIONS[0], *VERSIONS[1])
    assert "(3, 11) <= sys.version_info < (3, 14)" in (TOP / "Makefile").read_text()


def test_bundled_files_are_packed_and_the_images_carry_their_licence():
    assets = {path.name for path in (TOP / "minimim" / "assets").iterdir()}
    assert {"fashion-mnist-6000.npz", "FASHION-MNIST-LICENSE.txt", "photos-6.webp", "PHOTOS-LICENSE.txt"} <= assets
    assert "MIT License" in (TOP / "minimim/assets/FASHION-MNIST-LICENSE.txt").read_text()
    assert "Apache License" in (TOP / "LICENSE").read_text()


def test_every_bundled_file_is_in_the_package():
    patterns = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["minimim"]
    packed = {path for pattern in patterns for path in (TOP / "minimim").glob(pattern)}
    left_out = [str(path) for path in (TOP / "minimim" / "assets").rglob("*") if path.is_file() and path not in packed]
    assert not left_out and any(path.name == "papers.csv" for path in packed)


def test_continuous_integration_does_what_a_person_does():
    script = (TOP / ".ci" / "run").read_text().splitlines()
    assert script[-1] == "make test"
