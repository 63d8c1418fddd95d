"""A server is queried once for the existing images of a series."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from pydicom.dataset import Dataset

from fw_gear_dicom_send.delivery.sender import QueryError
from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.run.known_images import KnownImages
from tests.support import wording
from tests.support.archive_scp import ArchiveSCP
from tests.support.instances import made_instance
from tests.support.matching import Found, by_list
from tests.support.pacs import StoreSCP
from tests.support.querying import find_scu
from tests.support.series import OTHER, SERIES, STUDY, image, store, uids
from tests.support.waiting import PATIENCE

UNABLE_TO_PROCESS = 0xC000


def test_a_series_is_queried_once() -> None:
    """Only its first image costs a query, unless very many series come in between."""
    with ArchiveSCP() as server:
        find = find_scu(server)
        store(server, image(0), image(1))
        stored_images = KnownImages(find)
        assert [stored_images.is_on_server(image(n)) for n in (0, 1, 2)] == [True, True, False]
        assert len(server.queries) == 1
        (query,) = server.queries
        assert (query.StudyInstanceUID, query.SeriesInstanceUID) == (STUDY, SERIES)
        assert query.QueryRetrieveLevel == "IMAGE"
        for number in range(64):
            stored_images.is_on_server(image(0, f"1.2.9.{number}"))
        assert len(server.queries) == 65
        stored_images.is_on_server(image(0))
        assert len(server.queries) == 66


def test_an_image_without_study_or_series_is_not_queried() -> None:
    """A query without them would match all studies, and one with a list several."""
    with ArchiveSCP() as server:
        find = find_scu(server)
        store(server, made_instance(1))
        nameless = image(1)
        stored_images = KnownImages(find)
        for missing in ("study_instance_uid", "series_instance_uid"):
            for bad in ("", "1.2.*", r"1.2\1.3"):
                values = vars(nameless) | {missing: bad}
                with pytest.raises(QueryError) as caught:
                    stored_images.is_on_server(SOPInstance(**values))
                assert caught.value.reason == Reason(Kind.NOT_QUERYABLE)
        assert server.queries == []
        assert find.given_up is None


def test_a_server_without_queries_has_no_existing_images(
    caplog: pytest.LogCaptureFixture, storescp: StoreSCP
) -> None:
    """The log says so once, although there are more series than the cache can store."""
    find = find_scu(storescp)
    stored_images = KnownImages(find)
    for number in range(140):
        with pytest.raises(QueryError) as caught:
            stored_images.is_on_server(image(0, f"1.2.9.{number % 70}"))
        assert caught.value.reason.kind is Kind.NOT_OFFERED
    assert caplog.messages == [
        f"{wording.CANNOT_CHECK_EXISTING} of a series: {wording.NOT_SUPPORTED} {wording.STUDY_ROOT}"
    ]


class Failing(ArchiveSCP):
    """SCP that fails some of its queries."""

    def __init__(self, fails: Callable[[Dataset, int], bool]) -> None:
        super().__init__(matching=self._match)
        self._fails = fails

    def _match(self, asked: Sequence[str], stored: Sequence[str]) -> Found:
        if self._fails(self.queries[-1], len(self.queries)):
            return (), UNABLE_TO_PROCESS
        return by_list(asked, stored)

    @property
    def series(self) -> list[str]:
        """The queried series."""
        return [query.SeriesInstanceUID for query in self.queries]


def found_by(stored_images: KnownImages, instance: SOPInstance) -> bool | Kind:
    """Return whether a query finds an image, or the kind of its failure."""
    try:
        return stored_images.is_on_server(instance)
    except QueryError as exc:
        return exc.reason.kind


def test_a_failed_query_is_retried() -> None:
    """Two failures cost nothing else."""
    with Failing(lambda _, number: number < 3) as server:
        store(server, image(0))
        stored_images = KnownImages(find_scu(server))
        assert [found_by(stored_images, image(n)) for n in (0, 1)] == [True, False]
        assert server.series == [SERIES] * 3


def test_a_failing_series_costs_only_itself() -> None:
    """It is not queried for each image, and the other series are known."""
    with Failing(lambda query, _: query.SeriesInstanceUID == OTHER) as server:
        store(server, image(0))
        find = find_scu(server)
        for _ in range(4):
            stored_images = KnownImages(find)
            assert found_by(stored_images, image(2, OTHER)) is Kind.QUERY_FAILED
            assert found_by(stored_images, image(0)) is True
            assert found_by(stored_images, image(3, OTHER)) is Kind.QUERY_FAILED
        assert server.series == [*[OTHER] * 3, SERIES] * 4
        assert find.given_up is None


def test_three_failing_series_in_a_row_end_the_queries() -> None:
    """The cause of later images is that of the last query; none of them counts as existing."""
    with Failing(lambda *_: True) as server:
        store(server, image(0))
        find = find_scu(server)
        stored_images = KnownImages(find)
        for number in range(6):
            result = found_by(stored_images, image(0, f"1.2.9.{number}"))
            assert result is Kind.QUERY_FAILED
        assert find.given_up is not None
        assert len(server.queries) == 9


def test_other_series_do_not_wait_for_a_query() -> None:
    """The other images of its series do, and have its result."""
    started, ended = Event(), Event()

    class Slow:
        def present(self, _: str, series: str) -> frozenset[str]:
            if series == OTHER:
                started.set()
                assert ended.wait(PATIENCE)
                raise QueryError(Reason(Kind.QUERY_FAILED, "slow"))
            return uids(0)

    stored_images = KnownImages(Slow())
    with ThreadPoolExecutor() as threads:
        slow = threads.submit(found_by, stored_images, image(0, OTHER))
        assert started.wait(PATIENCE)
        slow_too = threads.submit(found_by, stored_images, image(1, OTHER))
        try:
            assert threads.submit(found_by, stored_images, image(0)).result(PATIENCE) is True
            assert not slow_too.done()
        finally:
            ended.set()
        assert slow.result() is slow_too.result() is Kind.QUERY_FAILED
