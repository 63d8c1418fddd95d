"""An encoded dataset yields its bytes in chunks of the size asked for."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fw_gear_dicom_send.dicom.types import EncodedDataset, Span
from tests.support.drawn_datasets import bounded

PIECES = (Span(3, 3), b"", Span(10, 45), b"inserted", b"x", Span(0, 2), b"y" * 30, Span(45, 46))


@pytest.mark.parametrize("size", [1, 2, 7, 8, 16, 30, 31, 1000])
def test_chunks(size: int) -> None:
    """Each chunk has the size that is asked for, but the last, and they can be had again."""
    source = bytes(range(100))
    dataset = EncodedDataset(BytesIO(source), PIECES)
    expected = source[10:45] + b"insertedx" + source[:2] + b"y" * 30 + source[45:46]
    for _ in range(2):
        chunks = list(dataset.chunks(size))
        assert b"".join(chunks) == expected
        assert {len(chunk) for chunk in chunks[:-1]} <= {size}
        assert 0 < len(chunks[-1]) <= size
    assert dataset.size == len(expected)


def test_no_chunks() -> None:
    """A dataset without bytes has no chunks."""
    assert list(EncodedDataset(BytesIO(b"abc"), (Span(1, 1), b"")).chunks(4)) == []


def test_source_became_shorter() -> None:
    """A source that ends too early raises OSError, and does not wait for ever."""
    with pytest.raises(OSError, match="shorter"):
        list(EncodedDataset(BytesIO(b"abc"), (Span(0, 4),)).chunks(2))


@bounded
@given(
    st.binary(max_size=200),
    st.lists(st.binary(max_size=20) | st.tuples(st.integers(0, 200), st.integers(0, 200))),
    st.integers(1, 64),
)
def test_any_pieces_come_in_chunks(
    source: bytes, parts: list[bytes | tuple[int, int]], size: int
) -> None:
    """Any pieces come in chunks of exactly the size asked for, but the last, time and again."""
    pieces = []
    expected = b""
    for part in parts:
        if isinstance(part, bytes):
            pieces.append(part)
            expected += part
        else:
            first, last = sorted(min(at, len(source)) for at in part)
            pieces.append(Span(first, last))
            expected += source[first:last]
    dataset = EncodedDataset(BytesIO(source), tuple(pieces))
    chunks = [expected[at : at + size] for at in range(0, len(expected), size)]
    assert list(dataset.chunks(size)) == chunks
    assert list(dataset.chunks(size)) == chunks
    assert dataset.size == len(expected)
