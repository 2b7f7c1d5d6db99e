"""minimim doctor"""

from dataclasses import dataclass

from minimim import doctor
from minimim.config import option


@dataclass
class Doctor:
    """Check whether this computer has what the course needs, and say what to do about what is missing. Exits with 1 when
    something needed is missing."""

    before: bool = option(False, "check only what the set-up itself needs, before anything is installed")

    def run(self) -> int:
        """One line for each thing."""
        return doctor.run(doctor.BEFORE if self.before else doctor.AFTER)
