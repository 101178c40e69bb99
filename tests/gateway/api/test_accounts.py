import httpx
import pytest

from models.identity import token, user
from models.log import event
from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway

PASSWORD = "a long enough password"


@pytest.fixture(scope="module", autouse=True)
def dora(gateway: Gateway, admin: Client) -> None:
    """Create an account with a password."""
    new = {"username": "Dora", "email": "Dora@example.org", "display_name": "Dora D.", "password": PASSWORD}
    assert admin.post("/admin/users", {"users": [new]}).status_code == 201


def login(gateway: Gateway, name: str = "dora", password: str = PASSWORD) -> Client:
    answer = gateway.anonymous().post("/login", {"login": name, "password": password})
    assert answer.status_code == 200, answer.text
    return Client(gateway, answer.json()["user"]["id"], name, answer.json()["token"])


@pytest.mark.parametrize("name", ["dora", "DORA", "Dora@Example.org"])
def test_a_login_by_username_or_address_in_any_case_returns_a_token_and_the_user(gateway: Gateway, name: str) -> None:
    answer = gateway.anonymous().post("/login", {"login": name, "password": PASSWORD})

    assert answer.status_code == 200
    assert answer.json()["user"] == {
        "id": answer.json()["user"]["id"],
        "username": "Dora",
        "display_name": "Dora D.",
        "role": "user",
        "status": "active",
        "external_id": None,
    }
    assert Client(gateway, 0, "", answer.json()["token"]).get("/me").json()["email"] == "Dora@example.org"
    assert "set-cookie" not in answer.headers


def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(gateway: Gateway) -> None:
    wrong = gateway.anonymous().post("/login", {"login": "dora", "password": "another password"})
    nobody = gateway.anonymous().post("/login", {"login": "nobody", "password": PASSWORD})

    assert problem(wrong, 401, "unauthorized") == problem(nobody, 401, "unauthorized")
    assert wrong.headers["WWW-Authenticate"] == "Bearer"


def test_no_password_logs_in_to_an_account_without_a_password(gateway: Gateway, ana: Client) -> None:
    for password in ("", "nobody's password", "None"):
        problem(gateway.anonymous().post("/login", {"login": ana.name, "password": password}), 401, "unauthorized")


def test_a_suspended_account_is_403_only_with_the_right_password(gateway: Gateway, admin: Client) -> None:
    new = {"username": "sus", "email": "sus@example.org", "password": PASSWORD}
    number = admin.post("/admin/users", {"users": [new]}).json()["items"][0]["id"]
    with gateway.store(), event.transaction() as tx:
        user.change(tx, number, status="suspended")

    problem(gateway.anonymous().post("/login", {"login": "sus", "password": PASSWORD}), 403, "suspended")
    problem(gateway.anonymous().post("/login", {"login": "sus", "password": "something else"}), 401, "unauthorized")


def test_a_pending_account_is_refused_like_an_unknown_one(gateway: Gateway, admin: Client) -> None:
    new = {"username": "pen", "email": "pen@example.org", "password": PASSWORD}
    assert admin.post("/admin/users", {"users": [new]}).status_code == 201
    gateway.execute("UPDATE users SET status='pending' WHERE username='pen'")

    problem(gateway.anonymous().post("/login", {"login": "pen", "password": PASSWORD}), 401, "unauthorized")


@pytest.mark.parametrize("body", [{"login": "dora"}, {"password": PASSWORD}, {"login": 5, "password": PASSWORD}])
def test_a_missing_field_or_one_of_a_wrong_type_is_named(gateway: Gateway, body: dict[str, object]) -> None:
    (field,) = fields(gateway.anonymous().post("/login", body))

    assert field in {"login", "password"}


def test_no_token_is_stored_in_plain_text(gateway: Gateway) -> None:
    token = login(gateway).token
    assert token is not None

    assert token not in gateway.dump()


def test_logging_out_revokes_only_this_token(gateway: Gateway) -> None:
    first_client, second_client = login(gateway), login(gateway)

    assert first_client.post("/logout").status_code == 204
    problem(first_client.get("/me"), 401, "unauthorized")
    problem(first_client.post("/messages", {"to": 1, "body": "hi"}), 401, "unauthorized")
    assert second_client.get("/me").status_code == 200


