"""Tests of whole gear runs against faulty servers."""

import pytest

pytest.register_assert_rewrite("tests.support.fault_asserts")
