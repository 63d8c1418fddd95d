"""nginx in front of a DICOMweb server."""

from tests.support.servers.process import HOST, ServerProcess, free_port

_CONFIG = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen {host}:{port};
    {settings}
    location / {{ proxy_pass http://{host}:{upstream}; proxy_set_header Host $http_host; }}
  }}
}}
"""


class Nginx(ServerProcess):
    """nginx that forwards requests to another port. `settings` are directives of its server."""

    program = "nginx"

    def __init__(self, upstream: int, settings: str = "", files: dict[str, str] | None = None):
        super().__init__()
        self._upstream = upstream
        self._settings = settings
        self._files = files or {}

    def _prepare(self) -> list[str]:
        self.port = free_port()
        for name, text in self._files.items():
            (self._folder / name).write_text(text)
        config = self._folder / "nginx.conf"
        settings = self._settings.replace("FOLDER", str(self._folder))
        config.write_text(
            _CONFIG.format(
                folder=self._folder,
                host=HOST,
                port=self.port,
                upstream=self._upstream,
                settings=settings,
            )
        )
        return ["-c", str(config), "-p", str(self._folder)]

    @property
    def url(self) -> str:
        """The base URL of the DICOMweb service behind it."""
        return f"http://{HOST}:{self.port}/dicom-web"
