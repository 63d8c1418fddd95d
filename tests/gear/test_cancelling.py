"""A cancelled job ends soon and gracefully."""

import csv
import os
import signal
import threading
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from fw_gear_dicom_send.network.timeouts import DEFAULT_TIMEOUTS
from tests.support import wording
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.fault_scripts import never_respond
from tests.support.flywheel_http import Stall
from tests.support.footprint import bytes_on_disk, children, is_bound_to_parent
from tests.support.gear import MAX_START_SECONDS, GearFolder, GearResult
from tests.support.gear_runs import (
    CT,
    Session,
    assert_work_is_empty,
    counts,
    downloads,
    gear_on,
    images,
)
from tests.support.pacs import CStore, PythonSCP
from tests.support.sample_files import (
    ArchiveMember,
    encoded,
    made,
    of_own_study,
    zip_of,
)
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("real_starts")]

SILENCE = DEFAULT_TIMEOUTS.response
"""Seconds that the gear would wait for a response."""


def test_a_cancelled_job_reports_its_results(tmp_path: Path, session: Session) -> None:
    """SIGTERM ends the run with exit code 1 and a report in which no file is complete."""
    site, acquisition = session.site, session.acquisition("A")
    archive = zip_of(tmp_path / "a.zip", images(*range(20)))
    site.add_file(acquisition, "a.zip", archive, file_type="dicom")
    site.add_file(acquisition, "b.zip", archive, file_type="dicom")

    answering = threading.Event()

    def answer_two_and_hold(record: CStore) -> int:
        if record not in scp.stored[:2]:
            answering.wait(MAX_START_SECONDS)
        return 0x0000

    with PythonSCP(status=answer_two_and_hold) as scp:
        running = gear_on(tmp_path, site, scp.port, session.session).start()
        assert wait_for(lambda: len(scp.stored) == 2 + 4, MAX_START_SECONDS)
        running.cancel()
        assert wait_for(running.is_ending)
        answering.set()
        result = running.finish()
    assert result.exit_code == 1
    found = counts(site.reports[0].content)
    assert found["a.zip"][2] == "Incomplete"
    assert int(found["a.zip"][1]) >= 2
    assert found["b.zip"] == ("0", "0", "Failed")
    assert f"{wording.STOPPED_BY} SIGTERM" in result.log
    assert f"b.zip: {wording.NOT_REACHED}" in result.log


@pytest.mark.parametrize("associations", [1, 4])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_images_in_flight_are_finished_when_the_job_is_cancelled(
    tmp_path: Path, session: Session, associations: int, number: signal.Signals
) -> None:
    """In-flight images that the server acknowledges count as sent, and no other is started."""
    site, answering = session.site, threading.Event()
    site.add_file(
        session.acquisition("A"),
        "a.zip",
        zip_of(tmp_path / "a", images(*range(40))),
        file_type="dicom",
    )

    def hold(_: CStore) -> int:
        answering.wait(MAX_START_SECONDS)
        return 0x0000

    with PythonSCP(status=hold) as scp:
        gear = gear_on(tmp_path, site, scp.port, session.session, associations=associations)
        running = gear.start()
        assert wait_for(lambda: len(scp.stored) == associations, MAX_START_SECONDS)
        os.kill(running.pid, number)
        assert wait_for(running.is_ending)
        answering.set()
        result = running.finish()
        assert len(scp.stored) == associations
    assert_cancelled(session, gear, result, number)
    _, sent, status = counts(site.reports[0].content)["a.zip"]
    assert (int(sent), status) == (associations, "Incomplete")


def assert_cancelled(
    session: Session, gear: GearFolder, result: GearResult, number: signal.Signals = signal.SIGTERM
) -> None:
    """Check that the report is attached, one log line names the signal, and no file is left."""
    assert result.exit_code == 1
    assert len(session.site.reports) == 1
    assert (
        f"{wording.STOPPED_BY} {'Ctrl-C' if number is signal.SIGINT else number.name}"
        in result.stderr
    )
    assert "Traceback" not in result.log
    assert_work_is_empty(gear)


def assert_ended_soon(result: GearResult, cancelled_after: float) -> None:
    """Check that the run waited neither for a response of the server nor for the site."""
    assert result.seconds - cancelled_after < SILENCE / 2


