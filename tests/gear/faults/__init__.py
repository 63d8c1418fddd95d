"""Tests of runs of the whole gear to servers with faults."""

import pytest

pytest.register_assert_rewrite("tests.support.fault_asserts")
