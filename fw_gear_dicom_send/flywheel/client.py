"""HTTP client of a Flywheel site: API key, accepted features and timeouts."""

import logging
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from fw_core_client import CoreClient, CoreConfig
from requests import PreparedRequest
from requests.adapters import HTTPAdapter

from ..errors import ConfigError

CONNECT_TIMEOUT = 15
READ_TIMEOUT = 60
FEATURES = ("Safe-Redirect", "Subject-Container", "Slim-Containers")
"""Values of X-Accept-Feature.

The client follows redirects to a storage without its key, knows subjects as containers, and wants
containers without their analyses, because there may be many of them.
"""
ENHANCED_KEY_LENGTH = 57
"""The two kinds of keys differ by their length."""
SCHEME = re.compile(r"(?i)(bearer|scitran-user) ")


class _Adapter(HTTPAdapter):
    """Adapter that sends the API key only to the API of the site.

    Every request passes here last, also after a redirect. The adapter replaces or drops credentials
    that `requests` found in ~/.netrc and prefers to a header.
    """

    def __init__(self, is_api: Callable[[str], bool], credentials: str, **options: Any) -> None:
        super().__init__(**options)
        self._is_api = is_api
        self._credentials = credentials

    def add_headers(self, request: PreparedRequest, **_: object) -> None:
        """Set or remove the header `Authorization`."""
        request.headers.pop("Authorization", None)
        if self._is_api(str(request.url)):
            request.headers["Authorization"] = self._credentials


def connect(api_key: str, *, connections: int = 1) -> CoreClient:
    """Create a client for the site in the API key, without sending a request.

    The key is `<host>:<key>`, or `<host>:<port>:<key>`; raises ConfigError without a host. Each of
    `connections` threads gets a keep-alive connection. The client never retries: `API` and
    `Downloader` do. Proxies and certificates come from the environment (HTTPS_PROXY, NO_PROXY,
    REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE).
    """
    api_key = SCHEME.sub("", api_key, count=1)
    try:
        site = CoreConfig(api_key=api_key).baseurl
    except ValueError:
        # The original error quotes the key, so it is not chained.
        raise ConfigError("api-key", "a key without a host", "<host>:<key>") from None
    client = CoreClient(
        url=site,
        auth_proxy=True,
        client_name="dicom-send",
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        headers={"X-Accept-Feature": ",".join(FEATURES)},
    )
    key = api_key.rpartition(":")[2]
    credentials = f"{'Bearer' if len(key) == ENHANCED_KEY_LENGTH else 'scitran-user'} {key}"

    def is_api(url: str) -> bool:
        is_elsewhere = client.should_strip_auth(site, url)
        return not is_elsewhere and urlsplit(url).path.startswith("/api/")

    for scheme in list(client.adapters):
        client.mount(scheme, _Adapter(is_api, credentials, pool_maxsize=connections))
    # urllib3 logs the URL of each request. A signed URL must stay as secret as a key.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    return client
