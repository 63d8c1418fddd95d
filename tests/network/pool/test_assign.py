"""Assignment of associations to threads, and requests for new ones."""

import pytest

from fw_gear_dicom_send.network.assign import (
    Decision,
    Idle,
    Lend,
    Open,
    Situation,
    Waiter,
    assign,
)
from fw_gear_dicom_send.network.contexts import Context
from tests.support.pool import CONTEXT, EXPLICIT, MR

OTHER = Context(MR, EXPLICIT)
CT, BOTH, ALONE = Waiter(CONTEXT), Waiter(OTHER), Waiter(CONTEXT, alone=True)
MIXED = Idle([CONTEXT, OTHER], 1.0)
FREE, OLD, DEAD = Idle([CONTEXT], 1.0), Idle([CONTEXT], 0.0), Idle([CONTEXT], 1.0, False)
OPEN = Open(0, None)


@pytest.mark.parametrize(
    ("situation", "decisions"),
    [
        pytest.param(Situation([], [FREE]), [], id="nobody waits"),
        pytest.param(Situation([CT], [FREE]), [Lend(0, 0)], id="an idle one is lent"),
        pytest.param(
            Situation([CT, CT], [FREE], limit=2),
            [Lend(0, 0), Open(1, None)],
            id="the first in line is served first",
        ),
        pytest.param(Situation([CT], limit=1), [OPEN], id="the first one is opened"),
        pytest.param(Situation([CT], lent=1, limit=1), [], id="no more than the limit"),
        pytest.param(Situation([CT], lent=1, limit=2), [OPEN], id="up to the limit"),
        pytest.param(
            Situation([CT, CT, CT], limit=2),
            [OPEN, Open(1, None)],
            id="several are opened at once",
        ),
        pytest.param(
            Situation([CT], lent=1, opening=1, limit=4), [], id="one on its way is waited for"
        ),
        pytest.param(
            Situation([CT, CT], lent=1, opening=1, limit=4),
            [Open(1, None)],
            id="one on its way is for one waiter",
        ),
        pytest.param(
            Situation([CT], [DEAD], limit=1),
            [Open(0, 0)],
            id="one that has ended is replaced",
        ),
        pytest.param(
            Situation([CT], [FREE, DEAD], limit=2),
            [Lend(0, 0)],
            id="one that has ended is not replaced while others are idle",
        ),
        pytest.param(
            Situation([BOTH], [FREE], limit=1),
            [Open(0, 0)],
            id="one that lacks a context is replaced",
        ),
        pytest.param(
            Situation([BOTH], [FREE], limit=2),
            [Open(0, None)],
            id="one that lacks a context stays where there is room",
        ),
        pytest.param(
            Situation([BOTH], [FREE, DEAD], lent=2, limit=4),
            [Open(0, 1)],
            id="one that has ended is replaced before one that is alive",
        ),
        pytest.param(
            Situation([Waiter(CONTEXT, 0.5)], [OLD, FREE], limit=2),
            [Lend(0, 1)],
            id="one from before a loss is not lent",
        ),
        pytest.param(
            Situation([Waiter(CONTEXT, 0.0)], [OLD], limit=1),
            [Open(0, 0)],
            id="one from before a loss is replaced",
        ),
        pytest.param(
            Situation([CT, CT], limit=4, is_down=True),
            [OPEN],
            id="one is opened at first",
        ),
        pytest.param(
            Situation([CT], opening=1, limit=4, is_down=True), [], id="and not a second one"
        ),
        pytest.param(
            Situation([ALONE], [FREE], limit=2),
            [Lend(0, 0)],
            id="what was proposed one SOP class is for who wants it alone",
        ),
        pytest.param(
            Situation([ALONE], [MIXED], limit=1),
            [Open(0, 0)],
            id="what was proposed others as well makes room for it",
        ),
        pytest.param(
            Situation([BOTH, ALONE], [MIXED, FREE], limit=2),
            [Lend(0, 0), Lend(1, 1)],
            id="each gets what it can use",
        ),
    ],
)
def test_decisions(situation: Situation, decisions: list[Decision]) -> None:
    """Each case has its own decisions."""
    assert assign(situation) == decisions
