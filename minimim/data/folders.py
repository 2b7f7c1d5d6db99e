"""Where pictures are: the parts of a set, the folders in it, and every picture under a folder, once."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from minimim.data.decode import UNREAD, by_ending, endings
from minimim.data.spelling import class_name, part_of, part_within, parts_among, spelt
from minimim.errors import UserError

Identity = tuple[int, int]  # device and inode, which a folder keeps whatever links lead to it


@dataclass
class Listing:
    """What lies under a folder. by_class: pictures by the first folder on the way to them, "" for those in none; folders:
    identity → path of all that were looked into; passed: ending → pictures that cannot be read; again: links to folders that
    are looked into anyway, and where; astray: links to another part of the set, and to which; lost: dead links, and folders that cannot be opened; spellings: class → the folders'
    names that mean it."""

    by_class: dict[str, list[str]] = field(default_factory=dict)
    folders: dict[Identity, str] = field(default_factory=dict)
    passed: Counter = field(default_factory=Counter)
    again: list[tuple[str, str]] = field(default_factory=list)
    astray: list[tuple[str, str]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    spellings: dict[str, set[str]] = field(default_factory=dict)

    def remarks(self, base: Path) -> list[str]:
        """What people should know about it, one sentence each."""
        told = []
        if self.passed and self.by_class:
            kinds = by_ending(self.passed.items())
            told.append(f"pictures in {base} that cannot be read here are skipped ({kinds}): save them as .png or .jpg to use them")
        for link, there in self.again[:5]:
            told.append(f"{link} leads to {there}, whose pictures are read already: it is left out")
        for link, there in self.astray[:5]:
            told.append(f"{link} leads to {there}, which is another part of the set: it is left out")
        for place in self.lost[:5]:
            why = "is a link that leads nowhere" if os.path.islink(place) else "cannot be opened"
            told.append(f"{place} {why}, so its pictures are missing")
        for name, folders in self.spellings.items():
            if len(folders) > 1:
                told.append(f"{' and '.join(map(spelt, sorted(folders)))} in {base} are taken for one class, {name}")
        return told


def part_folders(path, split: str) -> dict[str, Path]:
    """The folders of a set's parts, train and test; a folder without parts is all train.

    Names are known in any case and by their usual synonyms, see `part_of`. `val` is the test part where there is no `test`,
    or where that one has no folders of classes and `val` has. One that is spelt in an unusual way, and lies alone among other
    folders of pictures, is a class. Raises UserError for no `split`, for two names of one part, and for a dead link.
    """
    if not str(path):
        raise UserError("a folder of pictures needs its path, as folder:PATH")
    top = Path(path).expanduser()
    if not top.is_dir():
        raise UserError(f"there is no folder {top}: give the path of a folder with pictures, as folder:PATH")
    for entry in sorted(top.iterdir()):
        if not entry.name.startswith(".") and part_of(entry.name) and entry.is_symlink() and not entry.exists():
            raise UserError(f"{entry} is a link that leads nowhere: repair or remove it")
    found = by_part(top)
    sorted_into = {part: any(has_folders(place) for place in places) for part, places in found.items()}
    if "test" not in found or sorted_into.get("val") and not sorted_into["test"]:
        found["test"] = found.get("val", [])
    parts = {part: innermost(only(found[part], part), part) for part in ("train", "test") if found.get(part)} or {"train": top}
    if split not in parts:
        told = f" ({parts['test']} is taken for its test part)" if split == "train" and "test" in parts else ""
        raise UserError(f"{top} has no part '{split}'{told}: put pictures in {top}/train/CLASS/ and {top}/test/CLASS/ (or val/CLASS/)")
    return parts


def innermost(place: Path, part: str) -> Path:
    """The folder of a part, or the one of the same part that is all it holds, as archives unpack to train/train."""
    inside = folders_in(place)
    within = part_within(inside[0]) if len(inside) == 1 else None
    if not within or within[0] != part or any(name.lower().endswith(tuple(endings())) for name in os.listdir(place)):
        return place
    return innermost(place / inside[0], part)


def by_part(top: Path) -> dict[str, list[Path]]:
    """The folders in a folder that stand for a part of it, by that part; none where they are classes."""
    found: dict[str, list[Path]] = {}
    for name, part in parts_among(folders_in(top)).items():
        found.setdefault(part, []).append(top / name)
    alone = [place.name for places in found.values() for place in places] if len(found) == 1 else []
    return {} if alone and not {"train", "val", "test"} & {*alone} and beside(top) else found


def beside(top: Path) -> list[str]:
    """The folders in a folder that stand for no part of it and hold pictures."""
    names = folders_in(top)
    return [name for name in names if name not in parts_among(names) and holds_pictures(top / name)]


def only(places: list[Path], part: str) -> Path:
    """The one folder of a part. Raises UserError for several."""
    if len(places) > 1:
        names = " and ".join(place.name for place in places)
        raise UserError(f"{places[0].parent} has {names}, which all mean the part {part}: keep one, or rename the others")
    return places[0]


def identity(place: str | Path) -> Identity:
    """What a folder is known by."""
    found = os.stat(place)
    return found.st_dev, found.st_ino


def above(place: str | Path) -> set[Identity]:
    """A folder, and all folders that contain it."""
    real = Path(place).resolve()
    return {identity(folder) for folder in (real, *real.parents)}


def folders_in(place: Path) -> list[str]:
    """Names of the folders in a folder, as classes are: neither hidden nor links to one that it lies in itself."""
    if not place.is_dir():
        return []
    known = above(place)
    with os.scandir(place) as entries:
        shown = [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
        return sorted(entry.name for entry in shown if not entry.is_symlink() or identity(entry.path) not in known)


def has_folders(place: Path) -> bool:
    """Whether there are folders in a folder, as classes are."""
    return bool(folders_in(place))


def holds_pictures(place: Path) -> bool:
    """Whether there is a picture under a folder; links are not followed beyond it."""
    known = tuple(endings())
    return any(name.lower().endswith(known) and not name.startswith(".") for _, _, names in os.walk(place) for name in names)


def list_images(base: Path, others: Iterable[Path] = ()) -> Listing:
    """Every picture under a folder, in an order that does not depend on the disk. Hidden files and folders are left out.

    One pass, and no file is opened. Links are followed, but no folder is looked into twice: neither one that stands above on
    the way, nor one that is reached by two ways, nor one of the others, which are other parts of the set. Raises UserError for a
    folder in which the parts of a set lie.
    """
    listing, readable, real = Listing(folders={identity(base): str(base)}), endings(), os.path.realpath(base)
    elsewhere = {identity(other): str(other) for other in others}
    way = {str(base): above(base)}  # folder → the identities that stand above it, and its own
    for here, folders, names in os.walk(base, followlinks=True, onerror=lambda error: listing.lost.append(error.filename)):
        on_the_way = way.pop(here)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        refuse_parts(here, folders)
        for name in list(folders):
            place, known = os.path.join(here, name), identity(os.path.join(here, name))
            there = inside(place, real) if os.path.islink(place) else None
            if known in elsewhere:
                folders.remove(name)
                listing.astray.append((place, elsewhere[known]))
            elif known in on_the_way or there or known in listing.folders:
                folders.remove(name)
                if known not in on_the_way:
                    listing.again.append((place, there or listing.folders[known]))
            else:
                listing.folders[known], way[place] = place, {*on_the_way, known}
        first = "" if here == str(base) else os.path.relpath(here, base).split(os.sep)[0]
        shown = []
        for name in sorted(name for name in names if not name.startswith(".")):
            ending = os.path.splitext(name)[1].lower()
            if ending in readable:
                shown.append(os.path.join(here, name))
            elif ending in UNREAD:
                listing.passed[ending] += 1
            elif os.path.islink(os.path.join(here, name)) and not os.path.exists(os.path.join(here, name)):
                listing.lost.append(os.path.join(here, name))
        if shown:
            listing.by_class.setdefault(class_name(first), []).extend(shown)
            listing.spellings.setdefault(class_name(first), set()).add(first)
    return listing


def inside(link: str, real: str) -> str | None:
    """Where a link leads, if that is a folder under `real` that is looked into anyway, not a hidden one."""
    target = os.path.realpath(link)
    within = target.startswith(os.path.join(real, "")) and not any(
        name.startswith(".") for name in os.path.relpath(target, real).split(os.sep)
    )
    return target if within else None


def refuse_parts(here: str, folders: list[str]) -> None:
    """Raise UserError for a folder that holds a train and a test part of its own: its pictures would be mixed."""
    named = {part: name for name, part in parts_among(folders).items()}
    other = named.get("test") or named.get("val")
    if "train" in named and other:
        raise UserError(
            f"{here} has the parts {named['train']} and {other}, and pictures of both would become one class: "
            f"put the parts above the classes, as train/CLASS/, or give folder:{here}"
        )
