"""Responses are read as tolerantly as in other toolkits."""

import pytest

from fw_gear_dicom_send.network.dimse import StoreResponse, decode_command, store_response
from tests.support.pdus import element, response


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ([element(0x1000, b"1." * 200)], StoreResponse(0xA900)),
        ([element(0x0002, b"\xff" * 3)], StoreResponse(0xA900)),
        ([element(0x0901, b"\x10\0\x20\0")], StoreResponse(0xA900, ("(0010,0020)",))),
        ([element(0x0901, b"\x10\0\x20\0\x08")], StoreResponse(0xA900, ("(0010,0020)",))),
        ([element(0x0901, b"\x10\0")], StoreResponse(0xA900)),
        ([element(0x0901, b"")], StoreResponse(0xA900)),
        ([element(0x0901, bytes(4000))], StoreResponse(0xA900, ("(0000,0000)",) * 16)),
        ([element(0x0902, b"no  \r\n study ")], StoreResponse(0xA900, (), "no study")),
        ([element(0x0902, "näh".encode())], StoreResponse(0xA900, (), "näh")),
        ([element(0x0902, "näh".encode("latin-1"))], StoreResponse(0xA900, (), "näh")),
        ([element(0x0902, b"x" * 5000)], StoreResponse(0xA900, (), "x" * 1024)),
    ],
)
def test_odd_values_are_harmless(elements: list[bytes], expected: StoreResponse) -> None:
    """Long UIDs, odd offending elements and long comments do not change the status."""
    assert store_response(decode_command(response(1, 0xA900, *elements))) == expected


def test_truncated_elements_are_ignored() -> None:
    """An element beyond the end of the command set has no value, and neither do later ones."""
    command = response(1, 0xB000) + element(0x0902, b"comment")[:-1]
    assert store_response(decode_command(command)) == StoreResponse(0xB000)


def test_the_group_length_is_optional() -> None:
    """It may be missing or wrong."""
    wrong = element(0x0000, b"\x07\0\0\0")
    assert decode_command(wrong + response(5))[0x0120] == decode_command(response(5))[0x0120]