def test_logging_out_ends_the_open_polls_of_the_token_with_401_and_no_others(gateway: Gateway, ben: Client) -> None:
    first_client, second_client = login(gateway), login(gateway)
    cursor = first_client.now()
    revoked_poll, other_poll = first_client.polling(cursor), second_client.polling(cursor)
    gateway.waiting(2)

    first_client.post("/logout")

    problem(revoked_poll.result(), 401, "unauthorized")
    ben.send("still there?", to=second_client)
    assert other_poll.result().json()["events"]


def test_users_list_their_sessions_and_revoke_one(gateway: Gateway) -> None:
    answer = gateway.anonymous().post("/login", {"login": "dora", "password": PASSWORD}, headers={"User-Agent": "Firefox 140"})
    first_client, second_client = Client(gateway, 0, "", answer.json()["token"]), login(gateway)

    items = {item["id"]: item for item in second_client.get("/me/sessions").json()["items"]}
    current = next(item for item in items.values() if item["current"])
    first_session = next(item for item in items.values() if item["label"] == "Firefox 140")
    assert first_session["address"] == "127.0.0.1"
    assert first_session["created_at"].endswith("Z")
    assert not first_session["current"]

    assert second_client.delete(f"/me/sessions/{first_session['id']}").status_code == 204
    problem(first_client.get("/me"), 401, "unauthorized")
    remaining = second_client.get("/me/sessions").json()["items"]
    assert current["id"] in {item["id"] for item in remaining}
    assert first_session["id"] not in {item["id"] for item in remaining}


def test_a_session_of_another_user_is_404(gateway: Gateway, ana: Client) -> None:
    number = ana.get("/me/sessions").json()["items"][0]["id"]

    problem(login(gateway).delete(f"/me/sessions/{number}"), 404, "not-found")
    assert ana.get("/me").status_code == 200


def test_sessions_are_listed_in_pages(gateway: Gateway, ana: Client) -> None:
    with gateway.store(), event.transaction() as tx:
        for n in range(4):
            token.create(tx, ana.id, f"bot {n}")

    first = ana.get("/me/sessions", limit=3).json()
    second = ana.get("/me/sessions", limit=3, page=first["next"]).json()
    assert [item["label"] for item in first["items"] + second["items"]] == ["test", "bot 0", "bot 1", "bot 2", "bot 3"]
    assert second["next"] is None


def test_suspending_revokes_tokens_and_ends_open_polls(gateway: Gateway, ana: Client) -> None:
    poll = ana.polling(ana.now())
    gateway.waiting(1)

    with gateway.store(), event.transaction() as tx:
        user.change(tx, ana.id, status="suspended")

    problem(poll.result(), 401, "unauthorized")
    assert ana.get("/me").status_code in (401, 403)
    assert ana.post("/messages", {"to": 1, "body": "hi"}).status_code in (401, 403)


def test_users_see_their_own_address_profile_and_wallet(ana: Client) -> None:
    assert ana.get("/me").json() == {
        "id": ana.id,
        "username": ana.name,
        "display_name": ana.name.capitalize(),
        "role": "user",
        "status": "active",
        "external_id": None,
        "email": f"{ana.name}@example.org",
        "profile": {"timezone": "UTC", "locale": "en"},
        "quiet": None,
        "wallet": {"currency": "USD", "balance": "0.00"},
    }


def test_only_the_named_fields_change(ana: Client) -> None:
    cursor = ana.now()
    changed = ana.patch("/me", {"display_name": "Ana Ç.", "timezone": "Europe/Berlin"}).json()
    assert (changed["display_name"], changed["profile"]) == ("Ana Ç.", {"timezone": "Europe/Berlin", "locale": "en"})

    (updated,) = ana.events(cursor)
    assert updated["type"] == "account.updated"
    assert updated["data"]["display_name"] == "Ana Ç."
    assert ana.patch("/me", {"locale": "pt-BR"}).json()["profile"] == {"timezone": "Europe/Berlin", "locale": "pt-BR"}
    assert ana.patch("/me", {}).json()["display_name"] == "Ana Ç."