@pytest.mark.parametrize(("number", "associations"), [(signal.SIGTERM, 1), (signal.SIGINT, 4)])
def test_a_cancelled_job_does_not_wait_for_a_silent_server(
    tmp_path: Path, session: Session, associations: int, number: signal.Signals
) -> None:
    """The run does not wait for a response; a second signal of either kind changes nothing."""
    site = session.site
    site.add_file(
        session.acquisition("A"),
        "a.zip",
        zip_of(tmp_path / "a", images(*range(40))),
        file_type="dicom",
    )
    with FaultSCP(never_respond) as server:
        gear = gear_on(tmp_path, site, server.port, session.session, associations=associations)
        running = gear.start()
        assert wait_for(lambda: len(server.images) == associations, MAX_START_SECONDS)
        cancelled_after = running.seconds
        os.kill(running.pid, number)
        assert wait_for(running.is_ending)
        for second in (signal.SIGTERM, signal.SIGINT):
            os.kill(running.pid, second)
        result = running.finish()
        assert_ended_soon(result, cancelled_after)
        assert len(server.images) == associations
    assert_cancelled(session, gear, result, number)
    _, sent, status = counts(site.reports[0].content)["a.zip"]
    assert (sent, status) == ("0", "Failed")
    (table,) = (one.content for one in site.uploads if one.name.endswith("_instances.csv"))
    found = csv.DictReader(table.decode().splitlines())
    assert [(row["Code"], row["Tries"]) for row in found] == [("unanswered", "1")] * associations


def test_a_job_is_cancelled_while_a_file_is_downloaded(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """A stalled site does not delay the end, and no partial file is left."""
    site = session.site
    site.fault(
        site.add_file(session.acquisition("A"), "a.dcm", encoded(made(1))),
        Stall(SILENCE, after=500),
    )
    gear = gear_on(tmp_path, site, python_scp.port, session.session)
    running = gear.start()
    assert wait_for(lambda: bool(downloads(site)), MAX_START_SECONDS)
    cancelled_after = running.seconds
    running.cancel()
    result = running.finish()
    assert_ended_soon(result, cancelled_after)
    assert_cancelled(session, gear, result)
    assert counts(site.reports[0].content) == {"a.dcm": ("0", "0", "Failed")}
    assert f"a.dcm: {wording.NOT_REACHED}" in result.log


def test_a_job_is_cancelled_while_an_archive_is_unpacked(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """A large image is abandoned halfway, and none of it is left."""
    site = session.site
    large = ArchiveMember("1.dcm", encoded(made(1)) + bytes(300_000_000))
    site.add_file(
        session.acquisition("A"), "a.zip", zip_of(tmp_path / "a.zip", [large]), file_type="dicom"
    )
    gear = gear_on(tmp_path, site, python_scp.port, session.session)
    running = gear.start()
    work = gear.folder / "work"
    assert wait_for(lambda: bytes_on_disk(work, running.pid) > 10_000_000, MAX_START_SECONDS)
    running.cancel()
    result = running.finish()
    assert_cancelled(session, gear, result)
    assert counts(site.reports[0].content)["a.zip"][1:] == ("0", "Failed")


def test_a_job_is_cancelled_while_decoders_hang(tmp_path: Path, session: Session) -> None:
    """The gear does not wait for their frames, and leaves no decoder running."""
    site, answering = session.site, threading.Event()
    datasets = [of_own_study(number) for number in range(20)]
    for dataset in datasets:
        dataset.compress(RLELossless)
    members = [ArchiveMember(str(number), encoded(one)) for number, one in enumerate(datasets)]
    site.add_file(
        session.acquisition("A"), "a.zip", zip_of(tmp_path / "a.zip", members), file_type="dicom"
    )

    def hold(_: CStore) -> int:
        answering.wait(MAX_START_SECONDS)
        return 0x0000

    with PythonSCP({CT: [ExplicitVRLittleEndian]}, hold) as scp:
        gear = gear_on(tmp_path, site, scp.port, session.session, associations=2)
        running = gear.start()
        assert wait_for(lambda: len(scp.stored) == 2, MAX_START_SECONDS)
        decoders = children(running.pid)
        assert wait_for(lambda: all(map(is_bound_to_parent, decoders)))
        for decoder in decoders:
            os.kill(decoder, signal.SIGSTOP)
        answering.set()
        cancelled_after = running.seconds
        running.cancel()
        result = running.finish()
    assert_ended_soon(result, cancelled_after)
    assert_cancelled(session, gear, result)
    assert decoders
    # The system takes a moment to remove processes that end with their parent.
    assert wait_for(lambda: not any(Path(f"/proc/{decoder}").exists() for decoder in decoders))


def test_a_job_is_cancelled_during_the_server_check(tmp_path: Path, session: Session) -> None:
    """A silent server does not delay the end, and the report has all rows."""
    site = session.site
    site.add_file(session.acquisition("A"), "a.dcm", encoded(made(1)))
    asked = threading.Event()

    def say_nothing(peer: Peer) -> None:
        peer.read_pdu()
        asked.set()
        peer.stall()

    with FaultSCP(say_nothing) as server:
        gear = gear_on(tmp_path, site, server.port, session.session)
        running = gear.start()
        assert asked.wait(MAX_START_SECONDS)
        cancelled_after = running.seconds
        running.cancel()
        result = running.finish()
        assert_ended_soon(result, cancelled_after)
    assert_cancelled(session, gear, result)
    assert counts(site.reports[0].content) == {"a.dcm": ("0", "0", "Failed")}
    assert not downloads(site)
