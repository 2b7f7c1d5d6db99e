"""The data sets of the survey's text, with its figure beside the usual one."""

import pytest

from minimim import survey
from minimim.errors import UserError


def test_each_of_the_ten_says_both_sizes_and_where_they_stand():
    found = survey.datasets()
    assert len(found) == 10 and len({one.key for one in found}) == 10
    for one in found:
        assert one.survey and one.usual and one.role and one.modality and "survey §5" in one.source
        assert not one.differs or one.note, f"{one.key} differs, and nothing says why"
        assert "usual:" in one.source or one.unverified == ("usual",), f"{one.key} has a usual size without source"


def test_imagenet_has_fewer_images_than_the_survey_says():
    (one,) = survey.datasets("imagenet-1k")
    assert one.differs and "1.45 million" in one.survey and "1,281,167" in one.usual and not one.unverified


def test_an_unknown_data_set_is_named():
    with pytest.raises(UserError, match="unknown data set of the survey 'CIFAR-10': did you mean 'CIFAR-100'"):
        survey.datasets("CIFAR-10")