NIGHT = {"days": ["mon", "fri"], "from": "22:00", "to": "07:00"}


def test_quiet_hours_are_set_and_removed(ana: Client, ben: Client) -> None:
    assert ana.patch("/me", {"quiet": NIGHT | {"days": ["fri", "mon", "fri"]}}).json()["quiet"] == NIGHT
    assert ana.patch("/me", {"locale": "de"}).json()["quiet"] == NIGHT, "what is left out stays"
    assert ana.get("/state").json()["me"]["quiet"] == NIGHT
    assert "quiet" not in ben.get(f"/users/{ana.id}").json()
    assert ana.patch("/me", {"quiet": None}).json()["quiet"] is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"days": []}, "quiet.days"),
        ({"days": ["monday"]}, "quiet.days"),
        ({"days": "mon"}, "quiet.days"),
        ({"days": ["mon"] * 8}, "quiet.days"),
        ({"from": "24:00"}, "quiet.from"),
        ({"from": 22}, "quiet.from"),
        ({"to": "7:00"}, "quiet.to"),
        ({"to": None}, "quiet.to"),
        ({"until": "07:00"}, "quiet.until"),
        ({"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "07:00"}, "quiet.to"),  # it would never end
    ],
)
def test_wrong_quiet_hours_are_named(ana: Client, change: dict[str, object], field: str) -> None:
    assert fields(ana.patch("/me", {"quiet": NIGHT | change})) == [field]
    assert ana.get("/me").json()["quiet"] is None


@pytest.mark.parametrize("value", [True, "22:00-07:00", [], {}])
def test_quiet_hours_are_an_object_or_null(ana: Client, value: object) -> None:
    assert {name.partition(".")[0] for name in fields(ana.patch("/me", {"quiet": value}))} == {"quiet"}


def test_a_new_name_is_one_event_for_all_who_follow_posts(admin: Client, ana: Client, ben: Client) -> None:
    cursor = ben.now()
    assert ana.patch("/me", {"display_name": "Ana Ç."}).status_code == 200
    assert ana.patch("/me", {"display_name": "Ana Ç.", "locale": "de"}).status_code == 200
    assert admin.patch(f"/admin/users/{ana.id}", {"display_name": "Ana M."}).status_code == 200

    assert ben.events(cursor) == []
    updated = ben.events(cursor, follow="posts")
    assert [(e["type"], e["data"]["id"], e["data"]["display_name"]) for e in updated] == [
        ("user.updated", ana.id, "Ana Ç."),
        ("user.updated", ana.id, "Ana M."),
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("display_name", ""),
        ("display_name", "   "),
        ("display_name", "x" * 81),
        ("display_name", "x" + " " * 1000),
        ("display_name", "\u200d"),
        ("display_name", "line\nbreak"),
        ("display_name", "right\u202eleft"),
        ("display_name", "\u3164"),
        ("display_name", "\u2800"),
        ("display_name", "a" + "\u0301" * 79),
        ("display_name", 5),
        ("timezone", "Mars/Base"),
        ("timezone", "../etc/passwd"),
        ("locale", "en_US!"),
        ("password", "short"),
        ("password", "x" * 201),
        ("role", "admin"),
        ("balance", "100.00"),
    ],
)
def test_an_invalid_field_is_named_and_nothing_changes(ana: Client, field: str, value: object) -> None:
    before = ana.get("/me").json()

    assert fields(ana.patch("/me", {"timezone": "Asia/Tokyo", **{field: value}})) == [field]
    assert ana.get("/me").json() == before


@pytest.mark.parametrize("name", ["👩‍💻 Ana", "Ana 🫨", "علی‌رضا", "🏴󠁧󠁢󠁷󠁬󠁳󠁿"])
def test_a_name_may_contain_joiners_of_letters_and_emoji(ana: Client, name: str) -> None:
    assert ana.patch("/me", {"display_name": name}).json()["display_name"] == name


