"""The number of processes follows the limits of the container, and those of the machine."""

from pathlib import Path

import pytest

from fw_gear_dicom_send.dicom.transcode.capacity import max_processes, usable_cores

GIBIBYTE = 1 << 30
IN_V2, IN_V1 = "0::/\n", "5:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n1:name=systemd:/\n"


def number(
    folder: Path, files: dict[str, str], group: str = IN_V2, cores: int = 16, memory: int = 64
) -> int:
    """Return the number on a machine with cores and GiB of available memory."""
    available = f"MemTotal: 999 kB\nMemAvailable: {memory << 20} kB\n"
    system = {"proc/self/cgroup": group, "proc/meminfo": available}
    groups = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in (system | groups).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return max_processes(cores, folder)


@pytest.mark.parametrize(
    ("files", "group", "expected"),
    [
        ({}, IN_V2, 16),
        ({"cpu.max": "max 100000\n", "memory.max": "max\n"}, IN_V2, 16),
        ({"cpu.max": "400000 100000\n"}, IN_V2, 4),
        ({"cpu.max": "50000 100000\n"}, IN_V2, 1),
        ({"cpu.max": "250000 100000\n"}, IN_V2, 3),
        ({"cpu.max": "6400000 100000\n"}, IN_V2, 16),
        ({"memory.max": f"{GIBIBYTE}\n"}, IN_V2, 4),
        ({"memory.max": "1000\n"}, IN_V2, 1),
        ({"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000"}, "0::/a/b\n", 2),
        ({"../cpu.max": "100000 100000"}, IN_V2, 16),
        ({"a/cpu.max": "200000 100000", "b/cpu.max": "100000 100000"}, "0::/a\n", 2),
    ],
)
def test_limits_of_version_2(
    files: dict[str, str], group: str, expected: int, tmp_path: Path
) -> None:
    """Quotas are rounded up; those of an enclosing group count, those of another do not."""
    assert number(tmp_path, files, group) == expected


@pytest.mark.parametrize(
    ("quota", "memory", "expected"),
    [("-1", 1 << 62, 16), ("400000", 1 << 62, 4), ("50000", 1 << 62, 1), ("-1", GIBIBYTE, 4)],
)
@pytest.mark.parametrize("place", ["", "/docker/1"])
def test_limits_of_version_1(
    quota: str, memory: int, expected: int, place: str, tmp_path: Path
) -> None:
    """The container's group is at the root of the hierarchy, or at its path on the host."""
    files = {
        f"cpu,cpuacct{place}/cpu.cfs_quota_us": f"{quota}\n",
        f"cpu,cpuacct{place}/cpu.cfs_period_us": "100000\n",
        f"memory{place}/memory.limit_in_bytes": f"{memory}\n",
    }
    assert number(tmp_path, files, IN_V1) == expected


def test_controllers_in_another_order(tmp_path: Path) -> None:
    """The hierarchy of several controllers is found by the link for each of them."""
    files = {"cpu/d/cpu.cfs_quota_us": "300000", "cpu/d/cpu.cfs_period_us": "100000"}
    assert number(tmp_path, files, "4:cpuacct,cpu:/d\n") == 3


def test_limits_of_the_machine(tmp_path: Path) -> None:
    """CPU affinity and available memory count without any control group."""
    assert number(tmp_path, {}, "", cores=3) == 3
    assert number(tmp_path, {}, "", memory=2) == 8
    assert number(tmp_path, {}, "", memory=0) == 1


@pytest.mark.parametrize("text", ["", "many 100000", "1 2 3", "100000 0", "-5 -5", "0.5 1"])
def test_limits_that_make_no_sense(text: str, tmp_path: Path) -> None:
    """They are ignored."""
    assert number(tmp_path, {"cpu.max": text, "memory.max": text}) == 16


def test_limits_that_cannot_be_read(tmp_path: Path) -> None:
    """They are ignored, as on systems without control groups."""
    (tmp_path / "sys/fs/cgroup/cpu.max").mkdir(parents=True)
    assert number(tmp_path, {}, "\ngarbage\n0:half\n") == 16
    (tmp_path / "proc/meminfo").write_text("\nMemAvailable:\nMemAvailable: many kB\n")
    assert max_processes(5, tmp_path) == 5
    assert max_processes(5, tmp_path / "missing") == 5


def test_this_machine_has_cores() -> None:
    """This process may run on one at least."""
    assert usable_cores() >= 1
