"""Downloads of files: access, parts and conditions, the headers for browsers, and links."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from datetime import datetime

import httpx
import pytest

from gateway.api.file_links import sign
from tests.gateway.api.test_status import suspend
from tests.gateway.client import Client, problem
from tests.gateway.community import group, leave
from tests.gateway.running import Gateway
from tests.gateway.stored_files import object_path, replace_content, store_file
from tests.stores import settings_of
from tests.waiting import until

CONTENT = bytes(range(256)) * 4
ORIGIN = "https://product.example"
THUMBNAIL = b"a small picture"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NOT_FOUND = (404, "not-found")


def sent(sender: Client, file: int, **target: int) -> int:
    """Send a message with a file, and return its id."""
    answer = sender.post("/messages", {"body": "", "files": [file], **target})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def status_of(client: Client, file: int, part: str = "") -> tuple[int, str]:
    """The status of a download, and the slug of an error."""
    answer = client.get(f"/files/{file}{part}")
    slug = answer.json()["type"].removeprefix("/problems/") if answer.status_code >= 400 else ""
    return answer.status_code, slug


def link_of(client: Client, file: int) -> str:
    """The URL of a new link."""
    answer = client.get(f"/files/{file}/link")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["url"])


# Who may have the bytes


def test_a_file_that_was_not_sent_is_for_its_owner(gateway: Gateway, admin: Client, ana: Client, ben: Client) -> None:
    file = store_file(gateway, ana, CONTENT, THUMBNAIL)
    assert ana.get(f"/files/{file}").content == CONTENT
    assert ana.get(f"/files/{file}/thumbnail").content == THUMBNAIL
    for stranger in (ben, admin):
        refusals = [stranger.get(f"/files/{number}{part}") for part in ("", "/thumbnail", "/link") for number in (file, file + 999)]
        assert {(answer.status_code, answer.text) for answer in refusals} == {(404, refusals[0].text)}
    problem(gateway.anonymous().get(f"/files/{file}"), 401, "unauthorized")


def test_a_file_in_a_message_is_for_the_members_of_its_conversation(gateway: Gateway, admin: Client, people: list[Client]) -> None:
    ana, ben, cleo = people
    crew = ana.group(ben, cleo)
    file = store_file(gateway, ana, CONTENT)
    message = sent(ana, file, conversation=crew)
    assert ben.get(f"/files/{file}").content == CONTENT
    assert status_of(admin, file) == NOT_FOUND
    assert cleo.delete(f"/conversations/{crew}/members/{cleo.id}").status_code == 204
    assert status_of(cleo, file) == NOT_FOUND
    assert ana.delete(f"/conversations/{crew}/members/{ana.id}").status_code == 204
    assert status_of(ana, file) == NOT_FOUND
    assert admin.delete(f"/messages/{message}").status_code == 204
    assert status_of(ben, file) == NOT_FOUND


def test_a_block_takes_no_file_away(gateway: Gateway, ana: Client, ben: Client) -> None:
    file = store_file(gateway, ana, CONTENT)
    sent(ana, file, to=ben.id)
    assert ben.put(f"/me/blocks/{ana.id}").status_code == 204
    assert ben.get(f"/files/{file}").content == ana.get(f"/files/{file}").content == CONTENT


def test_a_file_in_a_post_is_for_those_who_may_see_the_post(gateway: Gateway, people: list[Client]) -> None:
    ana, ben, cleo = people
    hikers = group(ana, ben)
    of_group, of_all = store_file(gateway, ana, CONTENT), store_file(gateway, ana, CONTENT)
    for file, target in ((of_group, {"group": hikers}), (of_all, {})):
        assert ana.post("/posts", {"body": "", "files": [file], **target}).status_code == 201
    assert ben.get(f"/files/{of_group}").content == cleo.get(f"/files/{of_all}").content == CONTENT
    assert status_of(cleo, of_group) == NOT_FOUND
    leave(ben, hikers)
    assert status_of(ben, of_group) == NOT_FOUND


@pytest.fixture(scope="module")
def shared(make_gateway: Callable[..., Gateway], gateway: Gateway) -> Gateway:
    """A gateway on the same store whose users see those with whom they share, also on another product's pages."""
    return make_gateway(beside=gateway, CONTACTS="shared", ALLOWED_ORIGINS=ORIGIN)


