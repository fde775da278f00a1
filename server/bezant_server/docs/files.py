"""What a browser loads: the page, the document, and Swagger UI."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

_HERE = Path(__file__).parent
_JAVASCRIPT = "text/javascript; charset=utf-8"
# The package has Swagger UI as its makers publish it, under names of its own. It is asked for its files without being
# imported: that would read everything else it holds.
_PACKAGE = "offapi"


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is served.

    Attributes:
        content_type: of the data.
        data: its bytes.
        etag: changes with the data.
    """

    content_type: str
    data: bytes
    etag: str

    @classmethod
    def read(cls, path: Path, content_type: str) -> File:
        """Read it whole."""
        data = path.read_bytes()
        return cls(content_type, data, f'"{hashlib.sha256(data).hexdigest()[:32]}"')


@dataclass(frozen=True, slots=True)
class Site:
    """Everything.

    Attributes:
        page: HTML.
        document: of OpenAPI, JSON.
        assets: what the page loads, by the name that it has below /docs.
    """

    page: File
    document: File
    assets: Mapping[str, File]


def read() -> Site:
    """Read everything, once."""
    packaged = Path(str(distribution(_PACKAGE).locate_file(_PACKAGE)))
    return Site(
        page=File.read(_HERE / "page.html", "text/html; charset=utf-8"),
        document=File.read(_HERE / "openapi.json", "application/json"),
        assets={
            "page.js": File.read(_HERE / "page.js", _JAVASCRIPT),
            "swagger-ui-bundle.js": File.read(packaged / "swagger_bundle.js", _JAVASCRIPT),
            "swagger-ui.css": File.read(packaged / "swagger_style.css", "text/css; charset=utf-8"),
        },
    )
