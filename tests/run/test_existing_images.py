"""A server is queried once for the existing images of a series."""

import pytest

from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.run.known_images import KnownImages
from tests.support import wording
from tests.support.archive_scp import ArchiveSCP
from tests.support.instances import made_instance
from tests.support.pacs import StoreSCP
from tests.support.querying import find_scu
from tests.support.series import SERIES, STUDY, image, store


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
    """A query without them would match all studies."""
    with ArchiveSCP() as server:
        find = find_scu(server)
        store(server, made_instance(1))
        nameless = image(1)
        stored_images = KnownImages(find)
        for missing in ("study_instance_uid", "series_instance_uid"):
            values = vars(nameless) | {missing: ""}
            assert not stored_images.is_on_server(SOPInstance(**values))
        assert server.queries == []


def test_a_server_without_queries_has_no_existing_images(
    caplog: pytest.LogCaptureFixture, storescp: StoreSCP
) -> None:
    """The log says so once, although there are more series than the cache can store."""
    find = find_scu(storescp)
    stored_images = KnownImages(find)
    assert not any(stored_images.is_on_server(image(0, f"1.2.9.{n % 70}")) for n in range(140))
    assert caplog.messages == [
        f"{wording.CANNOT_CHECK_EXISTING}; {wording.SENDING_ALL}: {wording.NOT_SUPPORTED} "
        f"{wording.STUDY_ROOT}"
    ]
