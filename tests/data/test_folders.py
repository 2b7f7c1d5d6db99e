"""Which pictures belong to a set: folders met by links, names of parts and of classes in every spelling."""

import warnings
from unicodedata import normalize

import numpy as np
import pytest
import torch
from PIL import Image

from minimim.cli import main
from minimim.data import Images, available, load
from minimim.data.folders import list_images
from minimim.data.spelling import look_alikes, part_of, parts_among, spelt, told_apart
from minimim.errors import UserError
from minimim.evaluate.features import check_labels

NUMBER = iter(range(10**6))
AGAIN = "{} leads to {}, whose pictures are read already: it is left out"


def pictures(place, count=2):
    """Small pictures of two colours, none like another."""
    place.mkdir(parents=True, exist_ok=True)
    for _ in range(count):
        number = next(NUMBER)
        image = Image.new("RGB", (2, 2), (number % 256, number // 256, 0))
        image.putpixel((0, 0), (255, 255, 255))
        image.save(place / f"{number:06}.png")


def sorted_set(top, parts=("train", "test"), classes=("cat", "dog")):
    """A set with as many pictures in each class of each part."""
    for part in parts:
        for name in classes:
            pictures(top / part / name)
    return top


def told(name, split="train", **more):
    """What `load` gives, and the sentences that it says."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        data = load(f"folder:{name}", split, image_size=2, in_memory=False, **more)
    assert all(warning.filename == __file__ for warning in said)
    return data, [str(warning.message) for warning in said]


def link(place, target):
    place.symlink_to(target, target_is_directory=True)


# Links


@pytest.mark.parametrize("where", ["loop", "cat/loop", "cat/deep/loop"])
@pytest.mark.parametrize("target", ["set", "set/cat", "."])
def test_a_link_to_a_folder_above_is_not_followed(tmp_path, where, target):
    for name in ("cat/deep", "cat", "dog"):
        pictures(tmp_path / "set" / name)
    link(tmp_path / "set" / where, tmp_path / target)
    data, said = told(tmp_path / "set")
    assert data.classes == ("cat", "dog") and data.labels.tolist() == [0] * 4 + [1] * 2
    assert len({file.rsplit("/", 1)[1] for file in data.files}) == len(data)
    beside = (where, target) == ("loop", "set/cat")  # there it leads to a sibling
    assert said == [AGAIN.format(tmp_path / "set/loop", tmp_path / "set/cat")] * beside


@pytest.mark.parametrize("where", ["train/cat/loop", "train/loop"])
@pytest.mark.parametrize("target", ["", "train"])
def test_no_test_picture_comes_in_by_a_link_to_the_whole_set(tmp_path, where, target):
    sorted_set(tmp_path)
    link(tmp_path / where, tmp_path / target)
    data, said = told(tmp_path)
    assert len(data) == 4 and data.classes == ("cat", "dog") and not said and not [file for file in data.files if "/test/" in file]


@pytest.mark.parametrize("name", ["a", "z"])  # before and after the folder that it leads to
def test_a_link_to_a_sibling_gives_its_pictures_no_second_class(tmp_path, name):
    sorted_set(tmp_path, ["."])
    link(tmp_path / "cat" / name, tmp_path / "dog")
    link(tmp_path / name, tmp_path / "dog")
    data, said = told(tmp_path)
    assert data.classes == ("cat", "dog") and data.labels.tolist() == [0, 0, 1, 1]
    assert sorted(said) == sorted(AGAIN.format(place / name, tmp_path / "dog") for place in (tmp_path, tmp_path / "cat"))


def test_two_links_to_one_folder_elsewhere_are_read_once(tmp_path):
    pictures(tmp_path / "elsewhere"), pictures(tmp_path / "set" / "dog")
    for name in ("cat", "kitten"):
        link(tmp_path / "set" / name, tmp_path / "elsewhere")
    data, said = told(tmp_path / "set")
    assert data.classes == ("cat", "dog") and len(data) == 4
    assert said == [AGAIN.format(tmp_path / "set/kitten", tmp_path / "set/cat")]


def test_links_that_lead_elsewhere_work(tmp_path):
    for name in ("cats", "dogs", "set/.store/emus"):
        pictures(tmp_path / name)
    pictures(tmp_path / "cats" / "more")
    (tmp_path / "set" / "dog").mkdir(parents=True)
    link(tmp_path / "set" / "cat", tmp_path / "cats"), link(tmp_path / "set" / "dog" / "all", tmp_path / "dogs")
    link(tmp_path / "set" / "emu", tmp_path / "set" / ".store" / "emus")
    for file in (tmp_path / "cats").glob("*.png"):  # a link to a picture
        (tmp_path / "set" / "dog" / f"link-{file.name}").symlink_to(file)
    link(tmp_path / "linked", tmp_path / "set")
    for top in ("set", "linked"):
        data, said = told(tmp_path / top)
        assert data.classes == ("cat", "dog", "emu") and data.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 2 and not said


@pytest.mark.parametrize("where, target", [("test", "train"), ("train/cat", "test/cat"), ("test/dog", "train/dog")])
def test_one_folder_in_both_parts_is_told(tmp_path, where, target):
    sorted_set(tmp_path, [part for part in ("train", "test") if part != where])
    for file in (tmp_path / where).glob("*"):
        file.unlink()
    if (tmp_path / where).exists():
        (tmp_path / where).rmdir()
    link(tmp_path / where, tmp_path / target)
    for split in ("train", "test"):
        data, said = told(tmp_path, split)
        places = sorted(f"{tmp_path}/{place}" for place in (where, target))
        assert len(data) == 4 and said == [f"{places[1]} and {places[0]} are the same folder: the images for training are also those for testing"]


def test_a_link_that_leads_nowhere_is_told(tmp_path):
    sorted_set(tmp_path / "set")
    link(tmp_path / "set" / "train" / "emu", tmp_path / "unplugged")
    data, said = told(tmp_path / "set")
    assert len(data) == 4 and said == [f"{tmp_path}/set/train/emu is a link that leads nowhere, so its pictures are missing"]
    link(tmp_path / "set" / "Validation", tmp_path / "unplugged")
    with pytest.raises(UserError, match=f"^{tmp_path}/set/Validation is a link that leads nowhere: repair or remove it$"):
        told(tmp_path / "set")


def test_a_link_back_does_not_make_a_test_part_sorted(tmp_path):
    sorted_set(tmp_path, ["train", "val"])
    pictures(tmp_path / "test")
    link(tmp_path / "test" / "back", tmp_path)
    data, _ = told(tmp_path, "test")
    assert len(data) == 4 and data.labels.tolist() == [0, 0, 1, 1]


# Names of parts


@pytest.mark.parametrize(
    "train, test",
    [
        ("Train", "Test"), ("TRAIN", "VAL"), ("training", "validation"), ("Training_Set", "Test_Set"), ("train2017", "val2017"), ("trainset", "testset"),
        ("train", "valid"), ("train", "dev"), ("train-images", "eval images"), ("imagesTrain", "Testing"), ("trn", "tst"), ("Training Data", "hold-out"),
    ],
)  # fmt: skip
def test_parts_are_known_in_any_spelling(tmp_path, train, test):
    sorted_set(tmp_path, [train, test])
    (tmp_path / "annotations").mkdir()
    for split, part in (("train", train), ("test", test)):
        data, said = told(tmp_path, split)
        assert data.classes == ("cat", "dog") and len(data) == 4 and not said and available(f"folder:{tmp_path}", split)
        assert all(f"/{part}/" in file for file in data.files)


@pytest.mark.parametrize("name", ["cat", "traintrack", "contest", "valley", "devil", "Tested", "set", "2017", "images", "test1", "é", ""])
def test_other_names_are_no_parts(name):
    assert part_of(name) is None


@pytest.mark.parametrize("alone", ["Train", "Training", "TESTING", "validation"])
def test_a_part_alone_is_no_class(tmp_path, alone):
    sorted_set(tmp_path, [alone])
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "1.txt").write_text("cat")
    split = "train" if alone.startswith("Train") else "test"
    assert told(tmp_path, split)[0].classes == ("cat", "dog")
    with pytest.raises(UserError, match=f"has no part '{'test' if split == 'train' else 'train'}'"):
        told(tmp_path, "test" if split == "train" else "train")


def test_among_other_classes_a_name_that_could_be_a_part_is_one_of_them(tmp_path):
    sorted_set(tmp_path, ["."], ["Development", "marketing", "sales"])
    data, said = told(tmp_path)
    assert data.classes == ("Development", "marketing", "sales") and not said


def test_what_is_not_read_beside_the_one_part_is_told(tmp_path):
    sorted_set(tmp_path, ["."], ["bus", "car", "train"])
    data, said = told(tmp_path)
    assert len(data) == 2
    assert said == [f"{tmp_path}/train is taken for a part of the set, so the pictures beside it are not read (bus, car): if it is a class, rename it"]


@pytest.mark.parametrize("first, second, third", [("train", "training", "test"), ("val", "validation", "train"), ("Test", "test", "train")])
def test_two_names_of_one_part_are_one_sentence(tmp_path, first, second, third):
    sorted_set(tmp_path, [first, second, third])
    for split in ("train", "test"):
        with pytest.raises(UserError, match=f"^{tmp_path} has {first} and {second}, which all mean the part "):
            told(tmp_path, split)


def test_test_goes_before_validation_in_any_spelling(tmp_path):
    sorted_set(tmp_path, ["Training", "Validation", "Testing"])
    assert all("/Testing/" in file for file in told(tmp_path, "test")[0].files)


@pytest.mark.parametrize("deep", ["cat", "set", "a/b"])
def test_parts_below_the_classes_are_refused(tmp_path, deep):
    pictures(tmp_path / deep / "Train"), pictures(tmp_path / deep / "test"), pictures(tmp_path / "dog")
    with pytest.raises(UserError, match=f"^{tmp_path}/{deep} has the parts Train and test, .* put the parts above the classes, .* or give folder:{tmp_path}/{deep}$"):
        told(tmp_path)


@pytest.mark.slow
def test_the_command_line_trains_on_the_train_part_alone_whatever_its_name(tmp_path, capsys):
    sorted_set(tmp_path / "pics", ["Train", "Test"])
    told = [f"--data=folder:{tmp_path}/pics", "--image-size", "16", "--patch-size", "4", "--epochs", "1", "--batch-size", "2", "--probe-every", "1"]
    assert main(["pretrain", *told, "--out", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().out.startswith("4 images, 2 steps")
    assert '"knn"' in (tmp_path / "run" / "metrics.jsonl").read_text()


# Names of classes

CAFE = {kind: normalize(kind, "café") for kind in ("NFC", "NFD")}


def test_an_accent_is_the_same_in_one_piece_and_in_two(tmp_path):
    sorted_set(tmp_path, ["train"], [CAFE["NFC"], "zoo"]), sorted_set(tmp_path, ["test"], [CAFE["NFD"], "zoo"])
    for split in ("train", "test"):
        data, said = told(tmp_path, split)
        assert data.classes == (CAFE["NFC"], "zoo") and data.labels.tolist() == [0, 0, 1, 1] and not said


def test_two_folders_of_one_name_are_one_class_and_told_apart(tmp_path):
    sorted_set(tmp_path, ["."], [*CAFE.values(), "zoo"])
    data, said = told(tmp_path)
    assert data.classes == (CAFE["NFC"], "zoo") and sorted(data.labels.tolist()) == [0] * 4 + [1] * 2
    assert said == [f"'{CAFE['NFD']}' (U+0301) and '{CAFE['NFC']}' (U+00E9) in {tmp_path} are taken for one class, {CAFE['NFC']}"]


@pytest.mark.parametrize(
    "one, other, said",
    [
        ("Cat", "cat", "'Cat' and 'cat'"), ("cat", "cat ", "'cat' and 'cat ' (U+0020)"),
        ("cat", "ｃat", "'cat' and 'ｃat' (U+FF43)"), ("cat", "ca\u200bt", "'cat' and 'ca\u200bt' (U+200B)"),
    ],
)  # fmt: skip
def test_classes_that_look_alike_are_told_apart(tmp_path, one, other, said):
    assert look_alikes([one, "dog", other]) == [said.split(" and ")] and look_alikes([one, "dog"]) == []
    sorted_set(tmp_path, ["train"], [one, "dog"]), sorted_set(tmp_path, ["test"], [other, "dog"])
    data, sentences = told(tmp_path)
    assert len(data.classes) == 3 and sentences == [f"{said} look alike, but are different classes: rename a folder if they should be one"]
    train, test = data, told(tmp_path, "test")[0]
    with pytest.raises(UserError) as error:
        check_labels(train, test)
    strangers = f"classes that no train image has ({spelt(other)}, which is not {spelt(one)})"
    assert str(error.value) == f"the test images have {strangers}: leave these out, or add train images of them"


def test_names_that_nothing_looks_like_stay_as_they_are():
    assert told_apart(["dog", "café"], ["dog", "café", "cat"]) == ["dog", "café"]
    train, test = (Images(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.tensor(labels), ("ant", "bee", "cow")) for labels in ([0, 1], [0, 2]))
    with pytest.raises(UserError, match=r"that no train image has \(cow\)"):
        check_labels(train, test)


def test_each_folder_is_listed_once(tmp_path):
    sorted_set(tmp_path, ["a", "b"])
    listing = list_images(tmp_path)
    assert sorted(listing.folders.values()) == sorted(str(place) for place in [tmp_path, *tmp_path.rglob("*")] if place.is_dir())


# Names that only beside each other are those of parts


@pytest.mark.parametrize("train, test", [
    ("seg_train", "seg_test"), ("01_train", "02_test"), ("train_256", "val_256"), ("myTrain", "myTest"), ("subset-training", "subset-validation"),
])  # fmt: skip
def test_names_that_differ_in_the_parts_word_alone_are_parts(tmp_path, train, test):
    sorted_set(tmp_path, (train, test))
    pictures(tmp_path / "seg_pred")
    for split, part in (("train", train), ("test", test)):
        data, said = told(tmp_path, split)
        assert data.classes == ("cat", "dog") and {file.split("/")[-3] for file in map(str, data.files)} == {part}
        assert said == [f"the pictures beside the parts of {tmp_path} are not read (seg_pred): move them into a part, or elsewhere"]


@pytest.mark.parametrize("names", [("freight_train", "passenger_train"), ("train_station", "test_tube"), ("images_train", "labels_train"), ("contest", "strain")])
def test_classes_with_the_word_in_their_names_stay_classes(tmp_path, names):
    assert not set(parts_among(names).values()) & {"test", "val"}
    sorted_set(tmp_path, names, ("",))
    assert told(tmp_path)[0].classes == tuple(sorted(names))


def test_two_sets_in_one_folder_are_not_mixed(tmp_path):
    sorted_set(tmp_path, ("trainA", "trainB", "testA", "testB"))
    with pytest.raises(UserError, match="has trainA and trainB, which all mean the part"):
        load(f"folder:{tmp_path}")
    with pytest.raises(UserError, match="has the parts seg_train and seg_test, and pictures of both would become one class"):
        load(f"folder:{sorted_set(tmp_path / 'x' / 'y', ('seg_train', 'seg_test')).parent}")


def test_a_part_that_holds_itself_alone_is_unpacked(tmp_path):
    sorted_set(tmp_path, ("seg_train/seg_train", "seg_test/seg_test"))
    for split in ("train", "test"):
        data, said = told(tmp_path, split)
        assert data.classes == ("cat", "dog") and len(data) == 4 and said == []
    pictures(tmp_path / "seg_train")  # now it is a class of a kind
    assert told(tmp_path)[0].classes == ()


def test_what_lies_beside_two_parts_is_told(tmp_path):
    sorted_set(tmp_path)
    pictures(tmp_path / "bird")
    (tmp_path / "annotations").mkdir()
    data, said = told(tmp_path)
    assert data.classes == ("cat", "dog") and said == [f"the pictures beside the parts of {tmp_path} are not read (bird): move them into a part, or elsewhere"]


def test_a_class_that_is_called_as_a_part_is_told(tmp_path):
    sorted_set(tmp_path, ("Apprentissage", "Test"))
    data, said = told(tmp_path)
    assert data.classes == ("Apprentissage", "Test")
    assert said == [f"Test in {tmp_path} is taken for a class, because there are other folders beside it: if it is a part of the set, name the parts train and test"]


def test_a_lone_test_part_is_named_where_the_train_part_is_missed(tmp_path):
    pictures(tmp_path / "test")
    pictures(tmp_path / "control")
    with pytest.raises(UserError, match=f"has no part 'train' .{tmp_path / 'test'} is taken for its test part."):
        load(f"folder:{tmp_path}")


def test_a_link_to_the_other_part_is_no_class(tmp_path):
    sorted_set(tmp_path)
    (tmp_path / "train" / "loop").symlink_to(tmp_path / "test")
    (tmp_path / "test" / "loop").symlink_to(tmp_path / "train")
    for split, other in (("train", "test"), ("test", "train")):
        data, said = told(tmp_path, split)
        assert data.classes == ("cat", "dog") and len(data) == 4
        assert said == [f"{tmp_path / split / 'loop'} leads to {tmp_path / other}, which is another part of the set: it is left out"]


def test_a_folder_without_its_word_is_told_how_it_is_given(tmp_path):
    with pytest.raises(UserError, match=f"^{tmp_path} is a folder: give it as folder:{tmp_path}$"):
        load(str(tmp_path))


@pytest.mark.parametrize("size", [(8,), (8, 8, 8), "8", 8.0, (8.0, 8.0), [None, 8]])
def test_a_size_that_is_none_is_one_sentence(tmp_path, size):
    pictures(tmp_path)
    with pytest.raises(UserError, match="^image_size is one side or .H, W., in whole pixels, not"):
        load(f"folder:{tmp_path}", image_size=size)


@pytest.mark.parametrize("size", [np.int64(8), [8, 8], torch.Size((8, 8)), (np.int32(8), 8)])
def test_sizes_of_every_code_are_taken(tmp_path, size):
    pictures(tmp_path)
    assert load(f"folder:{tmp_path}", image_size=size).images.shape[2:] == (8, 8)
