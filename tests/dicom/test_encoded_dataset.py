"""An encoded dataset yields all its bytes in order."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fw_gear_dicom_send.dicom.types import EncodedDataset, Span
from tests.support.drawn_datasets import bounded

PIECES = (Span(3, 3), b"", Span(10, 45), b"inserted", b"x", Span(0, 2), b"y" * 30, Span(45, 46))


@pytest.mark.parametrize("size", [1, 2, 7, 8, 16, 30, 31, 1000])
def test_blocks(size: int) -> None:
    """Ranges are returned in blocks of at most the requested size, and can be read repeatedly."""
    source = bytes(range(100))
    dataset = EncodedDataset(BytesIO(source), PIECES)
    expected = source[10:45] + b"insertedx" + source[:2] + b"y" * 30 + source[45:46]
    inserted = {piece for piece in PIECES if isinstance(piece, bytes)}
    for _ in range(2):
        blocks = list(dataset.blocks(size))
        assert b"".join(blocks) == expected
        assert all(len(block) <= size for block in blocks if block not in inserted)
    assert dataset.size == len(expected)


def test_no_bytes() -> None:
    """An empty dataset yields no blocks with bytes."""
    assert b"".join(EncodedDataset(BytesIO(b"abc"), (Span(1, 1), b"")).blocks(4)) == b""


def test_a_truncated_source_raises_an_error() -> None:
    """A source that ends too early raises OSError and does not block."""
    with pytest.raises(OSError, match="truncated"):
        list(EncodedDataset(BytesIO(b"abc"), (Span(0, 4),)).blocks(2))


@bounded
@given(
    st.binary(max_size=200),
    st.lists(st.binary(max_size=20) | st.tuples(st.integers(0, 200), st.integers(0, 200))),
    st.integers(1, 64),
)
def test_any_pieces_are_complete_and_in_order(
    source: bytes, parts: list[bytes | tuple[int, int]], size: int
) -> None:
    """Any pieces are returned in order with all their bytes, repeatedly."""
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
    assert b"".join(dataset.blocks(size)) == expected
    assert b"".join(dataset.blocks(size)) == expected
    assert dataset.size == len(expected)
