"""Assignment of associations to threads, and requests for new ones."""

from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter
from typing import NamedTuple

import pytest

from fw_gear_dicom_send.network.assign import Decision, Lend, Open, Waiter, assign
from fw_gear_dicom_send.network.contexts import Context
from tests.support.pool import CONTEXT, EXPLICIT, MR

OTHER = Context(MR, EXPLICIT)
CT, BOTH, ALONE = Waiter(CONTEXT), Waiter(OTHER), Waiter(CONTEXT, alone=True)


class Idle(NamedTuple):
    """An unused association."""

    proposed: Sequence[Context]
    opened_at: float
    is_alive: bool = True
    study: str = ""
    answered_at: float = 0.0


decided = partial(partial, assign, is_alive=attrgetter("is_alive"))
MIXED = Idle([CONTEXT, OTHER], 1.0)
FREE, OLD, DEAD = Idle([CONTEXT], 1.0), Idle([CONTEXT], 0.0), Idle([CONTEXT], 1.0, False)
ANSWERS = Idle([CONTEXT], 0.0, answered_at=1.0)
OPEN = Open(0, None)
ONE, TWO = Waiter(CONTEXT, study="1"), Waiter(CONTEXT, study="2")
OF_ONE, DEAD_ONE = Idle([CONTEXT], 1.0, True, "1"), Idle([CONTEXT], 1.0, False, "1")
OTHER_OF_ONE = Idle([OTHER], 1.0, True, "1")


