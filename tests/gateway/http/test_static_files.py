import base64
import gzip
import hashlib
import json
import posixpath
import re
from collections.abc import Callable

import httpx
import pytest

from gateway.http.static_files import FILES, FOLDER
from tests.gateway.client import Client, problem
from tests.gateway.running import Gateway

pytestmark = pytest.mark.only("sqlite")  # the store has no part in it

PAGES = {
    "/": "index.html",
    "/api/docs": "docs/index.html",
    "/examples/chat.html": "examples/chat.html",
    "/static/docs/index.html": "docs/index.html",
}
CACHED = [*PAGES, "/api/v1/openapi.json"]


def raw(
    gateway: Gateway, path: str, encoding: str = "identity", method: str = "GET", **headers: str
) -> tuple[httpx.Response, bytes]:
    """Return an answer and its body as it was sent, still compressed."""
    with gateway.http.stream(method, path, headers={"Accept-Encoding": encoding, **headers}) as answer:
        return answer, b"".join(answer.iter_raw())


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_html_with_a_policy_that_allows_nothing_from_other_sites(gateway: Gateway, path: str) -> None:
    answer, body = raw(gateway, path)

    assert answer.status_code == 200
    parts = re.split(rb"\{[a-z.-]+\}", (FOLDER / PAGES[path]).read_bytes())  # between the places that the server fills
    assert re.fullmatch(rb"[^{}]+".join(map(re.escape, parts)), body)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not any(word in answer.headers["Content-Security-Policy"] for word in ("unsafe", "http", "*"))
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in answer.headers["Permissions-Policy"]


@pytest.mark.parametrize("name", sorted(FILES))
def test_all_files_but_scripts_and_styles_have_the_policies_of_a_document(gateway: Gateway, name: str) -> None:
    answer, _ = raw(gateway, f"/static/{name}", method="HEAD")

    is_document = not name.endswith((".css", ".js"))
    for header in ("Content-Security-Policy", "Cross-Origin-Opener-Policy", "Permissions-Policy"):
        assert (header in answer.headers) is is_document
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("name", [name for name in sorted(FILES) if not name.startswith("first/")])  # those are made
def test_every_file_is_complete_with_and_without_gzip(gateway: Gateway, name: str) -> None:
    plain, body = raw(gateway, f"/static/{name}")
    zipped, packed = raw(gateway, f"/static/{name}", "gzip, deflate, br")

    written = (FOLDER / name).read_bytes()
    if not name.endswith(".js") or name == "examples/chat.js":
        assert body == written
    lines, written_lines = body.split(b"\n"), written.split(b"\n")
    assert len(lines) == len(written_lines), "errors name the lines of the file"
    removed = [original for line, original in zip(lines, written_lines, strict=True) if line != original]
    assert all(original.strip().startswith((b"/**", b"*", b"//")) or b" // " in original for original in removed)
    for line, original in zip(lines, written_lines, strict=True):
        assert line in (b"", original) or original.startswith(line + b" // ")
    assert "Content-Encoding" not in plain.headers
    if zipped.headers.get("Content-Encoding") == "gzip":
        assert len(packed) < len(body)
        packed = gzip.decompress(packed)
        assert zipped.headers["ETag"] != plain.headers["ETag"]
    assert packed == body
    assert plain.headers["Vary"] == zipped.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("accepted", "sent"),
    [
        ("gzip", True),
        ("br, gzip;q=0.5", True),
        ("*", True),
        ("", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.0", False),
    ],
)
def test_gzip_is_sent_only_to_clients_that_accept_it(gateway: Gateway, accepted: str, sent: bool) -> None:
    answer, _ = raw(gateway, "/api/docs", accepted)

    assert ("Content-Encoding" in answer.headers) is sent


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
@pytest.mark.parametrize("path", CACHED)
def test_a_client_with_the_current_version_gets_304_without_a_body(gateway: Gateway, path: str, encoding: str) -> None:
    first, _ = raw(gateway, path, encoding)
    assert first.headers["Cache-Control"] == "no-cache"

    again, body = raw(gateway, path, encoding, **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, body) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert raw(gateway, path, encoding, **{"If-None-Match": '"another"'})[0].status_code == 200


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        *(("en-GB,en;q=0.9", "en"), ("", "en"), ("xx, EN", "en"), (",".join(["xx"] * 5000), "en"), ("%", "en")),
        *(("de-AT,de;q=0.9,en;q=0.8", "de"), ("xx, AR;q=0.5", "ar")),
    ],
)
def test_the_page_begins_with_the_words_of_its_readers_language(gateway: Gateway, accepted: str, language: str) -> None:
    answer, body = raw(gateway, "/", **{"Accept-Language": accepted})
    assert f'href="/static/first/words/{language}.js"'.encode() in body
    assert f'<html lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}">'.encode() in body
    assert (b"Bellwire needs JavaScript." in body) is (language == "en")
    assert b'<meta name="bellwire-languages" content="ar de en">' in body
    assert answer.headers["Vary"] == "Accept-Encoding, Accept-Language, Cookie"


def test_the_page_enforces_the_limits_of_the_api(gateway: Gateway) -> None:
    _, body = raw(gateway, "/static/shared/limits.js")
    limits = json.loads(body.removeprefix(b"export const LIMITS = ").removesuffix(b";\n"))
    schemas = gateway.anonymous().get("/openapi.json").json()["components"]["schemas"]
    assert limits["NewMessage"]["body"] == {"min": 0, "max": 20_000}
    assert limits["NewMessage"]["files"] == {"min": 1, "max": 10}
    assert limits.pop("Upload") == {"file": {"max": 25 * 1024 * 1024}}
    for name, fields in limits.items():
        for field, bounds in fields.items():
            text = str(schemas[name]["properties"][field])
            assert all(f": {bound}" in text for bound in bounds.values()), (name, field)


