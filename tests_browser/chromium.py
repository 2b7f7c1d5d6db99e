"""The browser that is driven: found, brought by apt-get where that may be done, or asked for in one sentence."""

import os
import shutil
import subprocess
import sys

from minimim.errors import UserError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ELSEWHERE = ("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium")
# nothing is fetched or sent: there may be no network, and a test must not wait for it
FLAGS = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync")


def root() -> bool:
    """Whether this is the administrator, for whom Chromium starts only without its sandbox."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def find() -> str | None:
    """The path of a Chromium or Chrome: MINIMIM_BROWSER, or else one that is installed. Raises UserError when MINIMIM_BROWSER names no
    program."""
    if asked := os.environ.get("MINIMIM_BROWSER"):
        if shutil.which(asked) is None:
            raise UserError(f"MINIMIM_BROWSER is {asked}, which is no program: set it to the path of Chromium or Chrome")
        return shutil.which(asked)
    return next(filter(None, map(shutil.which, (*NAMES, *ELSEWHERE))), None)


def found() -> str:
    """The path of a browser that starts, installed by apt-get first where that may be done. Raises UserError with what to do otherwise."""
    if find() is None and root() and shutil.which("apt-get"):
        print("installing Chromium by apt-get: about 100 MB to download")
        for words in (("update", "-qq"), ("install", "-y", "-qq", "--no-install-recommends", "chromium")):
            subprocess.run(["apt-get", *words], env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, stdout=subprocess.DEVNULL, check=False)
    path = find()
    if path is None:
        raise UserError("no browser was found: install Chromium (sudo apt-get install chromium) or Chrome, or set MINIMIM_BROWSER to the path of one")
    try:
        told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"{path} does not start ({error}): set MINIMIM_BROWSER to the path of another Chromium or Chrome") from error
    if told.returncode:  # such as Ubuntu's package, which only stands for a snap
        raise UserError(f"{path} does not start ({told.stderr.strip()[-200:]}): set MINIMIM_BROWSER to the path of another Chromium or Chrome")
    print(f"{told.stdout.strip()}, {path}")
    return path


if __name__ == "__main__":
    try:
        found()
    except UserError as error:
        sys.exit(f"make test-browser: {error}")
