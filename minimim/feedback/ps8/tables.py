"""The tables of ps8.5: real numbers of minimim.survey.results, put side by side as papers put them, most of them with a flaw.

What follows tells which table has which flaw. Decide first.
"""

from functools import cache

from minimim.errors import UserError
from minimim.survey import results

SHOWN = ("architecture", "protocol", "epochs", "image_size", "extra", "run_by", "target_level", "year", "accuracy")
FINE = {
    "protocol": "fine-tuned",
    "architecture": "ViT-B/16",
    "image_size": 224,
}  # what a row has, where nothing else is said
SETS: dict[
    int, dict[str, list[tuple[str, dict]]]
] = {  # number → letter → (paper, what tells its row from the paper's others)
    0: {
        "a": [
            ("MFM", {"epochs": 300}),
            ("CMAE", {"epochs": 1600}),
            ("MIRL", {"epochs": 300}),
            ("ColorMAE", {"epochs": 300}),
        ],
        "b": [("MoCov3", {"run_by": "HIRL"}), ("DINO", {"run_by": "HIRL"}), ("iBOT", {"run_by": "HIRL"})],
        "c": [("MAE", {"epochs": 1600}), ("SiameseIM", {}), ("MAGE", {"image_size": 256}), ("MaskFeat", {"epochs": 1600})],
        "d": [("CrossMAE", {}), ("ConMIM", {}), ("SemMAE", {"architecture": "ViT-B/8"}), ("LatentMIM", {}), ("BootMAE", {})],
        "e": [
            ("MIRL", {"epochs": 300}),
            ("CMAE", {"epochs": 300}),
            ("PixMIM", {"epochs": 300}),
            ("BEiTv2", {"epochs": 300}),
        ],
        "f": [("ConMIM", {}), ("data2vec", {}), ("MAE", {"epochs": 800, "run_by": "mmpretrain"}), ("SimMIM", {})],
        "g": [("RC-MAE", {}), ("HPM", {"epochs": 800}), ("SimMIM", {}), ("MaskFeat", {"epochs": 1600})],
        "h": [
            ("BootMAE", {"protocol": "linear"}),
            ("LatentMIM", {"protocol": "linear"}),
            ("iBOT", {"protocol": "knn", "variant": "block"}),
            ("MFF", {"protocol": "linear", "epochs": 800}),
        ],
    },
    1: {
        "p": [("BEiT", {"epochs": 300}), ("MFM", {"epochs": 300}), ("CAE", {"epochs": 300})],
        "q": [
            ("RC-MAE", {}),
            ("SiameseIM", {}),
            ("MAE", {"epochs": 1600, "run_by": "mmpretrain"}),
            ("MaskFeat", {"epochs": 1600}),
        ],
        "r": [("SimMIM", {"architecture": "Swin-B", "epochs": 800}), ("A2MIM", {}), ("CrossMAE", {}), ("LatentMIM", {})],
        "s": [("DropPos", {"epochs": 200}), ("UM-MAE", {}), ("dBOT", {"variant": ""}), ("PixMIM", {"epochs": 300})],
    },
}


def load(number: int = 0) -> dict[str, list[dict]]:
    """Tables, {"a": rows, …}, each a list of dicts: name, the fields of SHOWN. number: 0 for the eight of the statement, 1 for others.
    Raises UserError for another number."""
    if number not in SETS:
        raise UserError(f"there are tables of the numbers {', '.join(map(str, SETS))}, not of {number}")
    return {letter: [dict(one) for one in rows] for letter, rows in found(number).items()}


@cache
def found(number: int) -> dict[str, list[dict]]:
    """The tables of a number, looked up once."""
    return {letter: [row(key, more) for key, more in rows] for letter, rows in SETS[number].items()}


def row(key: str, more: dict) -> dict:
    """A row as a table shows it. Raises UserError where not exactly one result is meant."""
    there = results(key=key, **({"run_by": "", "verified": "yes"} | FINE | more))
    if len(there) != 1:
        raise UserError(f"{len(there)} results of {key} have {more}: one was expected")
    return {"name": key} | {field: getattr(there[0], field) for field in SHOWN}
