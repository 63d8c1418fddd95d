"""Queries go to a different AE than images if the options name one."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import wording
from tests.support.archive_scp import ArchiveSCP
from tests.support.pacs import CStore, PythonSCP, free_port
from tests.support.session_runs import SessionRuns

STORING, QUERYING = "STORE", "QUERY"


class QuerySCP(ArchiveSCP):
    """Server that answers queries about another server's images, for a given AE title only."""

    def __init__(self, storing: PythonSCP, **options: Any) -> None:
        super().__init__(accept={}, ae_title=QUERYING, **options)
        self.ae.require_called_aet = True
        self._storing = storing

    @property
    def stored(self) -> tuple[CStore, ...]:
        """UIDs of the images on the other server."""
        return self._storing.stored


@pytest.fixture
def storing() -> Iterator[PythonSCP]:
    """AE of an archive for images."""
    server = PythonSCP(ae_title=STORING)
    server.ae.require_called_aet = True
    with server:
        yield server


@pytest.fixture
def querying(storing: PythonSCP) -> Iterator[QuerySCP]:
    """AE of the archive for queries."""
    with QuerySCP(storing) as server:
        yield server


@pytest.mark.parametrize("verify", ["find", "commit"])
def test_images_are_verified_by_the_other_ae(
    runs: SessionRuns, storing: PythonSCP, querying: QuerySCP, verify: str
) -> None:
    """The AE for images receives no query."""
    runs.add_images("a.zip", range(5))
    ended = runs.send(storing, verify=verify, query_ae=QUERYING, query_port=querying.port)
    assert ended.result.exit_code == 0, ended.result.log
    assert "5 of 5 images verified" in ended.result.log
    assert len(querying.queries) + len(querying.commitments) >= 1
    proposed = {one.abstract_syntax for each in storing.associations for one in each.contexts}
    assert proposed == {"1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2"}


def test_existing_images_are_found_by_the_other_ae(
    runs: SessionRuns, storing: PythonSCP, querying: QuerySCP
) -> None:
    """There is exactly one association for queries besides those for images."""
    querying.ae.maximum_associations = 1
    runs.add_images("a.zip", range(3))
    options = {"skip_existing": True, "verify": "find", "associations": 2}
    sides = {"query_ae": QUERYING, "query_port": querying.port}
    first = runs.send(storing, **options, **sides)
    second = runs.send(storing, **options, **sides)
    assert [one.result.exit_code for one in (first, second)] == [0, 0], second.result.log
    assert (first.outcomes["sent"], second.outcomes["already there"]) == (3, 3)


def test_a_wrong_query_ae_ends_the_run_immediately(
    runs: SessionRuns, storing: PythonSCP, querying: QuerySCP
) -> None:
    """Nothing is sent, and the error names the purpose of the association."""
    runs.add_images("a.zip", range(2))
    ended = runs.send(storing, verify="find", query_ae="WRONG", query_port=querying.port)
    assert ended.result.exit_code == 1
    assert "queries: 127.0.0.1 port" in ended.result.log
    assert f"{wording.UNKNOWN_CALLED_AE} 'WRONG'" in ended.result.log
    assert storing.stored == ()


def test_the_query_ae_is_unused_without_queries(runs: SessionRuns, storing: PythonSCP) -> None:
    """Without `verify` and `skip_existing` the options have no effect."""
    runs.add_images("a.zip", range(2))
    ended = runs.send(storing, query_port=free_port())
    assert (ended.result.exit_code, ended.outcomes["sent"]) == (0, 2)