def test_a_new_password_needs_the_current_one(gateway: Gateway, admin: Client) -> None:
    new = {"username": "eve", "email": "eve@example.org", "password": PASSWORD}
    assert admin.post("/admin/users", {"users": [new]}).status_code == 201
    eve = login(gateway, "eve")
    changed = "another long password"

    assert fields(eve.patch("/me", {"password": changed})) == ["current_password"]
    assert fields(eve.patch("/me", {"password": changed, "current_password": "wrong"})) == ["current_password"]
    assert eve.patch("/me", {"password": changed, "current_password": PASSWORD}).status_code == 200

    problem(gateway.anonymous().post("/login", {"login": "eve", "password": PASSWORD}), 401, "unauthorized")
    assert login(gateway, "eve", changed).get("/me").status_code == 200


def browse(gateway: Gateway) -> tuple[httpx.Client, httpx.Response]:
    """Log in as a browser does, with a cookie; return the browser and the answer."""
    client = httpx.Client(base_url=gateway.url + "/api/v1", trust_env=False)
    return client, client.post("/login", json={"login": "dora", "password": PASSWORD, "cookie": True})


@pytest.fixture(scope="module")
def browser(gateway: Gateway) -> httpx.Client:
    """A browser that stays logged in."""
    return browse(gateway)[0]


def test_a_cookie_session_keeps_the_token_from_scripts(gateway: Gateway) -> None:
    browser, answer = browse(gateway)

    assert answer.status_code == 200
    assert set(answer.json()) == {"user"}
    session = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("bellwire_session="))
    assert "HttpOnly" in session
    assert "SameSite=Strict" in session
    assert browser.cookies["bellwire_session"] not in answer.text


def test_safe_methods_need_only_the_cookie(browser: httpx.Client) -> None:
    assert browser.get("/me").json()["username"] == "Dora"
    assert browser.get("/events").status_code == 200


def test_unsafe_methods_need_the_xsrf_cookie_repeated_in_a_header(browser: httpx.Client) -> None:
    problem(browser.patch("/me", json={"locale": "de"}), 403, "xsrf")
    problem(browser.patch("/me", json={"locale": "de"}, headers={"X-XSRFToken": "wrong"}), 403, "xsrf")
    assert browser.get("/me").json()["profile"]["locale"] == "en"

    header = {"X-XSRFToken": browser.cookies["_xsrf"]}
    assert browser.patch("/me", json={"locale": "de"}, headers=header).status_code == 200
    browser.patch("/me", json={"locale": "en"}, headers=header)


def test_an_authorization_header_overrides_the_cookie_and_needs_no_xsrf_token(browser: httpx.Client, ana: Client) -> None:
    header = {"Authorization": f"Bearer {ana.token}"}
    assert browser.get("/me", headers=header).json()["id"] == ana.id
    assert browser.patch("/me", json={"locale": "de"}, headers=header).json()["id"] == ana.id
    problem(browser.get("/me", headers={"Authorization": "Bearer dead"}), 401, "unauthorized")
    problem(browser.get("/me", headers={"Authorization": "Basic ZG9yYTp4"}), 401, "unauthorized")


def test_logging_out_clears_the_cookie_and_revokes_its_token(gateway: Gateway) -> None:
    browser, _ = browse(gateway)
    token = browser.cookies["bellwire_session"]

    logout = browser.post("/logout", headers={"X-XSRFToken": browser.cookies["_xsrf"]})
    assert (logout.status_code, logout.headers["Clear-Site-Data"]) == (204, '"cache"')
    assert "bellwire_session" not in browser.cookies
    problem(browser.get("/me", headers={"Authorization": f"Bearer {token}"}), 401, "unauthorized")


