"""How long trouble is borne: one clock, which a success sets back."""

import threading

import pytest

from fw_gear_dicom_send.network import patience
from fw_gear_dicom_send.network.patience import Patience


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(patience, "monotonic", made)
    return made


def test_it_begins_with_the_first_trouble(clock: Clock) -> None:
    """The time before does not count, and further trouble does not set the clock back."""
    patient = Patience(300)
    clock.now += 10_000
    assert not patient.is_over()
    clock.now += 200
    assert not patient.is_over()
    clock.now += 99.9
    assert not patient.is_over()
    clock.now += 0.1
    assert patient.is_over()


def test_a_success_begins_it_anew(clock: Clock) -> None:
    """The next trouble after a success has the whole time."""
    patient = Patience(300)
    for _ in range(5):
        assert not patient.is_over()
        clock.now += 299
        assert not patient.is_over()
        patient.renew()
        clock.now += 1000
    assert not patient.is_over()


@pytest.mark.usefixtures("clock")
def test_without_time_no_trouble_is_borne() -> None:
    """With 0 seconds the first trouble is the last, also after a success."""
    patient = Patience(0)
    assert patient.is_over()
    patient.renew()
    assert patient.is_over()


def test_one_image_has_a_third_of_the_time_while_none_is_accepted(clock: Clock) -> None:
    """Trouble of all images is not held against one; in the end others have to get their turn."""
    patient = Patience(300)
    began_at = clock.now
    clock.now += 99
    assert not patient.is_over_for_one(began_at, tried_at=clock.now - 1)
    clock.now += 1
    assert patient.is_over_for_one(began_at, tried_at=clock.now - 1)


def test_one_image_has_had_its_share_when_others_are_accepted(clock: Clock) -> None:
    """A success since its last try tells that the trouble is its own; one before that does not."""
    patient = Patience(300)
    began_at = clock.now
    clock.now += 10
    patient.renew()
    clock.now += 10
    assert not patient.is_over_for_one(began_at, tried_at=clock.now - 5)
    assert patient.is_over_for_one(began_at, tried_at=clock.now - 15)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "no answer"), (300, "the server was given up after 300 s of trouble: no answer")],
)
def test_it_says_how_long_it_was(seconds: float, told: str) -> None:
    """The reason has the time only where there was one."""
    assert Patience(seconds).explain("no answer") == told


def test_a_success_while_trouble_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another thread notes between two looks at the clock does no harm."""
    looks: list[int] = []

    def look() -> float:
        looks.append(1)
        if len(looks) % 2:
            patient.renew()
        return 1000.0

    monkeypatch.setattr(patience, "monotonic", look)
    patient = Patience(1)
    assert not patient.is_over()
    assert not patient.is_over()
    assert looks


def test_threads_share_it() -> None:
    """Trouble and success may be noted by many threads at once."""
    patient = Patience(60)
    over: list[bool] = []

    def use() -> None:
        for _ in range(2000):
            patient.renew()
            over.append(patient.is_over())

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(over) == 8000
    assert not any(over)