def test_a_public_post_of_a_hidden_user_hides_its_files(
    shared: Gateway, gateway: Gateway, admin: Client, ana: Client, ben: Client
) -> None:
    file = store_file(gateway, ana, CONTENT)
    assert ana.post("/posts", {"body": "", "files": [file]}).status_code == 201
    assert status_of(ben.at(shared), file) == NOT_FOUND
    assert status_of(ben, file) == status_of(admin.at(shared), file) == (200, "")
    link = link_of(ben, file).replace(gateway.url, shared.url)
    assert httpx.get(link).status_code == 404
    admin.group(ana, ben)
    assert httpx.get(link).content == ben.at(shared).get(f"/files/{file}").content == CONTENT


def test_an_admin_may_act_for_a_user(gateway: Gateway, admin: Client, ana: Client) -> None:
    file = store_file(gateway, ana, CONTENT)
    assert admin.get(f"/files/{file}", {"Bellwire-As": str(ana.id)}).content == CONTENT


def test_a_session_in_a_cookie_needs_no_more(gateway: Gateway, ana: Client) -> None:
    file = store_file(gateway, ana, CONTENT)
    answer = gateway.anonymous().get(f"/files/{file}", {"Cookie": f"bellwire_session={ana.token}"})
    assert answer.content == CONTENT


# Parts, and conditions


def test_a_range_is_answered_with_these_bytes(gateway: Gateway, ana: Client) -> None:
    file = store_file(gateway, ana, CONTENT)
    for header, expected in {
        "bytes=0-0": CONTENT[:1],
        "bytes=10-99": CONTENT[10:100],
        "bytes=1000-": CONTENT[1000:],
        "bytes=1000-9999": CONTENT[1000:],
        "bytes=-24": CONTENT[-24:],
        "bytes=-9999": CONTENT,
    }.items():
        answer = ana.get(f"/files/{file}", {"Range": header})
        start = CONTENT.index(expected) if len(expected) < 1024 and len(expected) > 255 else None
        assert (answer.status_code, answer.content, answer.headers["Content-Length"]) == (206, expected, str(len(expected)))
        assert answer.headers["Content-Range"].endswith("/1024")
        assert start is None or answer.headers["Content-Range"].startswith(f"bytes {start}-")
    assert ana.get(f"/files/{file}", {"Range": "bytes=10-99"}).headers["Content-Range"] == "bytes 10-99/1024"


def test_a_range_behind_the_end_is_refused(gateway: Gateway, ana: Client) -> None:
    file = store_file(gateway, ana, CONTENT)
    answer = ana.get(f"/files/{file}", {"Range": "bytes=1024-"})
    problem(answer, 416, "range-not-satisfiable")
    assert answer.headers["Content-Range"] == "bytes */1024"
    assert "ETag" not in answer.headers


@pytest.mark.parametrize(
    "headers", [{}, {"Range": "bytes=0-1,4-5"}, {"Range": "bytes=x"}, {"Range": "bytes=0-1", "If-Range": '"another"'}]
)
def test_other_requests_are_answered_with_all(gateway: Gateway, ana: Client, headers: dict[str, str]) -> None:
    file = store_file(gateway, ana, CONTENT)
    answer = ana.get(f"/files/{file}", headers)
    assert (answer.status_code, answer.content, answer.headers["Accept-Ranges"]) == (200, CONTENT, "bytes")
    assert "Content-Range" not in answer.headers


def test_the_etag_is_of_the_content(gateway: Gateway, ana: Client) -> None:
    file = store_file(gateway, ana, CONTENT, THUMBNAIL)
    etag = ana.get(f"/files/{file}").headers["ETag"]
    assert etag == f'"{SHA256}"'
    for headers in ({"If-None-Match": etag}, {"If-None-Match": etag, "Range": "bytes=9999-"}):
        unchanged = ana.get(f"/files/{file}", headers)
        assert (unchanged.status_code, unchanged.content, unchanged.headers["ETag"]) == (304, b"", etag)
        assert unchanged.headers["Cache-Control"] == "private, no-cache"
    assert ana.get(f"/files/{file}", {"Range": "bytes=-1", "If-Range": etag}).status_code == 206
    assert ana.get(f"/files/{file}/thumbnail", {"If-None-Match": etag}).content == THUMBNAIL
    replace_content(gateway, file, b"cleaned")
    assert ana.get(f"/files/{file}", {"If-None-Match": etag}).content == b"cleaned"


