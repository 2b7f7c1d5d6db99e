"""Each fault of a set-up that the doctor knows, brought about or pretended: it is found, explained, and has its remedy."""

import os
import subprocess
import sys
import tempfile
from importlib import import_module
from types import SimpleNamespace

import pytest

from minimim.doctor import computer, folder, jupyter, network, packages, pythons

GIB = 2**30


@pytest.fixture(autouse=True)
def asked_anew():
    """No test learns what another one has asked the libraries."""
    packages.answers.cache_clear()
    yield
    packages.answers.cache_clear()


def mended(found, what, advice, needed=True):
    """Whether a finding is a fault that says this, and this remedy."""
    return not found.fine and what in found.what and advice in found.advice and found.needed == needed


# Which Python


def test_a_python_that_is_too_old_is_told_how_to_take_another(monkeypatch):
    assert pythons.version().fine
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    assert mended(pythons.version(), "Python ", "make PYTHON=python3.12")
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    assert mended(pythons.version(), sys.executable, "3.11, 3.12 or 3.13")


def test_a_python_of_32_bits_and_one_for_macs_of_old(monkeypatch):
    assert pythons.build().fine
    monkeypatch.setattr(pythons, "MAC", True)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert mended(pythons.build(), "Macs with Intel processors", "use another computer")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert pythons.build().fine
    monkeypatch.setattr(pythons.struct, "calcsize", lambda kind: 4)
    assert mended(pythons.build(), "32 bits", "64-bit Python")


def outside(monkeypatch, there=True):
    """A Python that is not that of an environment; there: whether it has venv."""
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.setattr(pythons, "find_spec", lambda name: SimpleNamespace() if there else None)


def test_debian_without_venv(monkeypatch):
    outside(monkeypatch, there=False)
    assert mended(pythons.system(), "lacks venv", f"sudo apt install python3.{sys.version_info[1]}-venv")
    outside(monkeypatch)
    assert pythons.system() is None


@pytest.mark.parametrize("version, fine", [("21.0", False), ("21.2.4", False), ("21.3", True), ("26.1", True), ("9.0.1", False)])
def test_an_old_pip(monkeypatch, version, fine):
    monkeypatch.setattr(pythons, "inside", lambda: True)
    monkeypatch.setattr(pythons, "have", {"pip": version}.get)
    assert pythons.pip().fine == fine
    assert fine or mended(pythons.pip(), f"pip {version}, which is too old", "-m pip install --upgrade pip")
    outside(monkeypatch)
    monkeypatch.setattr(pythons, "inside", lambda: False)
    assert fine or not pythons.pip().needed  # .venv gets one of its own


def test_no_pip(monkeypatch):
    monkeypatch.setattr(pythons, "have", {}.get)
    monkeypatch.setattr(pythons, "inside", lambda: True)
    assert mended(pythons.pip(), "has no pip", "-m ensurepip --upgrade")
    monkeypatch.setattr(pythons, "inside", lambda: False)
    assert pythons.pip() is None


