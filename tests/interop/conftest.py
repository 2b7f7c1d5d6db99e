"""What the tests of foreign weights share: a misfit gives one sentence, and what was assumed is one warning."""

import warnings

import pytest

from minimim.errors import UserError


@pytest.fixture
def error(tmp_path):
    """Run something that must be refused, and give its sentence."""

    def sentence(function, *args, **more):
        with pytest.raises(UserError) as caught:
            function(*args, **more)
        text = str(caught.value)
        assert "\n" not in text and 20 < len(text.replace(str(tmp_path), "")) < 400  # wherever the file lies
        return text

    return sentence


@pytest.fixture
def said():
    """Run something that may warn, and give what it returned and what it said."""

    def both(function, *args, **more):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            returned = function(*args, **more)
        return returned, " | ".join(str(warning.message) for warning in caught)

    return both
