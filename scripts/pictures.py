"""Make the README's pictures: a report page, and the command at work.

usage: python -m scripts.pictures FOLDER

It runs the gear and the command against DICOM servers on this machine, opens the page in
Chromium, and writes `report.png` and `command.svg`.
"""

import base64
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import groupby, zip_longest
from operator import itemgetter
from pathlib import Path
from time import monotonic

import pyte
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
MIN_FRAME = 0.1
"""Minimum time of a frame in seconds."""
LAST_FRAME = 6.0
"""Seconds for which the end of the recording stays."""
CELL_WIDTH, LINE_HEIGHT, MARGIN = 9.64, 20, 16
"""Width of a character, height of a line and margin in pixels; the font has 16 pixels."""
COLOURS = {"green": "#98a84b", "red": "#cc555a", "brown": "#d0b344", "cyan": "#6fc3c3"}
SVG = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
text {{ font: 16px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #c5c8c6; \
white-space: pre }}
.past {{ visibility: hidden }}
@media (prefers-reduced-motion: no-preference) {{
{rules}
}}
</style>
<rect width="100%" height="100%" rx="8" fill="#292929"/>
{lines}
</svg>
"""
"""Recording of a terminal. Without animations, it shows the end."""
EXPLICIT = "1.2.840.10008.1.2.1"
ACCEPTED = {
    "1.2.840.10008.5.1.4.1.1.2": [EXPLICIT],  # CT
    "1.2.840.10008.5.1.4.1.1.4": [EXPLICIT],  # MR
    "1.2.840.10008.5.1.4.1.1.7": [EXPLICIT],  # Secondary Capture
    "1.2.840.10008.5.1.4.1.1.481.2": [EXPLICIT],  # RT Dose
}
"""SOP classes that the server of the gear's run accepts, with their transfer syntaxes."""


Line = tuple[tuple[str, str, bool], ...]
"""Text, colour and boldness of the parts of a line."""


class Terminal:
    """A terminal on which commands run in a folder, one after the other.

    It records its `frames`: the lines of the screen, and when they appeared, in seconds.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        """Start with an empty screen; the commands get additional environment variables."""
        self._folder = folder
        self._variables = variables
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.Stream(self._screen)
        self._shown = 0
        self._begun = monotonic()
        self.frames: list[tuple[float, tuple[Line, ...]]] = []

    def run(self, script: str, *arguments: str) -> None:
        """Type a command and show its output."""
        self._stream.feed(f"\x1b[1;32m$\x1b[0m {' '.join((script, *arguments))}\r\n")
        self._shown = 0
        self._take()
        result = run_on_terminal(
            script,
            *arguments,
            cwd=self._folder,
            columns=COLUMNS,
            variables=self._variables,
            interrupt_at=self._show,
        )
        self._show(result.stdout)
        self._stream.feed("\r\n")
        self._take()

    def _show(self, printed: str) -> bool:
        """Show what a command has printed so far; return false, as no command is interrupted."""
        self._stream.feed(printed[self._shown :])
        self._shown = len(printed)
        if monotonic() - self._begun - self.frames[-1][0] >= MIN_FRAME:
            self._take()
        return False

    def _take(self) -> None:
        lines = tuple(self._line(number) for number in range(LINES))
        self.frames.append((monotonic() - self._begun, lines))

    def _line(self, number: int) -> Line:
        cells = self._screen.buffer[number]
        parts = groupby(
            (cells[column] for column in range(COLUMNS)), key=lambda cell: (cell.fg, cell.bold)
        )
        line = [("".join(cell.data for cell in part), *style) for style, part in parts]
        return tuple(line) if any(text.strip() for text, *_ in line) else ()


def recording(frames: Sequence[tuple[float, tuple[Line, ...]]]) -> str:
    """Return an SVG animation that shows each frame at its time."""
    end = frames[-1][0] + LAST_FRAME
    used = max(number for _, lines in frames for number, line in enumerate(lines) if line) + 1
    rules, shown = {}, []
    for number in range(used):
        times = ((time, lines[number]) for time, lines in frames)
        starts = [next(group) for _, group in groupby(times, key=itemgetter(1))]
        ends = [time for time, _ in starts[1:]]
        for (start, line), stop in zip_longest(starts, ends):
            if not line:
                continue
            first = 100 * start / end
            last = 100.0 if stop is None else 100 * stop / end
            name = f"f{first:.2f}-{last:.2f}".replace(".", "_")
            rules[name] = (
                f"@keyframes {name} {{ 0% {{ visibility: hidden }} {first:.2f}% {{ visibility: "
                f"visible }} {last:.2f}%, 100% {{ visibility: "
                f"{'visible' if stop is None else 'hidden'} }} }}\n"
                f".{name} {{ animation: {name} {end:.1f}s step-end infinite }}"
            )
            past = "" if stop is None else " past"
            shown.append(f'<text class="{name}{past}" y="{_y(number)}">{_spans(line)}</text>')
    return SVG.format(
        width=round(2 * MARGIN + COLUMNS * CELL_WIDTH),
        height=2 * MARGIN + used * LINE_HEIGHT,
        rules="\n".join(rules.values()),
        lines="\n".join(shown),
    )


def _y(number: int) -> int:
    return MARGIN + (number + 1) * LINE_HEIGHT - 5


def _spans(line: Line) -> str:
    """Return the parts of a line, each at the place of its first character."""
    spans, column = [], 0
    for text, colour, bold in line:
        style = f' fill="{COLOURS[colour]}"' if colour in COLOURS else ""
        style += ' font-weight="bold"' if bold else ""
        shown = text.rstrip() if column + len(text) >= COLUMNS else text
        if shown:
            spans.append(
                f'<tspan x="{MARGIN + column * CELL_WIDTH:.1f}"{style}>{escape(shown)}</tspan>'
            )
        column += len(text)
    return "".join(spans)


def command_picture(folder: Path) -> str:
    """Return a recording of the command: a study with two damaged files."""
    study = folder / "study"
    make_mr(study, 1200)
    make_ct(study, 120)
    for unused in (*study.glob("*.zip"), *study.glob("*-first/*")):
        unused.unlink()
    _truncate(study / "ct" / "series01" / "0042.dcm")
    _truncate(study / "mr" / "series03" / "0117.dcm")
    servers = folder / "config" / "dicom-send" / "servers.toml"
    servers.parent.mkdir(parents=True)
    # An empty variable is an unset one: the reports are written to their usual place.
    variables = {"XDG_CONFIG_HOME": str(folder / "config"), "DICOM_SEND_REPORT_FOLDER": ""}
    terminal = Terminal(folder, variables)
    with Orthanc() as server:
        servers.write_text(
            f'[archive]\nhost = "localhost"\nport = {server.port}\n'
            f'called_ae = "{server.ae_title}"\n'
        )
        terminal.run("dicom-send", "servers", "--test")
        terminal.run("dicom-send", "study", "archive", "--verify", "find")
    return recording(terminal.frames)


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
