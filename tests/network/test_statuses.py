"""Status categories."""

from pynetdicom.status import code_to_category

from fw_gear_dicom_send.network.statuses import category_of


def test_categories_equal_those_of_pynetdicom() -> None:
    """Each possible status has the same category, except 0001 (PS3.7 C.4.3)."""
    codes = range(0x10000)
    others = {code for code in codes if category_of(code) != code_to_category(code)}
    assert others <= {0x0001}
