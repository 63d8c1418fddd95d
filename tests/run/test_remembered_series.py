"""Answers for the last 64 series are cached."""

import pytest

from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.run.known_images import KnownImages
from tests.support.series import STUDY, image

REMEMBERED = 64


class Server:
    """Server that has image 0 of each series and counts the queries."""

    def __init__(self) -> None:
        self.queries: list[tuple[str, str]] = []

    def present(self, study: str, series: str) -> frozenset[str]:
        """Answer a query for a series."""
        self.queries.append((study, series))
        return frozenset({image(0).sop_instance_uid})


@pytest.fixture
def server() -> Server:
    """Server without queries so far."""
    return Server()


def series(number: int) -> str:
    return f"1.2.9.{number}"


def first_image(number: int) -> SOPInstance:
    return image(0, series(number))


def test_sixty_four_series_are_cached(server: Server) -> None:
    """The images of 64 series in any order cost one query per series."""
    stored = KnownImages(server)
    for _ in range(3):
        assert all(stored.is_on_server(first_image(number)) for number in range(REMEMBERED))
    assert server.queries == [(STUDY, series(number)) for number in range(REMEMBERED)]


def test_the_next_series_replaces_one(server: Server) -> None:
    """The cache does not grow with the number of series."""
    stored = KnownImages(server)
    for number in range(REMEMBERED + 1):
        stored.is_on_server(first_image(number))
    server.queries.clear()
    assert stored.is_on_server(first_image(0))
    assert server.queries == [(STUDY, series(0))]


def test_the_least_recently_used_series_is_dropped(server: Server) -> None:
    """A series with further images stays, however long ago its query was."""
    stored = KnownImages(server)
    for number in range(REMEMBERED):
        stored.is_on_server(first_image(number))
    stored.is_on_server(first_image(0))
    stored.is_on_server(first_image(REMEMBERED))
    server.queries.clear()
    assert stored.is_on_server(first_image(0))
    assert stored.is_on_server(first_image(REMEMBERED))
    assert server.queries == []
    assert stored.is_on_server(first_image(1))
    assert server.queries == [(STUDY, series(1))]


def test_many_consecutive_series_cost_one_query_each(server: Server) -> None:
    """A series is cached until 64 others have followed."""
    stored = KnownImages(server)
    for number in range(2 * REMEMBERED):
        assert stored.is_on_server(first_image(number))
        assert not stored.is_on_server(image(1, series(number)))
    assert len(server.queries) == 2 * REMEMBERED
