"""The page of another product, on another origin and with a strict policy, which Bellwire's elements are a part of.

Browsers block the cookies of third parties: `block_cookies` lets Chromium do it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".html": "text/html"}
PAGE = """<!doctype html>
<html lang="{lang}"><meta charset="utf-8"><title>Shop</title><body>
<header><h1>Shop</h1></header>
<main>{body}</main>
</body></html>
"""
SCRIPT = """
import { Bellwire } from "BELLWIRE/static/embed.js";
const user = new URLSearchParams(location.search).get("user");
globalThis.asked = 0;
Bellwire.configure({
  getToken: async () => {
    globalThis.asked += 1;
    return (await fetch(`/token/${user}`)).text();
  },
});
"""
BLOCKED = {
    "enableThirdPartyCookieRestriction": True,
    "disableThirdPartyCookieMetadata": True,
    "disableThirdPartyCookieHeuristics": True,
}


def block_cookies(page: Page, sent: list[str]) -> None:
    """Block the cookies of third parties in a page. Those that it sends to Bellwire, which is on 127.0.0.1, are added to `sent`."""

    def note(request: dict[str, Any]) -> None:
        headers = {name.lower(): value for name, value in request["headers"].items()}
        if headers["host"].startswith("127.0.0.1:") and "cookie" in headers:
            sent.append(headers["cookie"])

    session = page.context.new_cdp_session(page)
    session.on("Network.requestWillBeSentExtraInfo", note)
    session.send("Network.enable")
    session.send("Network.setCookieControls", BLOCKED)


class HostServer:
    """A server on `localhost`: the body of a page for each path in `pages`, `scripts` by theirs, and tokens at `/token/USER`.

    Its policy allows nothing but itself, and Bellwire for scripts, calls and pictures.
    """

    def __init__(self) -> None:
        self.bellwire = ""
        self.pages: dict[str, str] = {}
        self.scripts: dict[str, str] = {"/host.js": SCRIPT}
        self.files: dict[str, Path] = {}
        self.token_of: Callable[[str], str] = lambda _: ""
        self.lang = "en"
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://localhost:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of all answers."""
        own = f"'self' {self.bellwire}"
        policy = f"default-src 'none'; script-src {own}; connect-src {own}; img-src {own}; base-uri 'none'; form-action 'none'"
        return {"Content-Security-Policy": f"{policy}; require-trusted-types-for 'script'"}

    def answer(self, path: str) -> tuple[str, str]:
        """The type and body for a path."""
        if path.startswith("/token/"):
            return "text/plain", self.token_of(path.removeprefix("/token/"))
        if path in self.scripts:
            return TYPES[".js"], self.scripts[path].replace("BELLWIRE", self.bellwire)
        if path in self.files:
            return TYPES[self.files[path].suffix], self.files[path].read_text()
        return TYPES[".html"], PAGE.replace("{lang}", self.lang).replace("{body}", self.pages.get(path, ""))

    def _handler(server) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                kind, text = server.answer(self.path.partition("?")[0])
                body = text.encode()
                self.send_response(200)
                for name, value in server.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", f"{kind}; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
