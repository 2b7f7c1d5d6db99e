"""The doctor: a line for each thing, what to do about it, and an exit code."""

from importlib import import_module

import pytest

from minimim.commands import Doctor, doctor
from minimim.commands.doctor import Finding


def test_on_a_machine_that_runs_these_tests_nothing_needed_is_missing(capsys):
    assert Doctor().run() == 0
    told = capsys.readouterr().out
    assert told.count("[ok]") == len(doctor.LOOKS) and "kernel of Jupyter" in told and "bundled images" in told


@pytest.mark.parametrize("needed, code", [(True, 1), (False, 0)])
def test_what_is_missing_comes_with_what_to_do(capsys, monkeypatch, needed, code):
    monkeypatch.setattr(doctor, "LOOKS", (lambda: Finding(False, "a hammer", "buy a hammer", needed),))
    assert Doctor().run() == code
    assert "[missing] a hammer" in (told := capsys.readouterr().out) and "buy a hammer" in told


def test_damaged_images_a_wrong_python_and_a_locked_folder_are_found(monkeypatch):
    monkeypatch.setattr(import_module("minimim.data.fashion"), "SHA256", "0" * 64)
    monkeypatch.setattr(doctor, "PYTHONS", ((2, 7), (2, 8)))
    monkeypatch.setattr(doctor.tempfile, "TemporaryDirectory", lambda dir: (_ for _ in ()).throw(OSError("locked")))
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    for look in (doctor.images, doctor.python, doctor.writing, doctor.notebooks):
        assert not look().fine and look().advice


@pytest.mark.parametrize("module", ["fashion", "photos"])
def test_each_bundle_that_is_damaged_is_found(monkeypatch, module):
    assert doctor.images().fine and "fashion-mnist-6000.npz and photos-6.webp" in doctor.images().what
    monkeypatch.setattr(import_module(f"minimim.data.{module}"), "SHA256", "0" * 64)
    assert not doctor.images().fine and "damaged" in doctor.images().advice


def test_a_kernel_of_another_python_is_found(monkeypatch, tmp_path):
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    manager = type("Manager", (), {"get_kernel_spec": lambda self, name: type("Spec", (), {"argv": [str(other)]})()})
    monkeypatch.setattr("jupyter_client.kernelspec.KernelSpecManager", manager)
    assert not doctor.kernel().fine and "which has no minimim" in doctor.kernel().what
