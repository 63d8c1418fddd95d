"""Several threads can import a library on demand at the same time."""

import subprocess
import sys

import pytest

from tests.support.preloaded import REPOSITORY

CALLS = {
    "dicom.dictionary": ["is_known(0x00100010)", "vr_of(0x00100010)", "description_of(0x00100010)"],
    "dicom.uids": ["name_of('1.2.840.10008.5.1.4.1.2.2.1')"],
    "dicom.privacy": ["identity_tags()", "Identity.of({0x00100010: b'A'}).is_quoted_in('B')"],
    "network.statuses": ["describe(0xC001)", "category_of(0xC001)"],
}
"""Functions that need pydicom or pynetdicom, by module."""
PROGRAM = """
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from threading import Barrier
calls = {calls}
modules = {{name: vars(import_module("fw_gear_dicom_send." + name)) for name in calls}}
assert "pydicom" not in sys.modules
every = [(modules[name], call) for name, of_module in calls.items() for call in of_module]
barrier = Barrier(len(every))
def run(one):
    barrier.wait(60)
    eval(one[1], dict(one[0]))
with ThreadPoolExecutor(len(every)) as pool:
    list(pool.map(run, {order}(every)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("order", ["list", "reversed"])
def test_threads_may_import_a_library_at_the_same_time(order: str) -> None:
    """No thread sees a partially imported module, whichever is first."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(calls=CALLS, order=order)],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
