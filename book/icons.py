"""The theme's icons are a script of 1.5 MB, of which a page shows a dozen: the others are left out when the site is built."""

import re
from pathlib import Path

SCRIPT = "_static/scripts/fontawesome.js"
ICON = re.compile(r'"?([\w-]+)"?:\[\d+,\d+,\[([^\]]*)\],"[^"]*",(?:"[^"]*"|\[[^\]]*\])\],?')


def used(site: Path) -> set[str]:
    """The names of the icons that pages, scripts and themes of a built site may show: what follows fa-."""
    there = [*site.rglob("*.html"), *site.glob("_static/*.js"), *site.glob("_static/scripts/*theme.js")]
    return {name for path in there for name in re.findall(r"\bfa-([a-z0-9-]+)", path.read_text(encoding="utf-8"))}


def trimmed(script: str, names: set[str]) -> str:
    """The script with the icons of these names, or with aliases among them."""

    def kept(found: re.Match) -> str:
        return found[0] if {found[1], *re.findall(r'"([\w-]+)"', found[2])} & names else ""

    return re.sub(r",\}", "}", ICON.sub(kept, script))


def trim(app, error) -> None:
    """Trim the script of the site that was built."""
    path = Path(app.outdir) / SCRIPT
    if error is None and path.exists():
        path.write_text(trimmed(path.read_text(encoding="utf-8"), used(Path(app.outdir))), encoding="utf-8")


def setup(app) -> dict:
    """For Sphinx."""
    app.connect("build-finished", trim)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
