"""The way to the packages: the network, a proxy, a company's certificate. Once all is installed, the course needs none of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile

from minimim.doctor import packages
from minimim.doctor.finding import WINDOWS, Finding, have

ASKED = "einops"  # a small package that the course needs
SET = "set " if WINDOWS else "export "
REASONS = (  # part of what pip says, as a pattern → what it means, what to do
    (r"\b407\b|proxy authentication", "the proxy asks for a name and a password",
     f"{SET}HTTPS_PROXY=http://NAME:PASSWORD@ADDRESS:PORT, with those that you use at work or at school, then begin again"),
    (r"CERTIFICATE_VERIFY_FAILED|SSLError|SSLCert", "the connection is opened on its way, by a company's proxy or an antivirus program, whose certificate Python does not know",
     f"ask your IT department for its root certificate as a file, then {SET}PIP_CERT=FILE, and begin again"),
    (r"ProxyError|Cannot connect to proxy|Tunnel connection failed", "the proxy that is set does not let it through",
     "ask for the right address; or, where you have none (at home, say), unset HTTP_PROXY and HTTPS_PROXY"),
    (r"NameResolution|getaddrinfo|Name or service not known|name resolution|nodename nor servname",
     "no network, or names of computers cannot be looked up", "connect this computer to the internet, and begin again"),
    (r"timed? ?out|refused|unreachable|NewConnectionError|reset by peer|aborted", "no answer",
     f"is there a firewall? Ask for the address of the proxy, {SET}HTTPS_PROXY=http://ADDRESS:PORT, and begin again"),
)  # fmt: skip


def index() -> Finding | None:
    """Whether pip reaches the place that packages come from. pip itself is asked, because it alone knows all of its settings."""
    if not have("pip") or os.environ.get("PIP_NO_INDEX"):
        return None
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries", "1", "--timeout", "10", "download", "--quiet", "--no-deps", ASKED]
    try:
        with tempfile.TemporaryDirectory() as place:
            done = subprocess.run(
                [*command, "--dest", place], capture_output=True, text=True, errors="replace", timeout=60, check=False, stdin=subprocess.DEVNULL
            )
    except subprocess.TimeoutExpired:
        return explained("timed out")
    except OSError as error:  # no room for the folder, say
        return explained(f"ERROR: {error}")
    return Finding(True, "packages can be fetched") if done.returncode == 0 else explained(done.stderr)


def index_if_needed() -> Finding | None:
    """The same, where a package is missing."""
    return None if packages.ready() else index()


def explained(said: str) -> Finding:
    """What pip's words mean."""
    for pattern, meaning, advice in REASONS:
        if re.search(pattern, said, re.IGNORECASE):
            return Finding(False, f"packages cannot be fetched: {meaning}", advice)
    line = next((line for line in reversed(said.splitlines()) if line.startswith("ERROR")), "pip gave no reason")
    return Finding(False, f"packages cannot be fetched ({line})", "pip config list shows what pip was told about where packages are: is that still right?")