def test_a_client_has_the_content_whose_etag_it_names(gateway: Gateway, ana: Client) -> None:
    file = store_file(gateway, ana, CONTENT)
    for if_none_match, expected in {
        **{f'"{SHA256}"': 304, f'W/"{SHA256}"': 304, f'"b", "{SHA256}"': 304, "*": 304},
        **{"": 200, '"b"': 200, SHA256: 200, f'"b, {SHA256}"': 200},
    }.items():
        assert ana.get(f"/files/{file}", {"If-None-Match": if_none_match}).status_code == expected


def test_head_has_the_headers_of_get(gateway: Gateway, ana: Client) -> None:
    file = store_file(gateway, ana, CONTENT, THUMBNAIL)
    for path in (f"/files/{file}", f"/files/{file}/thumbnail"):
        for headers in ({}, {"Range": "bytes=0-1"}):
            head, get = ana.call("HEAD", path, headers=headers), ana.get(path)
            assert (head.status_code, head.content) == (200, b"")
            changing = ("date", "x-request-id")
            assert [h for h in head.headers.items() if h[0] not in changing] == [
                h for h in get.headers.items() if h[0] not in changing
            ]


def test_an_empty_file_has_no_bytes(gateway: Gateway, ana: Client) -> None:
    file = store_file(gateway, ana, b"")
    for headers in ({}, {"Range": "bytes=-5"}):
        answer = ana.get(f"/files/{file}", headers)
        assert (answer.status_code, answer.content, answer.headers["Content-Length"]) == (200, b"", "0")
    problem(ana.get(f"/files/{file}", {"Range": "bytes=0-"}), 416, "range-not-satisfiable")


# What a browser may do


@pytest.mark.parametrize(
    ("type_", "disposition"),
    [
        ("image/png", "inline"),
        ("video/mp4", "inline"),
        ("audio/mpeg", "inline"),
        ("application/pdf", "inline"),
        ("text/html", "attachment"),
        ("image/svg+xml", "attachment"),
        ("text/plain", "attachment"),
        ("application/octet-stream", "attachment"),
    ],
)
def test_only_harmless_types_are_shown(gateway: Gateway, ana: Client, type_: str, disposition: str) -> None:
    file = store_file(gateway, ana, CONTENT, type_=type_, name="Größe.x")
    headers = ana.get(f"/files/{file}").headers
    assert headers["Content-Type"] == type_
    assert headers["Content-Disposition"] == f"{disposition}; filename=\"Gr__e.x\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.x"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "script" not in policy
    assert ("sandbox" in policy) == (type_ != "application/pdf")
    assert policy.endswith("; sandbox") == (disposition == "attachment")


def test_another_products_page_reads_the_headers(shared: Gateway, gateway: Gateway, ana: Client) -> None:
    file = store_file(gateway, ana, CONTENT)
    for client, allowed in ((ana.at(shared), ORIGIN), (ana, None)):
        headers = client.get(f"/files/{file}", {"Origin": ORIGIN, "Range": "bytes=0-1"}).headers
        assert headers.get("Access-Control-Allow-Origin") == allowed
        assert ("Content-Range" in headers.get("Access-Control-Expose-Headers", "")) == (allowed is not None)


def test_a_name_adds_no_header(gateway: Gateway, ana: Client) -> None:
    file = store_file(gateway, ana, CONTENT, THUMBNAIL, name='a"\r\nSet-Cookie: x=1\r\n\r\n.png')
    for part in ("", "/thumbnail"):
        answer = ana.get(f"/files/{file}{part}")
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["Content-Disposition"].count('"') == 2


def test_a_thumbnail_has_a_type_and_a_name_of_its_own(gateway: Gateway, ana: Client) -> None:
    file = store_file(gateway, ana, CONTENT, THUMBNAIL, type_="image/jpeg", name="a.b.jpeg")
    headers = ana.get(f"/files/{file}/thumbnail").headers
    assert (headers["Content-Type"], headers["Content-Disposition"]) == ("image/webp", 'inline; filename="a.b.webp"')
    without = store_file(gateway, ana, CONTENT)
    assert problem(ana.get(f"/files/{without}/thumbnail"), 404, "not-found")["detail"] == "the file has no thumbnail"


# Pictures that may name a place


