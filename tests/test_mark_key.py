"""Each destination has a key of its own for its mark."""

import itertools
import re

import pytest

from fw_gear_dicom_send.mark_key import mark_key

SERVERS = (
    ("pacs.example.org", "104", "PACS"),
    ("pacs.example.org", "104", "pacs"),
    ("pacs.example.org", "104", "PA CS"),
    ("pacs-example.org", "104", "PACS"),
    ("pacs.example.org", "11112", "PACS"),
    ("2001:db8::1", "104", "$.$"),
    ("https://pacs.example.org/dicom-web",),
    ("https://pacs.example.org/dicom_web",),
    (f"{'x' * 60}.example.org", "104", "PACS"),
    (f"{'x' * 60}.example.com", "104", "PACS"),
)


@pytest.mark.parametrize("server", SERVERS)
def test_a_key_has_neither_dots_nor_dollar_signs(server: tuple[str, ...]) -> None:
    """A site would rewrite them. The name in the key has at most 40 characters."""
    assert re.fullmatch(r"dicom_send_[A-Za-z0-9_]{1,40}_[0-9a-f]{8}", mark_key(*server))


def test_keys_differ() -> None:
    """Servers that differ in one character have different keys."""
    for one, other in itertools.combinations(SERVERS, 2):
        assert mark_key(*one) != mark_key(*other)


@pytest.mark.parametrize(
    ("one", "same"),
    [
        (("PACS.example.org", "104", "PACS"), ("pacs.example.org", "104", "PACS")),
        (("https://PACS.org/web/",), (" https://pacs.org:443/web", "", "")),
    ],
)
def test_other_writings_have_the_same_key(one: tuple[str, ...], same: tuple[str, ...]) -> None:
    """The case of a host, and a default port, do not matter."""
    assert mark_key(*one) == mark_key(*same)


def test_people_recognize_the_server() -> None:
    """The key of a server stays the same in all versions, as sites keep it."""
    assert mark_key(*SERVERS[0]) == "dicom_send_PACS_pacs_example_org_104_669c3372"
    assert mark_key(*SERVERS[6]) == "dicom_send_pacs_example_org_08f42ee6"
