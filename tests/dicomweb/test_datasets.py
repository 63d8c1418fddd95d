"""Datasets in answers, in JSON and XML."""

import json

import pytest

from fw_gear_dicom_send.dicomweb import datasets

XML = (
    '<?xml version="1.0" encoding="UTF-8"?><NativeDicomModel xml:space="preserve" '
    'xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">'
    '<DicomAttribute tag="00081198" vr="SQ" keyword="FailedSOPSequence">'
    '<Item number="1"><DicomAttribute tag="00081155" vr="UI"><Value number="1">1.2</Value>'
    '</DicomAttribute><DicomAttribute tag="00081197" vr="US"><Value number="1">272</Value>'
    '</DicomAttribute></Item><Item number="2"/></DicomAttribute></NativeDicomModel>'
)


ITEMS, ITEMS_END = b"<DicomAttribute tag='00081199'><Item>", b"</Item></DicomAttribute>"


@pytest.mark.parametrize(
    "text",
    [
        XML,
        XML.replace("<Native", "<d:Native").replace("/Native", "/d:Native").replace("s=", "s:d="),
        '{"00081198":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2"]},'
        '"00081197":{"vr":"US","Value":[272]}},{}]}}',
        '[{"00081198":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2"]},'
        '"00081197":{"vr":"US","Value":["272"]}},{}]}}]',
    ],
    ids=["XML", "XML with a prefix", "JSON", "JSON in a list"],
)
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\r\n "])
def test_json_and_xml_are_read(text: str, start: bytes) -> None:
    """A body is read by its first character, whatever its declared type."""
    found = datasets.read(start + text.encode())
    assert found
    first, second = datasets.items(found[0], "00081198")
    assert datasets.texts(first, "00081155") == ["1.2"]
    assert datasets.number(first, "00081197") == 272
    assert datasets.number(second, "00081197") is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b'{"00081199":',
        b"[1]",
        b'"text"',
        b"[" * 100_000,
        b"[" + b"{}," * 200_000 + b"{}]",
        b'{"a":' * 100_000,
        b"[" + b"9" * 5000 + b"]",
        b"<html><title>Not Found</title></html>",
        b"<NativeDicomModel>",
        b"<NativeDicomModel>" + b"<a/>" * 200_000 + b"</NativeDicomModel>",
        b"<NativeDicomModel>" + ITEMS * 20_000 + ITEMS_END * 20_000 + b"</NativeDicomModel>",
        b"<a>" * 100_000,
        b'<!DOCTYPE a [<!ENTITY b "c">]><NativeDicomModel/>',
        XML.encode("utf-16"),
    ],
    ids=lambda body: body[:12].decode("latin-1"),
)
def test_another_body_has_no_dataset(body: bytes) -> None:
    """Text, a page, a truncated, deep or dangerous body is no dataset, and raises no error."""
    assert datasets.read(body) is None


@pytest.mark.parametrize(
    "element",
    [None, 1, [], {}, {"Value": None}, {"Value": 7}, {"Value": "1.2"}, {"Value": {"a": 1}}],
)
def test_a_malformed_element_has_no_values(element: object) -> None:
    """An element without a list of values is empty."""
    body = json.dumps({"00081199": element, "other": 1}).encode()
    found = (datasets.read(body) or [{}])[0]
    assert datasets.items(found, "00081199") == []
    assert datasets.texts(found, "00081199") == []
    assert datasets.number(found, "00081199") is None


@pytest.mark.parametrize(
    ("body", "title"),
    [
        (b"<html>\r\n<head><title>413 Request Entity Too Large</title></head>",
         "413 Request Entity Too Large"),
        (b"<!DOCTYPE html><TITLE lang='en'>\n Bad &amp;\n gateway </TITLE>", "Bad & gateway"),
        (b"<title>" + b"a" * 300 + b"</title>", "a" * 200),
        (b"<html><body>no title</body></html>", ""),
        (b"<title" * 100_000, ""),
        (b"", ""),
    ],
    ids=["nginx", "line breaks", "long", "none", "hostile", "empty"],
)  # fmt: skip
def test_a_page_has_a_title(body: bytes, title: str) -> None:
    """The title is one line of at most 200 characters."""
    assert datasets.title(body) == title


def test_many_values_are_read_in_linear_time() -> None:
    """A million bytes of values or attributes cost no more than their bytes."""
    many = b"<Value>1</Value>" * 60_000
    body = b"<NativeDicomModel><DicomAttribute tag='00081155'>" + many
    found = datasets.read(body + b"</DicomAttribute></NativeDicomModel>")
    assert found
    assert len(datasets.texts(found[0], "00081155")) == 60_000
