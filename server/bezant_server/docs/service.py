"""DocsService: the documentation page and its files."""

from __future__ import annotations

from google.api.httpbody_pb2 import HttpBody

from bezant.v1 import docs_service_pb2 as pb
from bezant.v1 import docs_service_pb2_grpc as pb_grpc
from bezant_server.docs.files import File, Site
from bezant_server.errors import NotFound
from bezant_server.rpc import call as calls
from bezant_server.rpc import rest
from bezant_server.rpc.call import Context
from bezant_server.rpc.rows import Rows

# Swagger UI's style sheet has its pictures in data: addresses.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    ("cache-control", "no-cache"),
    ("content-security-policy", _POLICY),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
)


class DocsService(pb_grpc.DocsServiceServicer):
    """See the proto file.

    Args:
        site: what there is to give.
        rows: what the segments of a path mean.
    """

    def __init__(self, *, site: Site, rows: Rows) -> None:
        self._site = site
        self._rows = rows

    async def GetPage(self, request: pb.DocsServiceGetPageRequest, context: Context) -> HttpBody:
        return await _send(context, self._site.page)

    async def GetOpenApi(self, request: pb.DocsServiceGetOpenApiRequest, context: Context) -> HttpBody:
        return await _send(context, self._site.document)

    async def GetAsset(self, request: pb.DocsServiceGetAssetRequest, context: Context) -> HttpBody:
        name = rest.path_field(self._rows, request, "name")
        file = self._site.assets.get(name)
        if file is None:
            raise NotFound(f"there is no /docs/{name[:40]}")
        return await _send(context, file)


async def _send(context: Context, file: File) -> HttpBody:
    headers = (*_HEADERS, ("etag", file.etag))
    if _is_held(calls.current().headers.get("if-none-match", ""), file.etag):
        await context.send_initial_metadata((*headers, ("x-http-status", "304")))
        return HttpBody()
    await context.send_initial_metadata(headers)
    return HttpBody(content_type=file.content_type, data=file.data)


def _is_held(if_none_match: str, etag: str) -> bool:
    given = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return bool(given & {etag, "*"})