def test_a_picture_that_could_not_be_read_is_for_its_owner(gateway: Gateway, ana: Client, ben: Client) -> None:
    file = store_file(gateway, ana, CONTENT, state="failed", private=True)
    sent(ana, file, to=ben.id)
    assert "only its owner" in problem(ben.get(f"/files/{file}"), 404, "not-found")["detail"]
    assert ana.get(f"/files/{file}").content == CONTENT


def test_a_picture_without_a_place_waits_for_nothing(gateway: Gateway, ana: Client, ben: Client) -> None:
    file = store_file(gateway, ana, CONTENT, state="pending")
    sent(ana, file, to=ben.id)
    assert ben.get(f"/files/{file}").content == CONTENT
    assert problem(ben.get(f"/files/{file}/thumbnail"), 404, "not-found")["detail"] == "the file has no thumbnail yet"


# Links


def test_a_link_needs_no_token(gateway: Gateway, ana: Client) -> None:
    file = store_file(gateway, ana, CONTENT, THUMBNAIL)
    before_s = int(time.time())
    answer = ana.get(f"/files/{file}/link").json()
    after_s = time.time()
    assert answer["url"].startswith(f"{gateway.url}/api/v1/files/{file}?signature=")
    got = httpx.get(answer["url"], headers={"Range": "bytes=0-9"})
    assert (got.status_code, got.content) == (206, CONTENT[:10])
    assert (got.headers["Cross-Origin-Resource-Policy"], got.headers["Cache-Control"]) == ("cross-origin", "private, max-age=600")
    assert httpx.get(answer["url"].replace("?", "/thumbnail?")).content == THUMBNAIL
    assert httpx.head(answer["url"]).status_code == 200
    expires_s = datetime.fromisoformat(answer["expires_at"]).timestamp()
    assert before_s + 3600 <= expires_s < after_s + 4200
    assert expires_s % 600 == 0


def test_a_link_is_for_one_file(gateway: Gateway, ana: Client) -> None:
    file, other = store_file(gateway, ana, CONTENT), store_file(gateway, ana, CONTENT)
    link = link_of(ana, file)
    for wrong in (link.replace(f"/{file}?", f"/{other}?"), link[:-1], link + "x", link.partition("=")[0] + "="):
        problem(httpx.get(wrong), 404, "not-found")
    problem(httpx.get(link.replace("?", "/link?")), 401, "unauthorized")


def test_a_link_ends(gateway: Gateway, ana: Client) -> None:
    file = store_file(gateway, ana, CONTENT)
    secret, now_s = settings_of(gateway.data, gateway.store_settings).secret(), int(time.time())
    links = [f"{gateway.url}/api/v1/files/{file}?signature={sign(secret, file, ana.id, now_s + left_s)}" for left_s in (600, 0)]
    assert httpx.get(links[0]).content == CONTENT
    assert "has ended" in problem(httpx.get(links[1]), 404, "not-found")["detail"]


def test_a_link_ends_with_the_access_of_its_user(gateway: Gateway, admin: Client, people: list[Client]) -> None:
    ana, ben, cleo = people
    crew = ana.group(ben, cleo)
    file = store_file(gateway, ana, CONTENT)
    sent(ana, file, conversation=crew)
    bens, cleos = link_of(ben, file), link_of(cleo, file)
    assert httpx.get(bens).content == httpx.get(cleos).content == CONTENT
    assert ben.delete(f"/conversations/{crew}/members/{ben.id}").status_code == 204
    suspend(admin, cleo.id)
    problem(httpx.get(bens), 404, "not-found")
    problem(httpx.get(cleos), 404, "not-found")


def test_no_link_is_logged(gateway: Gateway, ana: Client) -> None:
    link = link_of(ana, store_file(gateway, ana, CONTENT))
    request_id = httpx.get(link).headers["X-Request-Id"]
    until(lambda: request_id in gateway.stderr())
    assert link.partition("signature=")[2] not in gateway.stderr() + gateway.http.get("/metrics").text


# The store


def test_a_file_without_its_object_is_an_error_of_the_store(gateway: Gateway, ana: Client) -> None:
    content = b"this object will be lost"
    file = store_file(gateway, ana, content)
    object_path(gateway, content).unlink()
    problem(ana.get(f"/files/{file}"), 503, "unavailable")
    until(lambda: "file_object_missing" in gateway.stderr())
