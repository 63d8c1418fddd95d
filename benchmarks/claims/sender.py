"""Stamping and sending of the gear, combined as in its pipeline."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.claims.outcome import MeasurementError
from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.temporary_files import write_temporary_file
from fw_gear_dicom_send.dicom.transcode import FrameDecoders, convert
from fw_gear_dicom_send.dicom.types import PrivateTag, SOPInstance
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.tls import TLSContext
from fw_gear_dicom_send.network.transport import Transport
from fw_gear_dicom_send.network.types import PeerAE
from tests.support.pacs import HOST

TAG = PrivateTag(group=0x0021, creator="Flywheel", value="DICOM send")


@contextmanager
def storage_scu(
    port: int,
    called_ae: str,
    work: Path,
    *,
    associations: int,
    tls_context: TLSContext | None = None,
) -> Iterator[StorageSCU]:
    """Return an SCU for a server on this machine with a maximum number of associations."""
    gc.collect()
    gc.freeze()
    peer = PeerAE(HOST, port, called_ae, "flywheel")
    with FrameDecoders(work) as decoders:
        conversion = partial(convert, decoders=decoders, work=work)
        transport = Transport(tls_context)
        scu = StorageSCU(peer, conversion, associations=associations, transport=transport)
        try:
            yield scu
            scu.close()
        finally:
            scu.abort()


def stamped(file: bytes, work: Path) -> SOPInstance:
    """Return the image of a DICOM file, ready to send."""
    instance = stamp(write_temporary_file([file], work), TAG, work)
    if not isinstance(instance, SOPInstance):
        raise MeasurementError(instance.reason.text)
    return instance
