"""The time of a frame is limited by its size, and only what exceeds its share is overtime."""

import pytest

from fw_gear_dicom_send.dicom.transcode.frame_processes import FrameTimeouts

TIMEOUTS = FrameTimeouts(start=10, frame=5, mebibyte=1)


@pytest.mark.parametrize(("mebibytes", "seconds"), [(0, 5), (1, 6), (128, 133)])
def test_a_larger_frame_gets_more_time(mebibytes: int, seconds: float) -> None:
    """A machine of a third of the usual speed decodes it in that time."""
    assert TIMEOUTS.cpu_time(mebibytes << 20) == seconds


@pytest.mark.parametrize(
    ("mebibytes", "waited", "overtime"),
    [(0, 0, 0), (0, 4.1, 4), (0, 70, 5), (2, 8, 0), (2, 10.1, 2), (2, 70, 7)],
)
def test_the_overtime_of_a_frame(mebibytes: int, waited: float, overtime: float) -> None:
    """Fast frames do not make up for slow ones, and a paused machine costs little."""
    assert TIMEOUTS.overtime_of(mebibytes << 20, waited) == pytest.approx(overtime)


@pytest.mark.parametrize(("waited", "overtime"), [(1, 0), (10, 5), (99, 5)])
def test_the_overtime_of_a_start(waited: float, overtime: float) -> None:
    """Half of the time limit is usual."""
    assert TIMEOUTS.overtime_of_start(waited) == overtime
