"""Import rules: order of the packages, and allowed libraries in each."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.preloaded import REPOSITORY

PACKAGE = "fw_gear_dicom_send"
LAYERS = (
    {"documentation", "values"},
    {
        "reasons",
        "retry",
        "text",
        "imports",
        "inflation",
        "name_patterns",
        "server_url",
        "bandwidth",
    },
    {"errors", "mark_key", "report_names", "sections"},
    {"exit_codes", "option_types"},
    {"option_values"},
    {"option_rows"},
    {"options"},
    {"project_settings"},
    {"dicom"},
    {"archive", "delivery"},
    {"network"},
    {"dicomweb"},
    {"models"},
    {"source", "config", "left_out", "account"},
    {"flywheel", "report"},
    {"run"},
    {"senders"},
    {"cli"},
    {"batch", "__main__"},
)
"""Each package imports only from itself and from earlier layers."""
LIBRARIES = {
    "pynetdicom": {"network"},
    "fw_core_client": {"flywheel"},
    "requests": {"flywheel"},
    "gdcm": {"dicom/transcode"},
    "imagecodecs": {"dicom/transcode"},
    "numpy": {"dicom/transcode"},
    "rich": {"cli", "batch"},
    "flywheel_gear_toolkit": set[str](),
}
"""Packages in which a library may be imported."""
LAYER_OF = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}


def violations(package: Path) -> Iterator[str]:
    """Yield the forbidden imports of each module."""
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package).with_suffix("").parts
        for imported in imports(path, place):
            own, top = place[0], imported.split(".")[0]
            if top in LIBRARIES and not any(_is_in(place, room) for room in LIBRARIES[top]):
                yield f"{'/'.join(place)} imports {top}"
            if top != PACKAGE or imported in (f"{PACKAGE}.{own}", f"{PACKAGE}.__version__"):
                continue
            room = imported.split(".")[1]
            if room != own and LAYER_OF[room] >= LAYER_OF[own]:
                yield f"{'/'.join(place)} imports {room}"


def imports(path: Path, place: tuple[str, ...]) -> Iterator[str]:
    """Yield the absolute name of each module, or name in a package, that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(level=0):
                yield str(node.module)
            case ast.ImportFrom():
                above = (PACKAGE, *place)[: -node.level]
                yield from (".".join((*above, node.module or a.name)) for a in node.names)
            case ast.Call(func=ast.Name("import_module"), args=[ast.Constant(str(name))]):
                yield name


def _is_in(place: tuple[str, ...], room: str) -> bool:
    return "/".join(place).startswith(f"{room}/")


def test_packages_import_in_one_direction() -> None:
    """No package imports another one of its own or of a later layer, or another's library."""
    assert list(violations(REPOSITORY / PACKAGE)) == []


@pytest.mark.parametrize(
    ("file", "line", "violation"),
    [
        ("dicom/stamp.py", "from ..network.types import PeerAE", "dicom/stamp imports network"),
        ("archive/reader.py", "from .. import network", "archive/reader imports network"),
        ("report/html.py", "from ..flywheel import Site", "report/html imports flywheel"),
        ("errors.py", "from .models import FileEntry", "errors imports models"),
        ("run/steps.py", "import pynetdicom.ae", "run/steps imports pynetdicom"),
        ("dicom/stamp.py", "import gdcm", "dicom/stamp imports gdcm"),
        ("run/steps.py", "import_module('gdcm')", "run/steps imports gdcm"),
        ("report/html.py", "from rich import print", "report/html imports rich"),
        ("config.py", "def f():\n    from requests import get", "config imports requests"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path: Path, file: str, line: str, violation: str) -> None:
    """A forbidden line in any package is reported with its module."""
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{line}\n")
    assert list(violations(tmp_path)) == [violation]


def test_dicomweb_uses_only_the_base_of_the_network() -> None:
    """It shares connections and the meaning of statuses, but no association."""
    names = (
        "connection contexts errors identity statuses throttle timeouts tls tls_errors "
        "transport types waits"
    )
    used = {
        imported.removeprefix(f"{PACKAGE}.network.").split(".")[0]
        for path in (REPOSITORY / PACKAGE / "dicomweb").glob("*.py")
        for imported in imports(path, ("dicomweb", path.stem))
        if imported.startswith(f"{PACKAGE}.network")
    }
    assert used <= set(names.split())


def test_init_files_contain_no_code() -> None:
    """An `__init__.py` has a docstring, imports and `__all__`; only the package's has a version."""
    for path in (REPOSITORY / PACKAGE).rglob("__init__.py"):
        docstring, *rest = ast.parse(path.read_text()).body
        assert isinstance(docstring, ast.Expr)
        for node in rest:
            names = [target.id for target in getattr(node, "targets", ())]  # of an assignment
            assert isinstance(node, ast.ImportFrom) or names in (["__all__"], ["__version__"]), path


def test_value_classes_are_those_of_the_package() -> None:
    """Only the programs that decode frames use `dataclasses`, as they import no other module."""
    package = REPOSITORY / PACKAGE
    users = {
        path.stem
        for path in package.rglob("*.py")
        if "dataclasses" in imports(path, path.relative_to(package).with_suffix("").parts)
    }
    assert users <= {"frame_decoder", "frame_encoder"}