def test_a_python_that_belongs_to_the_system(monkeypatch, tmp_path):
    monkeypatch.setattr(pythons.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(pythons, "inside", lambda: False)
    assert pythons.managed() is None
    (tmp_path / "EXTERNALLY-MANAGED").touch()
    assert mended(pythons.managed(), "belongs to the system", "make setup", needed=False)
    monkeypatch.setattr(pythons, "inside", lambda: True)
    assert pythons.managed() is None


def test_two_pythons(monkeypatch, tmp_path):
    for owner, *names in (("mine", "python", "jupyter", "minimim"), ("theirs", "jupyter", "minimim")):
        (tmp_path / owner).mkdir()
        for name in names:
            (tmp_path / owner / name).write_text("#!/bin/sh\n")
            (tmp_path / owner / name).chmod(0o755)
    mine, theirs = (str(tmp_path / owner) for owner in ("mine", "theirs"))
    monkeypatch.setattr(sys, "executable", f"{mine}/python")
    monkeypatch.setenv("PATH", os.pathsep.join([theirs, mine]))
    found = pythons.others()
    assert mended(found, f"`jupyter` means {theirs}/jupyter and `minimim` means", f"{mine}/python -m minimim lab", needed=False)
    assert found.advice.endswith("activate") or "conda activate" in found.advice
    for path in (os.pathsep.join([mine, theirs]), ""):
        monkeypatch.setenv("PATH", path)
        assert pythons.others().fine


# The computer


def test_a_processor_without_avx(monkeypatch, tmp_path):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(computer, "CPUINFO", tmp_path / "cpuinfo")
    assert computer.processor() is None  # cannot be told
    for flags, fine in (("fpu sse4_2 avx2 avx512f", False), ("fpu sse4_2 avx avx2", True)):
        (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n\nprocessor\t: 1\n")
        assert computer.processor().fine == fine
    (tmp_path / "cpuinfo").write_text("flags\t\t: fpu\n")
    assert mended(computer.processor(), "no AVX instructions", "-cpu host", needed=False)
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert computer.processor() is None


def test_little_memory(monkeypatch):
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2 * GIB // 4096}.get)
    assert mended(computer.memory(), "2.0 GiB", "close other programs", needed=False)


# The folder


@pytest.mark.parametrize("gib, to_install, needed, to_run", [(0.5, False, True, False), (1.2, False, True, True), (2.0, False, False, True), (9, True, False, True)])
def test_a_full_disk(monkeypatch, gib, to_install, needed, to_run):
    monkeypatch.setattr(folder, "free", lambda place: gib)
    found = folder.room_to_install()
    assert found.fine == to_install and (found.fine or found.needed == needed) and "make setup CPU=1" in found.advice
    assert folder.room().fine == to_run and "free 1 GiB" in folder.room().advice


def test_a_small_disk_for_temporary_files(monkeypatch):
    monkeypatch.setattr(folder, "free", lambda place: 0.5)
    assert mended(folder.room_for_downloads(), "No space left on device", 'TMPDIR="$PWD/tmp" make setup', needed=False)
    monkeypatch.setattr(folder, "free", lambda place: 50)
    assert folder.room_for_downloads() is None


def test_a_disk_so_full_that_python_finds_no_place_for_temporary_files(monkeypatch):
    def nowhere():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "_get_default_tempdir", nowhere)
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert mended(folder.room_for_downloads(), "(none): 0.0 GiB", "TMPDIR", needed=False)
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    assert mended(network.index(), "No usable temporary directory found", "")


def test_a_folder_that_cannot_be_written(monkeypatch):
    def locked(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(folder.tempfile, "TemporaryDirectory", locked)
    assert mended(folder.writing(), "(Permission denied)", "do not use sudo")


@pytest.mark.parametrize(
    "place, whose",
    [("OneDrive - School/minimim", "OneDrive"), ("Library/Mobile Documents/minimim", "iCloud"), ("Dropbox/minimim", "Dropbox"), ("Google Drive/x", "Google Drive")],
)
def test_a_folder_that_a_service_copies(monkeypatch, tmp_path, place, whose):
    monkeypatch.chdir(tmp_path)
    assert folder.synchronised() is None
    (tmp_path / place).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / place)
    assert mended(folder.synchronised(), f"copied by {whose}", f"that {whose} leaves alone", needed=False)


# The libraries


def test_what_is_missing_and_what_is_too_old(monkeypatch):
    there = dict.fromkeys(packages.LEAST, "99") | {"torch": "2.5.1+cu124", "einops": None}
    monkeypatch.setattr(packages, "have", there.get)
    assert mended(packages.installed(), "not installed for this Python: einops; too old: torch 2.5.1+cu124 (needed: 2.6)", "pip install -c requirements.lock -e")
    assert packages.working() is None and packages.images() is None and packages.device() is None  # nothing to ask


@pytest.mark.parametrize(
    "torch, asked, fine",
    [("2.14.1", "torch==2.14.1", True), ("2.14.1+cpu", "torch==2.14.1", True), ("2.6.0", "torch==2.14.1", False), ("2.6.0", "torch (==2.14.1)", False), ("2.6.0", "torch", True)],
)
def test_a_torchvision_of_another_torch(monkeypatch, torch, asked, fine):
    monkeypatch.setattr(packages, "have", {"torch": torch, "torchvision": "0.29.1"}.get)
    monkeypatch.setattr(packages, "requires", lambda name: ["numpy", asked])
    assert packages.matching().fine == fine
    assert fine or mended(packages.matching(), "made for torch 2.14.1, and here is torch 2.6.0", "requirements.lock torch torchvision")


def test_a_small_pytorch_is_not_exchanged_for_the_large_one(monkeypatch):
    monkeypatch.setattr(packages, "have", {"torch": "2.13.0+cu130"}.get)
    assert "index-url" not in packages.pair() + packages.again("torch")
    monkeypatch.setattr(packages, "have", {"torch": "2.13.0+cpu"}.get)
    for advice in (packages.pair(), packages.again("torch"), packages.again("torchvision")):
        assert "--no-deps --index-url https://download.pytorch.org/whl/cpu torch torchvision" in advice


NAMES = ("numpy", "torch", "torchvision", "einops", "matplotlib", "PIL", "safetensors", "tqdm")
WORKING = "class ones:\n    def __init__(self, n): self.n = n\n    def numpy(self): return self\n    def sum(self): return self.n\n"


@pytest.fixture
def libraries(monkeypatch, tmp_path):
    """Pretends that libraries are these: name → code."""

    def pretend(**code):
        for name in NAMES:
            (tmp_path / "fake").mkdir(exist_ok=True)
            (tmp_path / "fake" / f"{name}.py").write_text(code.get(name, WORKING if name == "torch" else ""))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "fake"))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(packages, "have", lambda name: "99")
        return packages.working()

    return pretend


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, code, what, advice",
    [
        ("torchvision", "raise RuntimeError('operator torchvision::nms does not exist')", "torchvision was made for another torch", "torch torchvision"),
        ("torch", "raise OSError('libcudart.so.12: cannot open shared object file')", "some of its files are not there", "--force-reinstall torch torchvision"),
        ("torch", "raise OSError('[WinError 126] The specified module could not be found. c10.dll')", "Visual C++", "Redistributable"),
        ("torch", "class ones:\n def __init__(self, n): pass\n def numpy(self): raise RuntimeError('Numpy is not available')", "do not fit together", "pip install"),
        ("torch", "import os, signal\nos.kill(os.getpid(), signal.SIGILL)", "ended by the processor ('Illegal instruction')", "another computer"),
        ("torch", "import os\nos._exit(3)", "Python ended while it imported the libraries (exit code 3)", "--force-reinstall torch torchvision"),
        ("PIL", "raise ImportError('libjpeg.so: cannot open')", "some of its files are not there", "--force-reinstall pillow"),
        ("einops", "raise SyntaxError('one byte is wrong')", "(SyntaxError: one byte is wrong)", "--force-reinstall einops"),
    ],
)
def test_libraries_that_are_there_and_do_not_work(libraries, name, code, what, advice):
    assert mended(libraries(**{name: code}), what, advice)
    assert packages.images() is None and packages.device() is None  # nothing is known of them


