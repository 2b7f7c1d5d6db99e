"""A wheel carries the course as well: lessons, exercises and stored results go into minimim/course. All else stands in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

COURSE = ("notebooks", "exercises", "benchmarks/results")  # what minimim work copies; never solutions
TOP = Path(__file__).parent


class WithCourse(build_py):
    """build_py, which also copies the course, but not where the package is only linked, as by pip install -e."""

    def run(self):
        """Build the package, without anything that an earlier build has left behind."""
        if self.editable_mode:
            return super().run()
        place = Path(self.build_lib, "minimim")
        shutil.rmtree(place, ignore_errors=True)
        super().run()
        for part in COURSE:
            shutil.copytree(TOP / part, place / "course" / part, ignore=shutil.ignore_patterns(".*"))


setup(cmdclass={"build_py": WithCourse})