def test_users_are_found_by_the_beginning_of_username_or_display_name(gateway: Gateway, admin: Client, ana: Client) -> None:
    new = [
        {"username": "zelda", "email": "zelda@example.org", "display_name": "Princess"},
        {"username": "zoe", "email": "zoe@example.org", "display_name": "Ünal"},
        {"username": "z_under", "email": "under@example.org", "display_name": "100% Zed"},
    ]
    admin.post("/admin/users", {"users": new})

    def search(q: str) -> list[str]:
        return [item["username"] for item in ana.get("/users", q=q).json()["items"]]

    assert search("z") == ["zelda", "zoe", "z_under"]
    assert search("PRIN") == ["zelda"]
    assert search("ünal") == search("Unal") == search("u\u0308NAL") == ["zoe"]
    assert search("zed") == ["z_under"], "a word of the display name"
    assert search("@zel") == ["zelda"]
    assert search("z_") == ["z_under"]
    assert search("100%") == ["z_under"]
    assert search("under") == search("@under") == search("zed und") == ["z_under"], "a word of the username"
    assert search("zelda@example.org") == search("zed zelda") == []

    gateway.execute("UPDATE users SET status='suspended' WHERE username='zelda'")
    assert search("z") == ["zoe", "z_under"]


@pytest.mark.parametrize(
    ("name", "q"),
    [
        ("José García", "jose"),
        ("José García", "garcia"),
        ("José García", "jose  gar"),
        ("Jose\u0301 Álvarez", "José á"),
        ("Łódź Ôter", "lodz o"),
        ("Straße Nord", "STRASSE"),
        ("李小龍 🎉", "李小"),
        ("🎉 Zora", "zora"),
        ("Anne-Marie O'Neil", "neil"),
        ("Anne-Marie O'Neil", "o'n anne"),
        ("Maria del Carmen Weber (Sales)", "weber maria"),
        ("Maria del Carmen Weber (Sales)", "@weber (sal"),
        ("李小龍", "小龍"),
        ("Zora 🎉", "zora 🎉"),
    ],
)
def test_people_are_found_by_any_word_without_regard_to_accents_and_unicode_form(
    gateway: Gateway, ana: Client, ben: Client, name: str, q: str
) -> None:
    ben.patch("/me", {"display_name": name})
    assert ben.id in [user["id"] for user in ana.get("/users", q=q, limit=200).json()["items"]]
    ben.patch("/me", {"display_name": "Another"})
    assert ben.id not in [user["id"] for user in ana.get("/users", q=q, limit=200).json()["items"]]


def test_no_address_is_shown_to_other_users(ana: Client, ben: Client) -> None:
    assert "example.org" not in ana.get("/users", q="person").text
    assert set(ana.get(f"/users/{ben.id}").json()) == {"id", "username", "display_name", "role", "status", "external_id"}


def test_a_user_who_is_not_active_is_404(gateway: Gateway, ana: Client, ben: Client) -> None:
    assert ana.get(f"/users/{ben.id}").json()["username"] == ben.name
    gateway.execute("UPDATE users SET status='suspended' WHERE id=?", ben.id)
    problem(ana.get(f"/users/{ben.id}"), 404, "not-found")


def test_pages_have_no_gaps(gateway: Gateway, ana: Client) -> None:
    everyone = [item["id"] for item in ana.get("/users", q="person", limit=200).json()["items"]]
    seen: list[int] = []
    page = None
    while True:
        answer = ana.get("/users", q="person", limit=2, **({} if page is None else {"page": page})).json()
        seen += [item["id"] for item in answer["items"]]
        page = answer["next"]
        if page is None:
            break
    assert seen == everyone


@pytest.mark.parametrize(("name", "value"), [("limit", "0"), ("limit", "201"), ("limit", "x"), ("limit", "-1"), ("page", "x")])
def test_an_invalid_page_or_limit_is_named(ana: Client, name: str, value: str) -> None:
    assert fields(ana.get("/users", **{name: value})) == [name]


def test_a_search_text_that_is_too_long_is_named(ana: Client, admin: Client) -> None:
    assert fields(ana.get("/users", q="%" * 20_000)) == ["q"]
    assert fields(admin.get("/admin/users", q="%" * 20_000)) == ["q"]


def test_a_name_whose_letters_are_longer_in_lower_case_is_stored_and_found(gateway: Gateway, ana: Client) -> None:
    name = "İ" * 80
    assert ana.patch("/me", {"display_name": name}).json()["display_name"] == name
    assert [user["id"] for user in ana.get("/users", q="İİ").json()["items"]] == [ana.id]
