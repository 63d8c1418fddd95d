"""Each response status has its own outcome."""

import re
from collections import Counter
from pathlib import Path

from tests.support.fault_asserts import assert_ended_soon, assert_true_report
from tests.support.fault_runs import (
    ALL_SENT,
    always,
    number_of,
    run_gear,
)
from tests.support.fault_scp import Peer
from tests.support.fault_scripts import RETRY_SECONDS

CODE = re.compile("0x....")
STATUSES: dict[int, tuple[int, ...]] = {
    2: (0xB000,),
    3: (0x0111,),
    4: (0xA700,),
    5: (0xA700, 0xA700, 0x0000),
    6: (0x0213, 0x0000),
    7: (0xA777,),
    8: (0xC000,),
    9: (0x0122,),
    10: (0x0124,),
    11: (0xA700, 0xC001),
}
"""Statuses for each image; the last one repeats; the default is Success."""


def test_each_status_has_its_own_outcome(tmp_path: Path) -> None:
    """Warnings count as sent, A700, 0213 and Cxxx are retried, and other failures are final."""
    for run in run_gear(tmp_path, always(answer_by_status), send_retry_time=3 * RETRY_SECONDS):
        assert_true_report(run)
        assert run.acknowledged == [1, 2, 5, 6, 12]
        tries = Counter(number_of(image.sop_instance_uid) for image in run.images)
        assert tries == Counter(range(1, 13)) + Counter({4: 2, 5: 2, 6: 1, 8: 1, 11: 1})
        assert {
            CODE.findall(reason)[0]: number for reason, number in run.not_sent.items()
        } == dict.fromkeys(
            ("0x0111", "0xA700", "0xA777", "0xC000", "0x0122", "0x0124", "0xC001"), 1
        )
        assert "a.zip: 1 image sent (status 0xB000" in run.result.log
        assert run.rows["a.zip"] == ("5", "3", "Incomplete")
        assert run.rows["b.tgz"] == ("6", "1", "Incomplete")
        assert run.rows["c.dcm"] == ALL_SENT["c.dcm"]
        assert run.result.exit_code == 1
        assert_ended_soon(run)


def answer_by_status(peer: Peer) -> None:
    peer.accept()
    while True:
        image = peer.read_image()
        uids = [one.sop_instance_uid for one in peer.server.images]
        statuses = STATUSES.get(number_of(image.sop_instance_uid), (0x0000,))
        tries = uids.count(image.sop_instance_uid)
        peer.answer(image, statuses[min(tries, len(statuses)) - 1])


def test_a_server_that_runs_out_of_resources_is_tried_three_times(tmp_path: Path) -> None:
    """It stores some images and then none; the others are reported with the server's comment."""
    for run in run_gear(tmp_path, always(run_out)):
        assert_true_report(run)
        assert {CODE.findall(reason)[0] for reason in run.not_sent} == {"0xA700"}
        assert sum(run.not_sent.values()) == 8
        assert run.rows["a.zip"] == ("5", "4", "Incomplete")
        assert len(run.images) == 4 + 3 * 8
        assert_ended_soon(run)


def run_out(peer: Peer) -> None:
    """Accept only the first four images."""
    peer.accept()
    while True:
        image = peer.read_image()
        peer.answer(image, 0x0000 if number_of(image.sop_instance_uid) <= 4 else 0xA700)
