"""An association is used by one thread at a time."""

import pytest

from tests.support.fault_scp import FaultSCP
from tests.support.pool import CONTEXT, pool_of


def test_an_association_is_used_by_one_thread_at_a_time() -> None:
    """It is returned at the end of its block; if the block raises, another one is used."""
    with FaultSCP() as server:
        pool = pool_of(server, 2)
        with pool.association(CONTEXT) as first, pool.association(CONTEXT) as second:
            assert first is not second
        with pool.association(CONTEXT) as again:
            assert again in (first, second)
        with pytest.raises(ValueError, match="boom"), pool.association(CONTEXT) as broken:
            raise ValueError("boom")
        broken.abort()
        with pool.association(CONTEXT) as third, pool.association(CONTEXT) as fourth:
            assert broken not in (third, fourth)
        pool.close()
        assert sorted(server.ends) == ["aborted", "released", "released"]
