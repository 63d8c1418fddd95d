"""What was measured: every run, a row of medians for each sender, and the machine."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

MEGABYTE = 1_000_000
TLS_SUFFIX = "-tls"
"""Ends the name of a sender that uses TLS; what is before it is that of the same without."""


@dataclass(frozen=True)
class Named:
    """A target or sender, and its name for a reader."""

    name: str
    title: str


@dataclass(frozen=True)
class Data:
    """A data set; `raw_seconds` are those of each raw copy of its `bytes`."""

    name: str
    title: str
    images: int
    bytes: int
    raw_seconds: list[float]


@dataclass(frozen=True)
class Run:
    """A run of a sender; one with a `failure` is told, and not used."""

    target: str
    data: str
    sender: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    sending_seconds: float | None
    failure: str


@dataclass(frozen=True)
class Row:
    """The medians of a sender's runs, and the fastest and slowest of them.

    `sending_seconds` is the median of the seconds of its connections, where that is known;
    `tls_seconds` is the median of the seconds of its runs by TLS, where there are some;
    `times_dcmsend` is how many times as fast as dcmsend it is, where that has run;
    `times_raw` is how many times as long as a raw copy it takes.
    """

    target: str
    data: str
    sender: str
    runs: int
    seconds: float
    fastest_seconds: float
    slowest_seconds: float
    images_per_second: float
    megabytes_per_second: float
    cpu_seconds: float
    peak_megabytes: float
    sending_seconds: float | None
    tls_seconds: float | None
    times_dcmsend: float | None
    times_raw: float


@dataclass(frozen=True)
class Machine:
    """Where it was measured; `versions` has those of the programs and libraries by name."""

    cpu: str
    cores: int
    memory_bytes: int
    system: str
    kernel: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Results:
    """All of it; `date` is that of the run, as YYYY-MM-DD."""

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
    sending = [run.sending_seconds for run in own if run.sending_seconds is not None]
    return Row(
        target=target,
        data=data.name,
        sender=sender,
        runs=len(own),
        seconds=seconds,
        fastest_seconds=min(run.seconds for run in own),
        slowest_seconds=max(run.seconds for run in own),
        images_per_second=data.images / seconds,
        megabytes_per_second=data.bytes / MEGABYTE / seconds,
        cpu_seconds=median(run.cpu_seconds for run in own),
        peak_megabytes=median(run.peak_bytes for run in own) / MEGABYTE,
        sending_seconds=median(sending) if sending else None,
        tls_seconds=median(by_tls) if by_tls else None,
        times_dcmsend=median(dcmsend) / seconds if dcmsend else None,
        times_raw=seconds / median(data.raw_seconds),
    )


def save(results: Results, path: Path) -> None:
    """Write the results as JSON."""
    path.write_text(json.dumps(asdict(results), indent=1) + "\n")


def load(path: Path) -> Results:
    """Read what `save` has written."""
    content = json.loads(path.read_text())
    return Results(
        date=content["date"],
        machine=Machine(**content["machine"]),
        targets=[Named(**item) for item in content["targets"]],
        data=[Data(**item) for item in content["data"]],
        senders=[Named(**item) for item in content["senders"]],
        rows=[Row(**item) for item in content["rows"]],
        runs=[Run(**item) for item in content["runs"]],
    )
