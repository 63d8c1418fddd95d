"""A listener accepts expected transaction reports and rejects everything else."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from pynetdicom.dsutils import encode
from pynetdicom.pdu import A_ASSOCIATE_RJ

from fw_gear_dicom_send.errors import ConfigError
from fw_gear_dicom_send.network.commitment_listener import (
    MAX_CONNECTIONS,
    MAX_REFUSALS_LOGGED,
    CommitmentListener,
)
from fw_gear_dicom_send.network.contexts import Context
from fw_gear_dicom_send.network.protocol import Protocol
from fw_gear_dicom_send.values import replace
from tests.support.pacs import free_port
from tests.support.pdus import event_report
from tests.support.reporting import PACS, answer, connected, report
from tests.support.waiting import LONG_TIMEOUTS, PATIENCE, wait_for

UID = "1.2.3"
COMMITMENT = Context("1.2.840.10008.1.20.1", "1.2.840.10008.1.2")
SUCCESS, PROCESSING_FAILURE = 0x0000, 0x0110


@pytest.fixture
def listener() -> Iterator[CommitmentListener]:
    """Listener for reports of the AE PACS to the AE SENDER."""
    with CommitmentListener(free_port(), PACS, timeouts=LONG_TIMEOUTS) as listening:
        yield listening


def log_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the log lines of the listener."""
    return [one.getMessage() for one in caplog.records if one.name.startswith("fw_gear_dicom_send")]


def reported(listener: CommitmentListener, number: int = 1) -> None:
    """Report an expected transaction."""
    uids = [f"1.2.{n}" for n in range(number)]
    with listener.expecting(UID):
        assoc = connected(listener.port)
        assert answer(assoc, report(UID, uids)) == SUCCESS
        assoc.release()
        found = listener.report(UID, PATIENCE)
    assert found is not None
    assert [item.ReferencedSOPInstanceUID for item in found.ReferencedSOPSequence] == uids


@pytest.mark.parametrize("number", [1, 1000])
def test_an_expected_report_is_accepted(listener: CommitmentListener, number: int) -> None:
    """It is answered with success, in one PDU or several, also repeatedly."""
    for _ in range(3):
        reported(listener, number)


@pytest.mark.parametrize("transaction", ["1.2.4", ""])
def test_a_report_of_another_transaction_is_rejected(
    listener: CommitmentListener, caplog: pytest.LogCaptureFixture, transaction: str
) -> None:
    """Only the server knows the UID; the correct report may follow."""
    with listener.expecting(UID):
        assoc = connected(listener.port)
        refused = answer(assoc, report(transaction, ["1.2"]))
        assert listener.report(UID, 0) is None
        assert (refused, answer(assoc, report(UID, ["1.2"]))) == (PROCESSING_FAILURE, SUCCESS)
        assoc.release()
    cause = "Report rejected: its transaction is unknown, or has ended"
    assert log_lines(caplog) == [f"Port {listener.port}: {cause}"]


def test_a_late_report_is_rejected(listener: CommitmentListener) -> None:
    """No thread waits for it any more."""
    with listener.expecting(UID):
        assert listener.report(UID, 0) is None
    assoc = connected(listener.port)
    assert answer(assoc, report(UID, ["1.2"])) == PROCESSING_FAILURE
    assoc.release()


@pytest.mark.parametrize(
    ("titles", "reason", "cause"),
    [
        (("OTHER", "SENDER"), 3, "calling AE title 'OTHER', not 'PACS'"),
        (("PACS", "OTHER"), 7, "called AE title 'OTHER', not 'SENDER'"),
    ],
)
def test_other_ae_titles_are_rejected(
    listener: CommitmentListener,
    caplog: pytest.LogCaptureFixture,
    titles: tuple[str, str],
    reason: int,
    cause: str,
) -> None:
    """The response (PS3.8 9.3.4) and the log name the unknown title."""
    rejections: list[A_ASSOCIATE_RJ] = []
    connected(listener.port, *titles, rejected=rejections.append)
    assert [(one.result, one.reason_diagnostic) for one in rejections] == [(1, reason)]
    line = f"Port {listener.port}: Association rejected: {cause}"
    assert wait_for(lambda: log_lines(caplog) == [line])
    reported(listener)