def test_head_returns_only_the_headers(gateway: Gateway) -> None:
    for path in PAGES:
        whole, body = raw(gateway, path)
        answer, nothing = raw(gateway, path, method="HEAD")
        assert (answer.status_code, nothing) == (200, b"")
        assert answer.headers["Content-Length"] == str(len(body))
        assert answer.headers["ETag"] == whole.headers["ETag"]


OTHERS = [
    *("", "nothing.js", "../app.py", "..%2fapp.py", "%2e%2e/app.py", "..%5capp.py", "/etc/passwd", "%2fetc%2fpasswd"),
    *("index.html/", "./index.html", "/index.html", "INDEX.HTML", "%00", "index.html%00.js", "%ff"),
    *(
        "docs",
        "docs/",
        "docs.html",
        "docs/nothing.js",
        "docs//index.html",
        "docs/../index.html",
        "docs/..%2findex.html",
        "docs%5cindex.html",
    ),
]


@pytest.mark.parametrize("name", OTHERS)
def test_no_other_path_is_served(gateway: Gateway, fetch: Callable[[str], tuple[int, bytes]], name: str) -> None:
    status, body = fetch(f"/static/{name}")

    assert status in (400, 404)
    assert b"/problems/" in body


@pytest.fixture
def fetch(gateway: Gateway) -> Callable[[str], tuple[int, bytes]]:
    """Send a GET with the path exactly as written, because HTTP clients normalize paths."""
    import socket

    def get(path: str) -> tuple[int, bytes]:
        with socket.create_connection(("127.0.0.1", int(gateway.settings["PORT"])), 10) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        return int(answer.split()[1]), answer.partition(b"\r\n\r\n")[2]

    return get


def test_files_cannot_be_written(gateway: Gateway) -> None:
    problem(gateway.anonymous().post("//static/index.html"), 405, "method-not-allowed")
    problem(gateway.anonymous().delete("//api/docs"), 405, "method-not-allowed")


def test_answers_of_the_api_are_not_cached_or_sniffed(gateway: Gateway, ana: Client) -> None:
    for answer in (ana.get("/me"), ana.get("/nothing"), gateway.anonymous().get("/me"), ana.post("/messages", {})):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"


def test_the_sign_in_loads_at_once_where_there_is_no_session(gateway: Gateway) -> None:
    first = gateway.anonymous().get("//")
    signed_in = gateway.anonymous().get("//", headers={"Cookie": "bellwire_session=any"})

    assert "/static/account/sign-in.js" in first.text
    assert "/static/account/sign-in.js" not in signed_in.text
    assert first.headers["ETag"] != signed_in.headers["ETag"]


@pytest.mark.parametrize("language", ["ar", "de", "en"])
def test_the_first_words_are_those_that_the_first_modules_name(gateway: Gateway, language: str) -> None:
    entry = re.compile(r'^ *"?([\w.-]+)"?:', re.MULTILINE)
    first, every = (gateway.anonymous().get(f"//static/{folder}words/{language}.js").text for folder in ("first/", ""))
    modules = imported(gateway, ["app.js", "account/sign-in.js", "shell.js"]) - {"shared/limits.js"}
    named = {key for module in modules for key in re.findall(r'\bt\("([^"]+)"', FILES[module].plain.body.decode())}
    assert named <= set(entry.findall(first)) <= set(entry.findall(every))
    assert not any(key.startswith(("users.", "jobs.", "emoji.f")) for key in entry.findall(first))
    assert len(first) * 3 < len(every)


def imported(gateway: Gateway, modules: list[str]) -> set[str]:
    """Return modules, those that they import at their tops, and so on."""
    found, left = set[str](), modules
    while left:
        module = left.pop()
        found.add(module)
        script = gateway.anonymous().get(f"//static/{module}").text
        for address in re.findall(r'^(?:import|\}) .*"(\.[^"]+)";$', script, re.MULTILINE):
            other = posixpath.normpath(posixpath.join(posixpath.dirname(module), address))
            left += [] if other in found else [other]
    return found


def test_what_the_page_imports_is_asked_for_at_once(gateway: Gateway) -> None:
    for cookie, parts in ({}, ["account/sign-in.js"]), ({"Cookie": "bellwire_session=any"}, []):
        html = gateway.anonymous().get("//", headers=cookie).text
        preloaded = set(re.findall(r'<link rel="modulepreload" href="/static/(.+)">', html))
        needed = imported(gateway, ["app.js", *parts])
        assert preloaded - {"first/words/en.js"} == needed - {"app.js"}, "each of those that are missing costs a round trip"


def test_a_service_worker_lists_the_files_with_their_hashes_and_reaches_no_other_server(gateway: Gateway) -> None:
    answer, body = raw(gateway, "/service-worker.js")
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; connect-src 'self'"
    constants = {name: json.loads(value) for name, value in re.findall(r"^const ([A-Z]+) = (.*);$", body.decode(), re.M)[:4]}
    assert raw(gateway, "/")[0].headers["Bellwire-Version"] == constants["VERSION"]
    files: dict[str, str] = constants["FILES"]
    assert {"/static/app.js", "/static/shell.js", "/static/shared/limits.js", "/static/words/de.js"} <= files.keys()
    assert not [path for path in files if re.search("/(admin|docs|embed|examples)/|service-worker", path)]
    for path, integrity in files.items():
        assert integrity == f"sha256-{base64.b64encode(hashlib.sha256(raw(gateway, path)[1]).digest()).decode()}"
