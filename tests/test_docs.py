"""What the documents say of the code."""

import re

import pytest

from tests.support.gear import REPOSITORY

NAMED_TEST = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


@pytest.mark.parametrize("document", ["reliability.md"])
def test_each_test_that_is_named_exists(document: str) -> None:
    """A table of what is tested names tests that there are."""
    text = (REPOSITORY / "docs" / document).read_text()
    named = NAMED_TEST.findall(text)
    assert named
    for file, test in named:
        assert f"\ndef {test}(" in (REPOSITORY / "tests" / file).read_text(), (file, test)
