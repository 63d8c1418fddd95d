"""A dry run negotiates and converts, but sends no image."""

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from fw_gear_dicom_send.delivery.results import NotSent, Planned, Transfer
from fw_gear_dicom_send.reasons import Kind
from tests.support.gear_runs import CT
from tests.support.instances import made_instance
from tests.support.pacs import PythonSCP
from tests.support.sending import SCUFactory


def test_an_image_is_planned(scu: SCUFactory) -> None:
    """It is not sent, and its planned encoding is known."""
    with PythonSCP() as server:
        image = made_instance(1)
        result = scu(server, is_dry=True).send(image)
        assert server.stored == ()
    size = image.dataset.size
    syntax = ExplicitVRLittleEndian
    assert result == Planned(Transfer(tries=1, transfer_syntax_uid=syntax, size=size))


def test_a_conversion_is_a_remark(scu: SCUFactory) -> None:
    """If the server requires another transfer syntax, the plan has that syntax."""
    with PythonSCP({CT: [ImplicitVRLittleEndian]}) as server:
        result = scu(server, is_dry=True).send(made_instance(1))
    assert isinstance(result, Planned)
    assert result.transfer.transfer_syntax_uid == ImplicitVRLittleEndian
    assert [reason.kind for reason in result.remarks] == [Kind.CONVERTED]


def test_an_unaccepted_image_is_not_sent(scu: SCUFactory) -> None:
    """This is known without C-STORE."""
    with PythonSCP({}) as server:
        result = scu(server, is_dry=True).send(made_instance(1))
    assert isinstance(result, NotSent)
    assert result.reason.kind is Kind.NOT_ACCEPTED