@pytest.mark.parametrize(
    ("decide", "decisions"),
    [
        pytest.param(decided([], [FREE]), [], id="no thread waits"),
        pytest.param(decided([CT], [FREE]), [Lend(0, 0)], id="an idle association is used"),
        pytest.param(
            decided([CT, CT], [FREE], limit=2),
            [Lend(0, 0), Open(1, None)],
            id="the first in line is served first",
        ),
        pytest.param(decided([CT], [], limit=1), [OPEN], id="the first association is opened"),
        pytest.param(decided([CT], [], lent=1, limit=1), [], id="no more than the limit"),
        pytest.param(decided([CT], [], lent=1, limit=2), [OPEN], id="up to the limit"),
        pytest.param(
            decided([CT, CT, CT], [], limit=2),
            [OPEN, Open(1, None)],
            id="several are opened in parallel",
        ),
        pytest.param(
            decided([CT], [], lent=1, opening=1, limit=4),
            [],
            id="a thread waits for a pending association",
        ),
        pytest.param(
            decided([CT, CT], [], lent=1, opening=1, limit=4),
            [Open(1, None)],
            id="a pending association is for one thread",
        ),
        pytest.param(
            decided([CT], [DEAD], limit=1),
            [Open(0, 0)],
            id="an ended association is replaced",
        ),
        pytest.param(
            decided([CT], [FREE, DEAD], limit=2),
            [Lend(0, 0)],
            id="an ended association is not replaced while others are idle",
        ),
        pytest.param(
            decided([BOTH], [FREE], limit=1, is_parallel=True),
            [Open(0, 0)],
            id="an association without the context is replaced",
        ),
        pytest.param(
            decided([BOTH], [FREE], limit=2, is_parallel=True),
            [Open(0, None)],
            id="an association without the context is kept below the limit",
        ),
        pytest.param(
            decided([BOTH], [FREE], limit=2),
            [Open(0, 0)],
            id="an association without the context is replaced if it may be the only one",
        ),
        pytest.param(
            decided([BOTH], [FREE], opening=2, limit=4),
            [Open(0, 0)],
            id="it is replaced also if others are pending",
        ),
        pytest.param(
            decided([BOTH, BOTH, CT], [FREE], limit=4),
            [Open(0, 0), Open(1, None), Open(2, None)],
            id="only what is idle is replaced",
        ),
        pytest.param(
            decided([BOTH], [FREE, DEAD], lent=2, limit=4),
            [Open(0, 1)],
            id="an ended association is replaced before an open one",
        ),
        pytest.param(
            decided([Waiter(CONTEXT, 0.5)], [OLD, FREE], limit=2),
            [Lend(0, 1)],
            id="an association from before a loss is not used",
        ),
        pytest.param(
            decided([Waiter(CONTEXT, 0.0)], [OLD], limit=1),
            [Open(0, 0)],
            id="an association from before a loss is replaced",
        ),
        pytest.param(
            decided([Waiter(CONTEXT, 0.0)], [ANSWERS], limit=1),
            [Lend(0, 0)],
            id="an association from before a loss that answers is used if no other is possible",
        ),
        pytest.param(
            decided([Waiter(CONTEXT, 0.0)], [ANSWERS], limit=2, is_parallel=True),
            [OPEN],
            id="after a loss, a new association is preferred to one that answers",
        ),
        pytest.param(
            decided([Waiter(CONTEXT, 0.0)], [ANSWERS], opening=1, lent=1, limit=3),
            [],
            id="after a loss, a pending association is preferred to one that answers",
        ),
        pytest.param(
            decided([CT, CT], [], limit=1),
            [OPEN],
            id="after an outage only one association is opened",
        ),
        pytest.param(
            decided([CT], [], opening=1, limit=1),
            [],
            id="after an outage no second one is opened",
        ),
        pytest.param(
            decided([ALONE], [FREE], limit=2),
            [Lend(0, 0)],
            id="an association with one SOP class is used for that class alone",
        ),
        pytest.param(
            decided([ALONE], [MIXED], limit=1),
            [Open(0, 0)],
            id="an association with other SOP classes is replaced by one",
        ),
        pytest.param(
            decided([BOTH, ALONE], [MIXED, FREE], limit=2),
            [Lend(0, 0), Lend(1, 1)],
            id="each thread gets a suitable association",
        ),
        pytest.param(
            decided([ONE, TWO], [FREE, OF_ONE], limit=2),
            [Lend(0, 1), Open(1, 0)],
            id="a study gets only an association of its own",
        ),
        pytest.param(
            decided([ONE, ONE], [], limit=4),
            [OPEN],
            id="a study gets one association",
        ),
        pytest.param(
            decided([ONE], [], lent=1, limit=4, studies=["1"]),
            [],
            id="a study waits for its association",
        ),
        pytest.param(
            decided([TWO], [], opening=1, limit=4, studies=["1"]),
            [OPEN],
            id="a pending association of another study is no help",
        ),
        pytest.param(
            decided([TWO], [OF_ONE], limit=1),
            [],
            id="a study waits until another one ends",
        ),
        pytest.param(
            decided([TWO], [OF_ONE], limit=1, may_split=True),
            [Open(0, 0)],
            id="a study replaces the association of another one",
        ),
        pytest.param(
            decided([TWO], [OF_ONE], limit=2, may_split=True),
            [OPEN],
            id="a study with room replaces no association",
        ),
        pytest.param(
            decided([TWO], [DEAD_ONE], limit=1),
            [Open(0, 0)],
            id="a lost association of another study is replaced",
        ),
        pytest.param(
            decided([ONE], [OF_ONE._replace(study="2"), OTHER_OF_ONE], limit=3),
            [Open(0, 1)],
            id="an association of the study without the context is replaced",
        ),
        pytest.param(
            decided([ONE, ONE], [OF_ONE], limit=4, is_parallel=True),
            [Lend(0, 0)],
            id="a second image of the study waits",
        ),
        pytest.param(
            decided([CT], [OF_ONE, OLD], limit=2, is_parallel=True),
            [Lend(0, 1)],
            id="an image without a study uses no association of one",
        ),
        pytest.param(
            decided([CT], [OF_ONE], limit=2),
            [OPEN],
            id="a study is not split while there is room",
        ),
        pytest.param(
            decided([CT], [OF_ONE], limit=1),
            [Open(0, 0)],
            id="an image without a study does not wait for one",
        ),
    ],
)
def test_decisions(decide: Callable[[], list[Decision]], decisions: list[Decision]) -> None:
    """Each case has its own decisions."""
    assert decide() == decisions
