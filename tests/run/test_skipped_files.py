"""Files without an image count once, however often their archive is read."""

from pathlib import Path

from fw_gear_dicom_send import senders
from fw_gear_dicom_send.cli.local_source import LocalReports, LocalSource
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.reasons import Skipped
from fw_gear_dicom_send.retry import ONCE
from fw_gear_dicom_send.run import Waits, run
from tests.support.archive_scp import ArchiveSCP
from tests.support.configs import send_config
from tests.support.sample_files import encoded, made, uid_of


def test_resending_counts_no_skipped_file_again(tmp_path: Path) -> None:
    """The folder is read again to resend an image that the server lost."""
    folder, output = tmp_path / "images", tmp_path / "output"
    for path in (folder, output):
        path.mkdir()
    for number in range(3):
        (folder / f"{number}.dcm").write_bytes(encoded(made(number)))
    (folder / "notes.txt").write_text("no image")
    with ArchiveSCP(lambda uid: uid == uid_of(1)) as server:
        config = send_config(
            PeerAE("127.0.0.1", server.port, server.ae_title, "flywheel"),
            send_retry_time=10,
            associations=1,
            verify="find",
        )
        with senders.of(config, tmp_path) as sender:
            account = run(
                config,
                LocalSource([folder]),
                sender,
                LocalReports(),
                work=tmp_path,
                output=output,
                waits=Waits(verify=ONCE),
            )
    assert [one.sop_instance_uid for one in server.stored].count(uid_of(1)) == 2
    assert (account.images, account.sent) == (3, 2)
    assert account.skipped == {Skipped.NOT_DICOM: 1}
