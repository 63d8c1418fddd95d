"""Images are queried by lists of UIDs, whatever a server's handling of lists and limits."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from fw_gear_dicom_send.delivery.results import ImageReference, Verification
from fw_gear_dicom_send.network.query import MAX_LIST, FindSCU
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support import wording
from tests.support.archive_scp import ArchiveSCP
from tests.support.matching import (
    NOT_OF_THIS_CLASS,
    OUT_OF_RESOURCES,
    SUCCESS,
    Matching,
    by_list,
    finding_first_of_list,
    finding_no_list,
    ignoring_lists,
    ignoring_uids,
    limited,
    refusing_lists,
    refusing_over,
)
from tests.support.pacs import DcmQRSCP, Orthanc
from tests.support.querying import find_scu
from tests.support.series import CT, SERIES, STUDY, image, reference, store, uids

pytestmark = pytest.mark.slow

STORED = 12
WARNING = 0xB000
UNABLE_TO_PROCESS = 0xC000


@contextmanager
def finder(matching: Matching) -> Iterator[tuple[FindSCU, ArchiveSCP]]:
    """Yield a C-FIND SCU and its server, which has images 0 to 11."""
    with ArchiveSCP(matching=matching) as server:
        store(server, *(image(n) for n in range(STORED)))
        yield find_scu(server), server


def references(*numbers: int) -> list[ImageReference]:
    return [reference(n) for n in numbers]


def asked_of(server: ArchiveSCP) -> list[int]:
    """Return the number of UIDs in each query, 0 for a query for a series."""
    lists = [query.SOPInstanceUID for query in server.queries]
    return [1 if isinstance(uid, str) and uid else len(uid or ()) for uid in lists]


def test_a_list_is_one_query() -> None:
    """One query has exactly the requested images of a series."""
    with finder(by_list) as (find, server):
        assert find.verify(references(*range(5))) == Verification(uids(*range(5)))
    assert asked_of(server) == [5]
    (query,) = server.queries
    assert (query.QueryRetrieveLevel, query.StudyInstanceUID) == ("IMAGE", STUDY)
    assert query.SeriesInstanceUID == SERIES
    assert set(query.SOPInstanceUID) == uids(*range(5))


def test_a_query_respects_the_maximum_value_length() -> None:
    """The list of a query fits into one value of 64 KiB (PS3.5 7.1.2)."""
    longest = [ImageReference(CT, f"1.{10**61 + n}", STUDY, SERIES) for n in range(1500)]
    with ArchiveSCP() as server:
        answer = find_scu(server).verify(longest)
        sizes = [len("\\".join(query.SOPInstanceUID)) for query in server.queries[:2]]
    assert len(answer.absent) == 1500
    assert MAX_LIST - 65 < sizes[0] <= MAX_LIST
    assert sum(asked_of(server)) == 1500


@pytest.mark.parametrize(
    "matching",
    [
        by_list,
        ignoring_uids,
        ignoring_lists(STORED - 2),
        finding_no_list,
        finding_first_of_list,
        refusing_lists,
        limited(3),
        limited(3, OUT_OF_RESOURCES),
        limited(3, WARNING),
        limited(3, SUCCESS),
        limited(1),
        refusing_over(3),
    ],
    ids=[
        "lists",
        "ignores UIDs",
        "ignores lists, silently limited",
        "finds no list",
        "first only",
        "refuses lists",
        "limited, 0xFE00",
        "limited, 0xA700",
        "limited, 0xB000",
        "silently limited",
        "limited to 1",
        "refuses long lists",
    ],
)
def test_existing_and_missing_images_are_distinguished(matching: Matching) -> None:
    """Each image is correctly verified or absent, however the server responds."""
    with finder(matching) as (find, _):
        for _ in range(2):
            answer = find.verify(references(*range(2, STORED + 3)))
            assert answer == Verification(uids(*range(2, STORED)), uids(12, 13, 14))


def test_images_missing_in_a_list_are_queried_again() -> None:
    """A server that is known to support lists needs no query for the series."""
    with finder(by_list) as (find, server):
        for _ in range(2):
            answer = find.verify(references(*range(5), 12, 13))
            assert answer == Verification(uids(*range(5)), uids(12, 13))
    assert asked_of(server) == [7, 2] * 2


def test_a_limit_costs_a_query_for_each_part() -> None:
    """After the limit is detected, lists are not longer than it."""
    with finder(limited(3)) as (find, server):
        find.verify(references(*range(STORED)))
    assert asked_of(server) == [12, 3, 3, 3]


def test_a_rejected_list_is_halved() -> None:
    """Status A7xx for a long list does not mean that an image is absent."""
    with finder(refusing_over(3)) as (find, server):
        find.verify(references(*range(3)))
        assert find.verify(references(*range(STORED))) == Verification(uids(*range(STORED)))
    assert asked_of(server) == [3, 12, 6, 3, 3, 6, 3, 3]


def test_a_failed_list_at_a_server_with_lists_is_a_failure() -> None:
    """The query for the series would fail, too."""

    def match(asked: Sequence[str], stored: Sequence[str]) -> tuple[Sequence[str], int]:
        return ((), UNABLE_TO_PROCESS) if len(asked) == 4 else by_list(asked, stored)

    with finder(match) as (find, server):
        find.verify(references(0, 1))
        assert find.verify(references(0, 1, 2, 3)).unknown.keys() == uids(0, 1, 2, 3)
    assert asked_of(server) == [2, 4]


def test_a_server_without_lists_is_queried_by_series() -> None:
    """The list is tried once."""
    with finder(finding_no_list) as (find, server):
        for _ in range(3):
            assert find.verify(references(*range(5))).verified == uids(*range(5))
    assert asked_of(server) == [5, 0, 0, 0]


def test_images_missing_in_a_series_are_queried_individually() -> None:
    """A server without support for lists may limit its responses silently."""

    def match(asked: Sequence[str], stored: Sequence[str]) -> tuple[Sequence[str], int]:
        return limited(10, SUCCESS)(asked, stored) if len(asked) < 2 else ((), SUCCESS)

    with finder(match) as (find, server):
        answer = find.verify(references(*range(13)))
    assert answer == Verification(uids(*range(12)), uids(12))
    assert asked_of(server) == [13, 0, 1, 1, 1]


def test_a_server_that_aborts_on_a_list_is_queried_by_series() -> None:
    """If it aborts the association or crashes, a new association is opened."""

    def match(asked: Sequence[str], stored: Sequence[str]) -> tuple[Sequence[str], int]:
        if len(asked) > 1:
            for association in server.ae.active_associations:
                association.abort()
        return by_list(asked, stored)

    with finder(match) as (find, server):
        for _ in range(2):
            assert find.verify(references(1, 2, 13)) == Verification(uids(1, 2), uids(13))
    assert asked_of(server) == [3, 0, 1, 0, 1]


def test_a_server_that_takes_lists_may_be_out_of_resources() -> None:
    """Later images are still queried by lists."""

    def match(asked: Sequence[str], stored: Sequence[str]) -> tuple[Sequence[str], int]:
        is_busy = len(server.queries) == 2
        return ((), OUT_OF_RESOURCES) if is_busy else by_list(asked, stored)

    with finder(match) as (find, server):
        for numbers in ((0, 1), (2, 3), (4, 5)):
            assert find.verify(references(*numbers)) == Verification(uids(*numbers))
    assert asked_of(server) == [2, 2, 1, 1, 2]


@pytest.mark.parametrize("status", [None, NOT_OF_THIS_CLASS, UNABLE_TO_PROCESS])
def test_a_failed_list_is_not_repeated(status: int | None) -> None:
    """This holds even if the server has no image of the list."""

    def match(asked: Sequence[str], stored: Sequence[str]) -> tuple[Sequence[str], int]:
        if len(asked) < 2:
            return by_list(asked, stored)
        for association in () if status else server.ae.active_associations:
            association.abort()
        return (), status or SUCCESS

    with finder(match) as (find, server):
        for series in ("1.2.9.1", "1.2.9.2"):
            missing = [reference(n, series) for n in (12, 13)]
            assert find.verify(missing).absent | find.verify(missing).unknown.keys() == uids(12, 13)
        assert find.given_up is None
    assert asked_of(server).count(2) == 1


def test_a_rejected_series_has_not_lost_its_images() -> None:
    """If a server is out of resources for a series, each image is queried."""

    def match(asked: Sequence[str], stored: Sequence[str]) -> tuple[Sequence[str], int]:
        status = SUCCESS if asked else OUT_OF_RESOURCES
        return by_list(asked, stored) if len(asked) == 1 else ((), status)

    with finder(match) as (find, server):
        assert find.verify(references(0, 1, 12)) == Verification(uids(0, 1), uids(12))
    assert asked_of(server) == [3, 0, 1, 1, 1]


def test_a_rejected_image_is_not_absent() -> None:
    """Status A7xx for a single image leaves it unknown."""
    with finder(lambda *_: ((), OUT_OF_RESOURCES)) as (find, _):
        answer = find.verify(references(1))
    text = f"{wording.FIND_FAILED} 0xA700 Refused: Out of Resources"
    assert [reason.text for reason in answer.unknown.values()] == [text]


@pytest.mark.parametrize("bad", ["", "1.2\\1.3", "1.2.*", "1.2 3"])
def test_an_image_without_a_valid_uid_is_unknown(bad: str) -> None:
    """A missing UID would match all; a backslash would make two UIDs of one."""
    with finder(by_list) as (find, server):
        for image_ in (
            ImageReference(CT, "1.2.3", bad, SERIES),
            ImageReference(CT, "1.2.3", STUDY, bad),
            ImageReference(CT, bad, STUDY, SERIES),
        ):
            unknown = {image_.sop_instance_uid: Reason(Kind.NOT_QUERYABLE)}
            assert find.verify([image_, reference(1)]) == Verification(uids(1), unknown=unknown)
    assert asked_of(server) == [1, 1, 1]


@pytest.mark.parametrize("limit", [1, 5])
def test_orthanc_with_a_limit_finds_all(limit: int) -> None:
    """Orthanc ends a query at LimitFindInstances, with status 0xFE00."""
    with Orthanc(LimitFindInstances=limit) as server:
        store(server, *(image(n) for n in range(STORED)))
        find = find_scu(server)
        asked = references(*range(STORED + 2))
        assert find.verify(asked) == Verification(uids(*range(STORED)), uids(12, 13))
        assert len(find.present(STUDY, SERIES)) == limit


@pytest.mark.parametrize("kind", [Orthanc, DcmQRSCP])
def test_servers_accept_a_list_of_maximum_length(kind: type[Orthanc] | type[DcmQRSCP]) -> None:
    """A list of 64 KiB is answered with the existing images."""
    others = [ImageReference(CT, f"1.{10**61 + n}", STUDY, SERIES) for n in range(990)]
    with kind() as server:
        store(server, *(image(n) for n in range(3)))
        answer = find_scu(server).verify(others + references(0, 1, 2))
    assert answer.verified == uids(0, 1, 2)
    assert len(answer.absent) == 990
