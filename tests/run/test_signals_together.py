"""Two signals at almost the same time."""

import signal
from typing import Any

import pytest

from fw_gear_dicom_send.exit_codes import deferred_signals, exit_code

pytestmark = pytest.mark.usefixtures("own_signals")


@pytest.mark.parametrize("is_deferred", [False, True])
def test_the_first_signal_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, is_deferred: bool
) -> None:
    """The log names it, even if the second one arrives before it is ignored."""
    set_handler, late = signal.signal, [signal.SIGINT]

    def interrupted(number: int, handler: Any) -> Any:
        before = set_handler(number, handler)
        if (number, handler) == (signal.SIGTERM, signal.SIG_IGN) and late:
            signal.raise_signal(late.pop())
        return before

    def body() -> int:
        if is_deferred:
            with deferred_signals():
                signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        return 0

    monkeypatch.setattr(signal, "signal", interrupted)
    assert exit_code(body) == 128 + signal.SIGTERM
    assert [record.message.rsplit(" ", 1)[1] for record in caplog.records] == ["SIGTERM"]