@pytest.mark.slow
def test_libraries_that_work(libraries):
    assert libraries().fine


@pytest.mark.parametrize("module", ["fashion", "photos"])
def test_each_bundle_that_is_damaged_is_found(monkeypatch, module):
    asked = import_module("minimim.doctor.asked")
    assert asked.images() == "fashion-mnist-6000.npz and photos-6.webp"
    monkeypatch.setattr(import_module(f"minimim.data.{module}"), "SHA256", "0" * 64)
    with pytest.raises(ValueError, match=f"{module}.* is damaged"):
        asked.images()
    monkeypatch.setattr(packages, "answers", lambda: ({"images": {"error": f"ValueError: {module} is damaged"}}, 0, ""))
    assert mended(packages.images(), "is damaged", "get the course again")


# Jupyter


def test_no_jupyterlab(monkeypatch):
    monkeypatch.setattr(jupyter, "have", lambda name: None)
    assert mended(jupyter.notebooks(), "needed to open the lessons: jupyterlab, ipywidgets", "-e")
    assert jupyter.kernel() is None


def kernels(monkeypatch, started):
    """Jupyter has one kernel named python3, and this is what it starts."""
    manager = type("Manager", (), {"get_kernel_spec": lambda self, name: SimpleNamespace(argv=[str(started)])})
    monkeypatch.setattr("jupyter_client.kernelspec.KernelSpecManager", manager)
    return jupyter.kernel()


