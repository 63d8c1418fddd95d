"""Make the README's pictures: a report page, and the command at work.

usage: python -m scripts.pictures FOLDER

It runs the gear and the command against DICOM servers on this machine, opens the page in
Chromium, and writes `report.png` and `command.svg`.
"""

import base64
import io
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyte
from rich.console import Console
from rich.text import Text
from selenium.webdriver.common.by import By

from benchmarks.datasets import make_ct, make_mr
from tests.support.browser import chromium
from tests.support.command import run_on_terminal
from tests.support.flywheel_site import FlywheelSite
from tests.support.gear import GearFolder
from tests.support.pacs import Orthanc, StoreSCP
from tests.support.sample_files import ArchiveMember, shipped, zip_of

COLUMNS, LINES = 116, 40
"""Size of the terminal."""
PAGE_WIDTH = 860
"""Width of the report page in CSS pixels."""
SCALE = 1.5
"""Pixels of the picture for each CSS pixel."""
LAST_TABLE = "What went wrong"
"""Heading of the last table in the picture of the page."""
MAX_RUN_SECONDS = 300.0
"""Maximum time of the gear's run in seconds."""
SVG = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font: {char_height}px/{line_height}px ui-monospace, Menlo, Consolas, \
"DejaVu Sans Mono", monospace }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""Template of a terminal for rich, without fonts from other hosts."""
EXPLICIT = "1.2.840.10008.1.2.1"
ACCEPTED = {
    "1.2.840.10008.5.1.4.1.1.2": [EXPLICIT],  # CT
    "1.2.840.10008.5.1.4.1.1.4": [EXPLICIT],  # MR
    "1.2.840.10008.5.1.4.1.1.7": [EXPLICIT],  # Secondary Capture
    "1.2.840.10008.5.1.4.1.1.481.2": [EXPLICIT],  # RT Dose
}
"""SOP classes that the server of the gear's run accepts, with their transfer syntaxes."""


class Terminal:
    """A terminal on which commands run in a folder, one after the other."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        """Start with an empty screen; the commands get additional environment variables."""
        self._folder = folder
        self._variables = variables
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.Stream(self._screen)

    def run(self, script: str, *arguments: str) -> None:
        """Type a command and show its output."""
        prompt = f"\x1b[1;32m$\x1b[0m {' '.join((script, *arguments))}\r\n"
        result = run_on_terminal(
            script, *arguments, cwd=self._folder, columns=COLUMNS, variables=self._variables
        )
        self._stream.feed(f"{prompt}{result.stdout}\r\n")

    def text(self) -> Text:
        """Return the screen without its empty last lines."""
        last = max(number for number, line in enumerate(self._screen.display) if line.strip())
        return Text("\n").join(self._line(number) for number in range(last + 1))

    def _line(self, number: int) -> Text:
        line = Text()
        for column in range(COLUMNS):
            character = self._screen.buffer[number][column]
            line.append(character.data, f"{'bold ' * character.bold}{_colour(character.fg)}")
        line.rstrip()
        return line


def _colour(name: str) -> str:
    """Return the name in rich of a colour in pyte."""
    return {"brown": "yellow"}.get(name, name)


def command_picture(folder: Path) -> str:
    """Return the command at work as an SVG picture: a study with two damaged files."""
    study = folder / "study"
    make_mr(study, 1200)
    make_ct(study, 120)
    for unused in (*study.glob("*.zip"), *study.glob("*-first/*")):
        unused.unlink()
    _truncate(study / "ct" / "series01" / "0042.dcm")
    _truncate(study / "mr" / "series03" / "0117.dcm")
    servers = folder / "config" / "dicom-send" / "servers.toml"
    servers.parent.mkdir(parents=True)
    terminal = Terminal(folder, {"XDG_CONFIG_HOME": str(folder / "config")})
    with Orthanc() as server:
        servers.write_text(
            f'[archive]\nhost = "localhost"\nport = {server.port}\n'
            f'called_ae = "{server.ae_title}"\n'
        )
        terminal.run("dicom-send", "servers", "--test")
        terminal.run("dicom-send", "study", "archive", "--verify", "find")
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(terminal.text(), end="\n\n")
    return console.export_svg(title="dicom-send", code_format=SVG, unique_id="terminal")


def report_page(folder: Path) -> Path:
    """Run the gear on a session with damaged and unaccepted images; return its report page."""
    make_mr(folder / "mr", 176)
    ct = make_ct(folder / "ct", 120)
    broken = ct.folder / "series01" / "0042.dcm"
    _truncate(broken)
    members = [
        ArchiveMember(path.name, path.read_bytes()) for path in sorted(ct.folder.rglob("*.dcm"))
    ]
    files = (
        ("T1w", (folder / "mr" / "mr.zip").rename(folder / "t1.dicom.zip")),
        ("CT chest", zip_of(folder / "chest.dicom.zip", members)),
        ("Captures", shipped("SC_rgb_jpeg_gdcm.dcm")),
        ("Plan", shipped("rtdose.dcm")),
        ("Reading", shipped("test-SR.dcm")),
    )
    with StoreSCP("--fork", accept=ACCEPTED, ae_title="ARCHIVE") as server, FlywheelSite() as site:
        project = site.add_project(site.add_group("radiology"), "Study")
        session = site.add_session(site.add_subject(project, "sub-01"), "Visit 1")
        for label, path in files:
            acquisition = site.add_acquisition(session, label)
            site.add_file(acquisition, path.name, path)
        config = {
            "destination": "localhost",
            "port": server.port,
            "called_ae": server.ae_title,
        }
        gear = GearFolder(folder / "v0", config, api_key=site.api_key, destination_id=session)
        gear.run(MAX_RUN_SECONDS)
        (page,) = (one.content for one in site.uploads if one.name.endswith(".html"))
    path = folder / "page.html"
    path.write_bytes(page)
    return path


def _truncate(path: Path) -> None:
    """Cut the last third of a file off."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 2 // 3)


def picture_of(page: Path) -> bytes:
    """Return a PNG picture of a page in Chromium, down to the end of `LAST_TABLE`."""
    browser = chromium()
    try:
        browser.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        size = {"width": PAGE_WIDTH, "height": 900, "deviceScaleFactor": SCALE, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(page.as_uri())
        table = browser.find_element(By.XPATH, f"//h2[.='{LAST_TABLE}']/following::table[1]")
        height = table.rect["y"] + table.rect["height"] + 24
        clip = {"x": 0, "y": 0, "width": PAGE_WIDTH, "height": height, "scale": 1}
        taken = browser.execute_cdp_cmd(
            "Page.captureScreenshot", {"format": "png", "clip": clip, "captureBeyondViewport": True}
        )
    finally:
        browser.quit()
    return base64.b64decode(taken["data"])


def main(arguments: Iterable[str]) -> None:
    """Write both pictures to a folder."""
    (target,) = map(Path, arguments)
    with tempfile.TemporaryDirectory(prefix="pictures-") as name:
        folder = Path(name)
        (target / "command.svg").write_text(command_picture(folder / "command"), encoding="utf-8")
        (target / "report.png").write_bytes(picture_of(report_page(folder / "report")))


if __name__ == "__main__":
    main(sys.argv[1:])
