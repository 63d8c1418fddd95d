"""nginx in front of a DICOMweb server."""

from typing import TYPE_CHECKING

from tests.support.servers.process import HOST, ServerProcess, free_port

if TYPE_CHECKING:  # it needs a package that the demo does without
    from tests.support.certificates import Identity

_CONFIG = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  log_format short '$connection $status';
  access_log {folder}/access.log short;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  {zones}
  server {{
    listen {host}:{port}{tls};
    {settings}
    location / {{ proxy_pass http://{host}:{upstream}; proxy_set_header Host $http_host; }}
  }}
}}
"""


class Nginx(ServerProcess):
    """nginx that forwards requests to another port.

    `settings` are directives of its server, and `zones` those outside of it. With `identity`, it
    uses TLS.
    """

    program = "nginx"

    def __init__(
        self,
        upstream: int,
        settings: str = "",
        files: dict[str, str] | None = None,
        *,
        zones: str = "",
        identity: "Identity | None" = None,
    ):
        super().__init__()
        self._upstream = upstream
        self._settings = settings
        self._files = files or {}
        self._zones = zones
        self._identity = identity

    def _prepare(self) -> list[str]:
        self.port = free_port()
        for name, text in self._files.items():
            (self._folder / name).write_text(text)
        config = self._folder / "nginx.conf"
        settings = self._settings.replace("FOLDER", str(self._folder))
        if self._identity:
            settings += f"ssl_certificate {self._identity.cert};"
            settings += f"ssl_certificate_key {self._identity.key};"
        config.write_text(
            _CONFIG.format(
                folder=self._folder,
                host=HOST,
                port=self.port,
                upstream=self._upstream,
                settings=settings,
                zones=self._zones,
                tls=" ssl" if self._identity else "",
            )
        )
        return ["-c", str(config), "-p", str(self._folder)]

    @property
    def url(self) -> str:
        """The base URL of the DICOMweb service behind it."""
        return f"http{'s' if self._identity else ''}://{HOST}:{self.port}/dicom-web"

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Connection and status of each request so far. The last one may be missing."""
        lines = (self._folder / "access.log").read_text().splitlines()
        return [(connection, status) for connection, status in map(str.split, lines)]
