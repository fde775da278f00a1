"""The login pages: one button instead of a password, and the cookies of the real thing."""

from __future__ import annotations

import secrets
import struct
import zlib
from urllib.parse import urlsplit

from aiohttp import web

from bezant_server.paper.api.session import SessionApi
from bezant_server.paper.gateway import Gateway
from bezant_server.paper.http import LOGIN_LOCATION

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<link rel="stylesheet" href="/css/login.css">
</head>
<body>
<main>
<img src="/sso/images/logo.png" width="32" height="32" alt="">
<h1>{title}</h1>
{content}
</main>
</body>
</html>
"""
_FORM = """<p>This gateway is simulated: no password is needed, and no money is at stake.</p>
<form id="login" method="post" action="/sso/Dispatcher">
<input type="hidden" name="forwardTo" value="22">
<input type="hidden" name="loginType" value="2">
<input type="hidden" name="user_name" value="paperuser">
<button id="submit" type="submit" disabled>Log in</button>
</form>
<script src="/sso/js/login.js"></script>"""
_STYLE = """body { font-family: sans-serif; background: #f3f4f6; }
main { max-width: 28rem; margin: 6rem auto; padding: 2rem; background: #fff; border-radius: .5rem; }
button { padding: .6rem 1.6rem; font-size: 1rem; }
"""
_SCRIPT = """document.getElementById("submit").disabled = false;
"""


class LoginPages:
    """Everything outside the API: `/`, the login page with its assets, and the form's target."""

    def __init__(self, gateway: Gateway, session_api: SessionApi) -> None:
        self._gateway = gateway
        self._session_api = session_api
        self._logo = _logo()

    def install(self, app: web.Application) -> None:
        app.router.add_get("/", self.home)
        app.router.add_get("/sso/Login", self.login)
        app.router.add_post("/sso/Dispatcher", self.dispatch)
        app.router.add_get("/sso/Dispatcher", self.dispatched)
        app.router.add_get("/sso/validate", self.validate)
        app.router.add_get("/css/login.css", self.style)
        app.router.add_get("/sso/js/login.js", self.script)
        app.router.add_get("/sso/images/logo.png", self.logo)

    async def home(self, _request: web.Request) -> web.Response:
        if self._gateway.session.sso is None:
            return web.Response(status=302, headers={"Location": LOGIN_LOCATION})
        return _page("Paper gateway", "<p>Logged in. The API is below <code>/v1/api</code>.</p>")

    async def login(self, _request: web.Request) -> web.Response:
        response = _page("Paper login", _FORM)
        response.headers.add("Set-Cookie", f"JSESSIONID={secrets.token_hex(16)}; Path=/sso; Secure; HttpOnly")
        return response

    async def dispatch(self, request: web.Request) -> web.Response:
        """Open single sign-on. A form that comes from a foreign page is refused, as IBKR refuses it."""
        origin = request.headers.get("Origin")
        if origin is not None and not _is_local(origin, request.host):
            return web.Response(status=401, text="Unauthorized")
        self._gateway.session.login()
        response = _page("Paper login", "<p>Client login succeeds</p>")
        for cookie in (
            f"JSESSIONID={secrets.token_hex(16)}; Path=/sso; Secure; HttpOnly",
            f"x-sess-uuid={self._gateway.session.affinity}; Path=/v1/api; secure; HttpOnly",
            "USERID=123456789; Path=/; Secure",
            f"XYZAB={secrets.token_hex(20)}; Path=/; Secure; HttpOnly",
            f"XYZAB_AM.LOGIN={secrets.token_hex(20)}; Path=/; Secure; HttpOnly",
            f"SBID={secrets.token_hex(8)}; Domain={request.url.host}; Path=/; Secure",
            "IS_MASTER=false; Path=/; Secure",
            "TABID=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        ):
            response.headers.add("Set-Cookie", cookie)
        return response

    async def dispatched(self, _request: web.Request) -> web.Response:
        if self._gateway.session.sso is None:
            return web.Response(status=302, headers={"Location": LOGIN_LOCATION})
        return _page("Paper login", "<p>Client login succeeds</p>")

    async def validate(self, request: web.Request) -> web.Response:
        if self._gateway.session.sso is None:
            return web.Response(status=401, text="Unauthorized")
        return await self._session_api.validate(request)

    async def style(self, _request: web.Request) -> web.Response:
        return web.Response(text=_STYLE, content_type="text/css")

    async def script(self, _request: web.Request) -> web.Response:
        return web.Response(text=_SCRIPT, content_type="text/javascript")

    async def logo(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._logo, content_type="image/png")


def _page(title: str, content: str) -> web.Response:
    return web.Response(text=_PAGE.format(title=title, content=content), content_type="text/html")


def _is_local(origin: str, host: str) -> bool:
    """Whether a page of that origin may log in: the gateway's own, or one that a proxy on this machine shows."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.netloc == host or parts.hostname in _LOOPBACK


def _logo() -> bytes:
    """A plain square, as PNG."""
    size = 32
    rows = (b"\x00" + b"\xc8\x10\x2e" * size) * size

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