def test_only_reports_are_accepted(listener: CommitmentListener) -> None:
    """C-ECHO is rejected, and the peer may only be an SCP."""
    assoc = connected(listener.port)
    (accepted,) = assoc.accepted_contexts
    assert accepted.abstract_syntax == "1.2.840.10008.1.20.1"
    assert (accepted.as_scu, accepted.as_scp) == (False, True)
    assert [one.result for one in assoc.rejected_contexts] == [3]
    assoc.release()
    assert assoc.is_released


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\x01\x00\xff\xff\xff\xff",
        b"\x01\x00\x00\x00\x00\x04\x00\x01\x00\x00",
        b"\x04\x00\x00\x00\x00\x04\x00\x00\x00\x00",
        b"\x01\x00\x00\x00\x00\x48" + bytes(68) + b"\x20\x00\xff\xff",
    ],
)
def test_other_data_ends_only_its_connection(listener: CommitmentListener, data: bytes) -> None:
    """The next connection is served, whatever the data is."""
    with socket.create_connection(("127.0.0.1", listener.port), PATIENCE) as connection:
        connection.sendall(data)
        assert connection.recv(100)[:1] == b"\x07"
        assert connection.recv(100) == b""
    reported(listener)


def test_silent_connections_block_nothing(listener: CommitmentListener) -> None:
    """The oldest ones are closed."""
    with ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", listener.port), PATIENCE))
            for _ in range(3 * MAX_CONNECTIONS)
        ]
        reported(listener)
        assert silent[0].recv(1) == b""


def test_a_connection_has_a_time_limit() -> None:
    """A connection that sends a byte occasionally is closed as well."""
    timeouts = replace(LONG_TIMEOUTS, commitment=0.5)
    with (
        CommitmentListener(free_port(), PACS, timeouts=timeouts) as listener,
        socket.create_connection(("127.0.0.1", listener.port), PATIENCE) as connection,
    ):
        connection.sendall(b"\x01")
        assert connection.recv(1) == b""


def test_rejections_are_logged_a_few_times(
    listener: CommitmentListener, caplog: pytest.LogCaptureFixture
) -> None:
    """The log stays short, whatever connects."""
    for _ in range(MAX_REFUSALS_LOGGED + 5):
        connected(listener.port, "OTHER")
    assert len(log_lines(caplog)) == MAX_REFUSALS_LOGGED
    assert log_lines(caplog)[-1].endswith(". Further rejections are not logged")


def test_it_ends_with_its_connections() -> None:
    """A connected peer is disconnected, and the port is free."""
    port = free_port()
    with CommitmentListener(port, PACS, timeouts=LONG_TIMEOUTS):
        assoc = connected(port)
        assert assoc.is_established
    assert wait_for(lambda: not assoc.is_established)
    assoc.dul.socket.close()
    with CommitmentListener(port, PACS, timeouts=LONG_TIMEOUTS) as again:
        reported(again)


def test_it_leaves_no_thread() -> None:
    """Silent connections end with it, and so do their threads."""
    before = set(threading.enumerate())
    with ExitStack() as stack:
        with CommitmentListener(free_port(), PACS, timeouts=LONG_TIMEOUTS) as listener:
            for _ in range(MAX_CONNECTIONS):
                address = ("127.0.0.1", listener.port)
                stack.enter_context(socket.create_connection(address, PATIENCE))
            assert wait_for(lambda: threading.active_count() > len(before) + MAX_CONNECTIONS)
        assert set(threading.enumerate()) <= before


def test_a_report_with_the_end_of_the_connection_counts(listener: CommitmentListener) -> None:
    """A server need not wait for the answer."""
    asks = Protocol(replace(PACS, called_ae="SENDER", calling_ae="PACS"), [COMMITMENT])
    encoded = encode(report(UID, ["1.2"]), True, True)
    with listener.expecting(UID):
        with socket.create_connection(("127.0.0.1", listener.port), PATIENCE) as connection:
            connection.sendall(asks.request() + event_report(1, encoded))
        assert listener.report(UID, PATIENCE)


def test_a_port_that_is_in_use_is_reported(listener: CommitmentListener) -> None:
    """The run cannot begin."""
    with (
        pytest.raises(ConfigError, match=r"commit_port: .*Address already in use"),
        CommitmentListener(listener.port, PACS),
    ):
        pass
