"""Measurements: every run, a row of medians for each sender, and the machine."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

MEGABYTE = 1_000_000
REPLAY = "replay"
TLS_SUFFIX = "-tls"
"""Suffix of the name of a sender that uses TLS; the rest is the name of the plain sender."""


@dataclass(frozen=True)
class Named:
    """Target or sender, and its display name."""

    name: str
    title: str


@dataclass(frozen=True)
class Data:
    """Data set; `raw_seconds` are those of each raw copy of its `bytes`."""

    name: str
    title: str
    images: int
    bytes: int
    raw_seconds: list[float]


@dataclass(frozen=True)
class Run:
    """Run of a sender; a run with a `failure` is shown but not used.

    `sending_seconds` is the time with a connection. The fields of the first image are for a run
    with this image alone, including start-up. Each is None if it was not measured.
    """

    target: str
    data: str
    sender: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    sending_seconds: float | None
    failure: str
    first_image_cpu_seconds: float | None = None
    first_image_seconds: float | None = None
    first_image_sending_seconds: float | None = None


@dataclass(frozen=True)
class Row:
    """Medians of a sender's runs, and the fastest and slowest run.

    `sending_seconds` is the median time with a connection, on which the images and megabytes per
    second are based. `of_replay` is that rate relative to a replay with as many associations.
    `first_image_seconds` is the median for the first image alone, including start-up.
    `images_per_second_after_first` is the rate of the other images while connected.
    `image_cpu_ms` is the CPU time in milliseconds for each of them. `tls_seconds` is the median
    duration of the runs over TLS, if there are any. `times_dcmsend` is the speed relative to
    dcmsend, if that has run. `times_raw` is the duration relative to a raw copy.
    """

    target: str
    data: str
    sender: str
    runs: int
    seconds: float
    fastest_seconds: float
    slowest_seconds: float
    cpu_seconds: float
    peak_megabytes: float
    sending_seconds: float | None
    images_per_second: float | None
    first_image_seconds: float | None
    images_per_second_after_first: float | None
    megabytes_per_second: float | None
    of_replay: float | None
    image_cpu_ms: float | None
    tls_seconds: float | None
    times_dcmsend: float | None
    times_raw: float

    @property
    def best_rate(self) -> float | None:
        """Images per second without the start, or while connected if that was not measured."""
        return self.images_per_second_after_first or self.images_per_second


@dataclass(frozen=True)
class Machine:
    """Machine of the measurements; `versions` has programs and libraries by name."""

    cpu: str
    cores: int
    memory_bytes: int
    system: str
    kernel: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Results:
    """All results; `date` is the date of the run, as YYYY-MM-DD."""

    date: str
    machine: Machine
    targets: list[Named]
    data: list[Data]
    senders: list[Named]
    rows: list[Row]
    runs: list[Run]


def rows_of(runs: Sequence[Run], data: Iterable[Data]) -> list[Row]:
    """Return a row for each target, data set and sender, in the order of their first runs."""
    sets = {item.name: item for item in data}
    good = [run for run in runs if not run.failure]
    keys = dict.fromkeys((run.target, run.data, run.sender) for run in good)
    return [
        _row(good, sets[name], target, sender)
        for target, name, sender in keys
        if not sender.endswith(TLS_SUFFIX)
    ]


def _row(runs: Iterable[Run], data: Data, target: str, sender: str) -> Row:
    here = [run for run in runs if run.target == target and run.data == data.name]
    own = [run for run in here if run.sender == sender]
    seconds = median(run.seconds for run in own)
    dcmsend = [run.seconds for run in here if run.sender == "dcmsend"]
    by_tls = [run.seconds for run in here if run.sender == f"{sender}{TLS_SUFFIX}"]
    sending = _sending_seconds(here, sender)
    replay = _sending_seconds(here, f"{REPLAY}-{associations_of(sender)}")
    return Row(
        target=target,
        data=data.name,
        sender=sender,
        runs=len(own),
        seconds=seconds,
        fastest_seconds=min(run.seconds for run in own),
        slowest_seconds=max(run.seconds for run in own),
        cpu_seconds=median(run.cpu_seconds for run in own),
        peak_megabytes=median(run.peak_bytes for run in own) / MEGABYTE,
        sending_seconds=sending,
        images_per_second=data.images / sending if sending else None,
        first_image_seconds=_median(run.first_image_seconds for run in own),
        images_per_second_after_first=_rate_after_first(own, data.images),
        megabytes_per_second=data.bytes / MEGABYTE / sending if sending else None,
        of_replay=replay / sending if replay and sending else None,
        image_cpu_ms=_image_cpu_ms(own, data.images),
        tls_seconds=_median(by_tls),
        times_dcmsend=median(dcmsend) / seconds if dcmsend else None,
        times_raw=seconds / median(data.raw_seconds),
    )


def associations_of(sender: str) -> int:
    """Return the number of associations of a sender, which is at the end of its name.

    With a server nearby, the command uses up to four by itself.
    """
    found = re.search(r"-(\d+)$", sender)
    return int(found[1]) if found else {"command": 4}.get(sender, 1)


def _sending_seconds(runs: Iterable[Run], sender: str) -> float | None:
    return _median(run.sending_seconds for run in runs if run.sender == sender)


def _rate_after_first(runs: Iterable[Run], images: int) -> float | None:
    """Return the rate while connected without the start of it, or None if not measured."""
    seconds = _median(
        run.sending_seconds - run.first_image_sending_seconds
        for run in runs
        if run.sending_seconds is not None and run.first_image_sending_seconds is not None
    )
    return (images - 1) / seconds if seconds and seconds > 0 else None


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _image_cpu_ms(runs: Iterable[Run], images: int) -> float | None:
    """Return the milliseconds of CPU for each image after the first, None if not measured."""
    beyond = [
        run.cpu_seconds - run.first_image_cpu_seconds
        for run in runs
        if run.first_image_cpu_seconds is not None
    ]
    return 1000 * median(beyond) / (images - 1) if beyond and images > 1 else None


def save(results: Results, path: Path) -> None:
    """Write the results as JSON."""
    path.write_text(json.dumps(asdict(results), indent=1) + "\n")


def load(path: Path) -> Results:
    """Read a file written by `save`; the rows are calculated from the runs."""
    content = json.loads(path.read_text())
    data = [Data(**item) for item in content["data"]]
    runs = [Run(**item) for item in content["runs"]]
    return Results(
        date=content["date"],
        machine=Machine(**content["machine"]),
        targets=[Named(**item) for item in content["targets"]],
        data=data,
        senders=[Named(**item) for item in content["senders"]],
        rows=rows_of(runs, data),
        runs=runs,
    )