def test_a_kernel_of_another_python_is_found(monkeypatch, tmp_path):
    other = tmp_path / "python"
    for code, fine in ((1, False), (0, True)):
        other.write_text(f"#!/bin/sh\nexit {code}\n")
        other.chmod(0o755)
        assert kernels(monkeypatch, other).fine == fine
    assert mended(kernels(monkeypatch, tmp_path / "gone"), f"another Python, {tmp_path / 'gone'}, which has no minimim", "ipykernel install --sys-prefix")
    assert kernels(monkeypatch, "python").fine and kernels(monkeypatch, sys.executable).fine


def test_no_kernel_at_all(monkeypatch):
    def none(self, name):
        raise KeyError(name)

    monkeypatch.setattr("jupyter_client.kernelspec.KernelSpecManager", type("Manager", (), {"get_kernel_spec": none}))
    assert mended(jupyter.kernel(), "no kernel named python3", "ipykernel install")


# The network

SAID = {  # what pip writes
    "OSError('Tunnel connection failed: 407 Proxy Authentication Required')": ("asks for a name and a password", "NAME:PASSWORD"),
    "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate'))": ("certificate Python does not know", "PIP_CERT"),
    "ProxyError('Cannot connect to proxy.', NewConnectionError('Connection refused'))": ("the proxy that is set does not let it through", "unset HTTP_PROXY"),
    "NewConnectionError('Failed to establish a new connection: [Errno -2] Name or service not known')": ("no network", "connect this computer"),
    "ConnectTimeoutError('connect timeout=10')\nERROR: Read timed out.": ("no answer", "firewall"),
    "ERROR: No matching distribution found for einops": ("(ERROR: No matching distribution found for einops)", "pip config list"),
}


@pytest.mark.parametrize("said", SAID)
def test_why_packages_cannot_be_fetched(monkeypatch, said):
    asked = []
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: asked.append(command) or SimpleNamespace(returncode=1, stderr=f"WARNING: Retrying after {said}\n"))
    if said.startswith("ERROR"):
        monkeypatch.setattr(subprocess, "run", lambda command, **_: SimpleNamespace(returncode=1, stderr=said))
    assert mended(network.index(), *SAID[said])


def test_no_answer_at_all_and_no_need_to_ask(monkeypatch):
    def late(command, **_):
        raise subprocess.TimeoutExpired(command, 60)

    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    monkeypatch.setattr(subprocess, "run", late)
    assert mended(network.index(), "no answer", "firewall")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert network.index() is None


@pytest.mark.slow
def test_pip_itself_says_that_the_proxy_does_not_answer(monkeypatch):
    for name in ("HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name, value in {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1", "PIP_INDEX_URL": "https://example.invalid/simple"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    assert mended(network.index(), "the proxy that is set does not let it through", "unset HTTP_PROXY")
