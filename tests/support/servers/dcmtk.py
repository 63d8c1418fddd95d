"""DCMTK's servers: storescp, and dcmqrscp that answers queries."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.servers.process import ServerProcess, free_port


class StoreSCP(ServerProcess):
    """DCMTK's storescp with the given options.

    By default it accepts every storage SOP class that DCMTK knows, uncompressed. `"+xa"` accepts
    every transfer syntax, `"-pm"` unknown SOP classes, `"--fork"` several associations at a time.
    `accept` limits the SOP classes, each with its transfer syntaxes.
    """

    program = "storescp"

    def __init__(
        self,
        *options: str,
        ae_title: str = "STORESCP",
        accept: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__()
        self.ae_title = ae_title
        self._options = options
        self._accept = accept

    def _prepare(self) -> list[str]:
        self.port = free_port()
        images = self._folder / "images"
        images.mkdir()
        options = list(self._options)
        if self._accept is not None:
            path = self._folder / "storescp.cfg"
            path.write_text(_association_config(self._accept))
            options += ["-xf", str(path), "Default"]
        return ["-aet", self.ae_title, "-od", str(images), *options, str(self.port)]

    def received(self) -> list[Path]:
        """Return the received files."""
        return sorted(path for path in (self._folder / "images").rglob("*") if path.is_file())


class DcmQRSCP(ServerProcess):
    """DCMTK's dcmqrscp, an archive that stores uncompressed images and answers queries."""

    program = "dcmqrscp"
    ae_title = "QRSCP"

    def _prepare(self) -> list[str]:
        self.port = free_port()
        (self._folder / "db").mkdir()
        path = self._folder / "dcmqrscp.cfg"
        path.write_text(
            f"NetworkTCPPort = {self.port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
            "HostTable BEGIN\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\n{self.ae_title} {self._folder / 'db'} RW (200, 1024mb) ANY\n"
            "AETable END\n"
        )
        return ["--config", str(path)]


def _association_config(accept: Mapping[str, Sequence[str]]) -> str:
    """Write DCMTK's association negotiation profile (asconfig.txt) for the accepted classes."""
    syntaxes = ["[[TransferSyntaxes]]"]
    contexts = ["[[PresentationContexts]]", "[Contexts]"]
    for number, (sop_class, transfer_syntaxes) in enumerate(accept.items(), 1):
        syntaxes.append(f"[Syntaxes{number}]")
        syntaxes += [f"TransferSyntax{i} = {uid}" for i, uid in enumerate(transfer_syntaxes, 1)]
        contexts.append(f"PresentationContext{number} = {sop_class}\\Syntaxes{number}")
    profile = ["[[Profiles]]", "[Default]", "PresentationContexts = Contexts"]
    return "\n".join([*syntaxes, *contexts, *profile, ""])
