"""What is wrong with the set-up of this computer, and what to do about it: `minimim doctor`.

Everything here imports the standard library alone, and is read by Python 3.8 too. So it also runs where torch is missing or broken,
where nothing is installed yet, and where Python is too old. What needs torch is asked in a process of its own (asked.py)."""

from __future__ import annotations

from minimim.doctor import computer, folder, jupyter, network, packages, pythons
from minimim.doctor.finding import Finding
from minimim.prompt import printable

__all__ = ["AFTER", "BEFORE", "Finding", "run"]

BEFORE = (  # what the set-up itself needs
    pythons.version, pythons.build, pythons.system, pythons.pip, computer.processor, computer.memory, folder.room_to_install,
    folder.room_for_downloads, folder.writing, folder.synchronised, network.index,
)  # fmt: skip
AFTER = (  # what the course needs
    pythons.version, pythons.build, pythons.managed, pythons.pip, packages.installed, network.index_if_needed, packages.matching,
    packages.working, packages.images, packages.device, jupyter.notebooks, jupyter.kernel, pythons.others, computer.processor, computer.memory,
    folder.room, folder.writing, folder.synchronised,
)  # fmt: skip


def run(looks=AFTER) -> int:
    """Print a line for each thing, and what to do about those that are not as they should be. Returns 1 when something that is needed
    is not there, else 0. looks: functions that return a Finding, or None where there is nothing to say on this computer."""
    printable()  # a path may have letters that a code page lacks
    wrong, said = 0, set()
    for look in looks:
        found = look()
        if found is None:
            continue
        print(("[ok]   " if found.fine else "[mend] " if found.needed else "[note] ") + found.what, flush=True)
        if not found.fine:
            advice = "the same as above" if found.advice in said else found.advice
            print("       " + ("do: " if found.needed else "better: ") + advice, flush=True)
            said.add(found.advice)
            wrong += found.needed
    print("everything that is needed is there" if not wrong else f"{wrong} to mend, marked [mend] above; then run this again")
    return 1 if wrong else 0
