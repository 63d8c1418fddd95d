"""An archive gets the first image of each study alone."""

from concurrent.futures import ThreadPoolExecutor
from threading import Condition

from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.values import replace
from tests.support.instances import made_instance
from tests.support.pacs import CStore, PythonSCP
from tests.support.peers import peer_of
from tests.support.results import SENT, final, outcomes
from tests.support.sending import unconverted

THREADS, STUDIES, IMAGES = 4, 3, 5
PROCESSING_FAILURE = 0x0110
TIME_TO_CREATE = 0.3


class Archive:
    """An archive that fails to store images of a study while it creates it (0110).

    Creating takes 0.3 s, or until another image of the study arrives.
    """

    def __init__(self) -> None:
        self._studies: dict[str, bool] = {}
        self._changed = Condition()

    def store(self, request: CStore) -> int:
        """Return the status of an image."""
        study = dcmread(DicomBytesIO(request.file())).StudyInstanceUID
        with self._changed:
            if study in self._studies:
                is_created = self._studies[study]
                self._changed.notify_all()
                return 0 if is_created else PROCESSING_FAILURE
            self._studies[study] = False
            self._changed.wait(TIME_TO_CREATE)
            self._studies[study] = True
            return 0


def test_no_image_arrives_while_its_study_is_created() -> None:
    """Four associations send the images of three studies of three patients."""
    images = [
        replace(
            made_instance(IMAGES * study + number, StudyInstanceUID=f"1.2.{study}"),
            study_instance_uid=f"1.2.{study}",
            patient=study + 1,
        )
        for study in range(STUDIES)
        for number in range(IMAGES)
    ]
    archive = Archive()
    with PythonSCP(status=archive.store) as server, ThreadPoolExecutor(THREADS) as threads:
        scu = StorageSCU(peer_of(server), unconverted, associations=THREADS)
        results = [final(result) for result in threads.map(scu.send, images)]
        scu.close()
    assert outcomes(results) == [SENT] * len(images)
