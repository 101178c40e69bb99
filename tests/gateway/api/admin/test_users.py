import json

import pytest

from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway
from tests.gateway.transports import socket, stream
from tests.waiting import until


def new(name: str, **profile: object) -> dict[str, object]:
    return {"username": name, "email": f"{name}@example.org", **profile}


def names(admin: Client, **filters: str) -> list[str]:
    return [item["username"] for item in admin.get("/admin/users", limit=200, **filters).json()["items"]]


def test_new_accounts_are_active_and_have_profile_and_wallet(gateway: Gateway, admin: Client) -> None:
    answer = admin.post("/admin/users", {"users": [new("first", display_name="First One"), new("second", role="admin")]})

    assert answer.status_code == 201
    one, two = answer.json()["items"]
    expected = {"username": "first", "display_name": "First One", "role": "user", "status": "active", "external_id": None}
    assert one == {"id": one["id"], **expected}
    assert (two["display_name"], two["role"], two["status"]) == ("second", "admin", "active")
    for number in (one["id"], two["id"]):
        assert gateway.rows("SELECT timezone, locale FROM profiles WHERE user_id=?", number) == [("UTC", "en")]
        assert gateway.rows("SELECT currency, balance_minor FROM wallets WHERE user_id=?", number) == [("USD", 0)]


def test_an_account_of_a_bot_says_so_everywhere_and_others_do_not(admin: Client, ana: Client) -> None:
    answer = admin.post("/admin/users", {"users": [new("helper", bot=True), new("person", bot=False)]})
    bot, person = answer.json()["items"]
    assert (bot["bot"], "bot" in person) == (True, False)
    token = admin.post(f"/admin/users/{bot['id']}/tokens", {"label": "script"}).json()["token"]
    helper = Client(ana.gateway, bot["id"], "helper", token)

    assert ana.get(f"/users/{bot['id']}").json() == bot
    assert ana.get("/users", q="helper").json()["items"] == [bot]
    assert helper.get("/me").json()["bot"] is True
    assert "bot" not in ana.get("/me").json()
    assert [item.get("bot") for item in admin.get("/admin/users", q="helper").json()["items"]] == [True]
    conversation = ana.conversation(ana.send("hi", to=helper)["conversation"])
    assert {m["user"]["id"]: m["user"].get("bot") for m in conversation["members"]} == {ana.id: None, helper.id: True}
    post = helper.post("/posts", {"body": "news"}).json()
    comment = helper.post(f"/posts/{post['id']}/comments", {"body": "more"}).json()
    for author in (post["author"], comment["author"], ana.get("/posts").json()["items"][0]["author"]):
        assert author == bot
    assert ana.get(f"/posts/{post['id']}/comments").json()["items"][0]["author"] == bot
    assert fields(admin.post("/admin/users", {"users": [new("odd", bot="yes")]})) == ["users.0.bot"]


def test_the_polls_of_a_bot_make_no_one_present(gateway: Gateway, admin: Client, ana: Client) -> None:
    (created,) = admin.post("/admin/users", {"users": [new("watcher", bot=True)]}).json()["items"]
    token = admin.post(f"/admin/users/{created['id']}/tokens", {}).json()["token"]
    bot = Client(gateway, created["id"], "watcher", token)
    ana.send("hi", to=bot)
    with stream(bot), socket(bot):
        gateway.later(gateway.anonymous().get, "/communication/poll/events/", token=token)
        bot.polling(bot.now(), timeout=30)
        gateway.later(ana.poll, ana.now(), timeout=30)
        until(lambda: gateway.rows("SELECT user_id FROM online") == [(ana.id,)])
        assert ana.get("/state").json()["presence"] == {str(bot.id): False}
        assert bot.get("/state").json()["presence"] == {str(ana.id): True}
    for user in (bot, ana):
        admin.delete(f"/admin/users/{user.id}/tokens")  # ends the polls
    gateway.waiting(0)


def test_all_accounts_or_none_are_created_and_each_invalid_one_is_named(gateway: Gateway, admin: Client, ana: Client) -> None:
    users = [
        new("fine"),
        new("x"),
        new("no-mail", email="nowhere"),
        new("role", role="king"),
        new("shown", display_name="a\nb"),
        new("word", password="short"),
        new(ana.name, email="free@example.org"),
        new("free", email=f"{ana.name}@Example.org".upper()),
        new("FINE", email="other@example.org"),
        new("other", email="Fine@example.org"),
    ]

    assert sorted(fields(admin.post("/admin/users", {"users": users}))) == [
        "users.1.username",
        "users.2.email",
        "users.3.role",
        "users.4.display_name",
        "users.5.password",
        "users.6.username",
        "users.7.email",
        "users.8.username",
        "users.9.email",
    ]
    assert gateway.rows("SELECT 1 FROM users WHERE username='fine'") == []


@pytest.mark.parametrize(
    ("field", "value"), [("username", "-x"), ("username", "a b"), ("username", "x" * 33), ("email", "a@b@c"), ("email", "a b@c")]
)
def test_an_invalid_username_or_address_is_named(admin: Client, field: str, value: str) -> None:
    assert fields(admin.post("/admin/users", {"users": [new("fine") | {field: value}]})) == [f"users.0.{field}"]


def test_one_to_a_thousand_accounts_are_created_in_one_request(admin: Client) -> None:
    assert fields(admin.post("/admin/users", {"users": []})) == ["users"]
    assert fields(admin.post("/admin/users", {"users": [new(f"many{n}") for n in range(1001)]})) == ["users"]

    created = admin.post("/admin/users", {"users": [new(f"many{n}") for n in range(1000)]}).json()["items"]
    assert [user["username"] for user in created] == [f"many{n}" for n in range(1000)]


def test_the_same_accounts_requested_several_times_at_once_are_created_once(gateway: Gateway, admin: Client) -> None:
    body = {"users": [new(f"twin{n}") for n in range(20)]}
    answers = [f.result() for f in [gateway.later(admin.post, "/admin/users", body) for _ in range(4)]]

    assert sorted(a.status_code for a in answers) == [201, 422, 422, 422]
    assert len(names(admin, q="twin")) == 20


def test_admins_list_all_users_with_address_by_status_role_and_text(gateway: Gateway, admin: Client) -> None:
    admin.post("/admin/users", {"users": [new("lista", display_name="Zed"), new("listb", role="admin"), new("listc")]})
    gateway.execute("UPDATE users SET status='suspended' WHERE username='listc'")

    assert names(admin, q="list") == ["lista", "listb", "listc"]
    assert names(admin, q="LIST", role="admin") == ["listb"]
    assert names(admin, q="list", status="suspended") == ["listc"]
    assert names(admin, q="zed") == ["lista"]
    assert names(admin, q="lista@example") == ["lista"]
    assert admin.get("/admin/users", q="lista").json()["items"][0]["email"] == "lista@example.org"
    assert fields(admin.get("/admin/users", status="gone")) == ["status"]
    assert fields(admin.get("/admin/users", role="king")) == ["role"]


def test_an_admin_changes_role_and_name_and_the_user_gets_the_event(admin: Client, ana: Client) -> None:
    cursor = ana.now()

    changed = admin.patch(f"/admin/users/{ana.id}", {"role": "admin", "display_name": "Boss"}).json()
    assert (changed["role"], changed["display_name"]) == ("admin", "Boss")
    user = {name: value for name, value in changed.items() if name not in ("email", "metadata")}
    assert [(e["type"], e["data"]) for e in ana.events(cursor)] == [("account.updated", user)]
    assert ana.get("/admin/users").status_code == 200

    assert admin.patch(f"/admin/users/{ana.id}", {"role": "user"}).status_code == 200
    problem(ana.get("/admin/users"), 403, "forbidden")
    assert fields(admin.patch(f"/admin/users/{ana.id}", {"role": "king"})) == ["role"]
    assert fields(admin.patch(f"/admin/users/{ana.id}", {"password": "a long one"})) == ["password"]
    assert admin.patch(f"/admin/users/{ana.id}", {}).json()["display_name"] == "Boss"


def test_the_last_admin_cannot_lose_the_role(gateway: Gateway, admin: Client) -> None:
    gateway.execute("UPDATE users SET role='user' WHERE id<>?", admin.id)

    problem(admin.patch(f"/admin/users/{admin.id}", {"role": "user"}), 409, "conflict")
    assert admin.get("/me").json()["role"] == "admin"


def test_an_admin_creates_a_token_for_a_bot_and_revokes_all_tokens(gateway: Gateway, admin: Client, ana: Client) -> None:
    answer = admin.post(f"/admin/users/{ana.id}/tokens", {"label": "weather bot"})

    assert answer.status_code == 201
    bot = ana.with_token(answer.json()["token"])
    assert bot.get("/me").json()["id"] == ana.id
    assert "weather bot" in [s["label"] for s in ana.get("/me/sessions").json()["items"]]
    assert answer.json()["token"] not in gateway.dump()

    poll = ana.polling(ana.now())
    gateway.waiting(1)
    assert admin.delete(f"/admin/users/{ana.id}/tokens").status_code == 204
    problem(poll.result(), 401, "unauthorized")
    problem(bot.get("/me"), 401, "unauthorized")
    assert admin.delete(f"/admin/users/{ana.id}/tokens").status_code == 204


def test_a_token_needs_an_active_user_and_a_valid_label(gateway: Gateway, admin: Client, ana: Client) -> None:
    assert admin.post(f"/admin/users/{ana.id}/tokens").status_code == 201
    assert fields(admin.post(f"/admin/users/{ana.id}/tokens", {"label": "x" * 65})) == ["label"]
    assert fields(admin.post(f"/admin/users/{ana.id}/tokens", {"label": "a\nb"})) == ["label"]
    gateway.execute("UPDATE users SET status='suspended' WHERE id=?", ana.id)
    problem(admin.post(f"/admin/users/{ana.id}/tokens"), 404, "not-found")


def test_each_admin_has_all_watches_on_until_they_switch_them_off(gateway: Gateway) -> None:
    one, other = gateway.users(2, "admin")
    all_on = dict.fromkeys(["user.created", "user.status", "report.created", "message.sent", "user.activity"], True)

    assert one.get("/admin/watches").json() == all_on
    assert one.put("/admin/watches", {"message.sent": False}).json() == all_on | {"message.sent": False}
    assert one.put("/admin/watches", {}).json() == all_on | {"message.sent": False}
    assert other.get("/admin/watches").json() == all_on


@pytest.mark.parametrize(
    ("name", "value"), [("message.read", True), ("message.sent", 1), ("message.sent", None), ("user.status", "on")]
)
def test_an_invalid_watch_is_named(admin: Client, name: str, value: object) -> None:
    assert fields(admin.put("/admin/watches", {"user.created": True, name: value})) == [name]


def test_activity_is_listed_newest_first_by_user_action_site_and_time(gateway: Gateway, admin: Client, ana: Client) -> None:
    for n in range(4):
        gateway.execute(
            "INSERT INTO activities (user_id, action, description, metadata, triggered_by, site, at_ms) VALUES (?,?,?,?,?,?,?)",
            *(
                ana.id,
                "shop.bought" if n % 2 else "shop.looked",
                f"thing {n}",
                json.dumps({"n": n}),
                None,
                f"site{n // 2}",
                1_700_000_000_000 + n * 1000,
            ),
        )

    def listed(**filters: object) -> list[str]:
        answer = admin.get("/admin/activity", user=ana.id, **filters)
        assert answer.status_code == 200, answer.text
        return [item["description"] for item in answer.json()["items"]]

    assert listed() == ["thing 3", "thing 2", "thing 1", "thing 0"]
    assert listed(action="shop.bought") == ["thing 3", "thing 1"]
    assert listed(site="site0") == ["thing 1", "thing 0"]
    assert listed(since="2023-11-14T22:13:21Z", until="2023-11-14T22:13:23Z") == ["thing 2", "thing 1"]
    assert listed(since="2023-11-14T23:13:21+01:00", until="2023-11-14T22:13:22.500Z") == ["thing 2", "thing 1"]
    first = admin.get("/admin/activity", user=ana.id, limit=3).json()
    assert listed(page=first["next"]) == ["thing 0"]
    assert first["items"][0] == {
        "id": first["items"][0]["id"],
        "user": ana.id,
        "action": "shop.bought",
        "description": "thing 3",
        "metadata": {"n": 3},
        "triggered_by": None,
        "site": "site1",
        "at": "2023-11-14T22:13:23.000Z",
    }


def test_counts_by_hour_are_listed_newest_first_whether_their_records_are_archived_or_not(gateway: Gateway, admin: Client) -> None:
    hour = "INSERT INTO activity_hourly (hour_ms, action, site, count) VALUES (?,?,?,?)"
    for at, action, site, count in [(0, "a", "", 1), (0, "b", "", 2), (0, "b", "north", 3), (1, "b", "north", 4), (2, "a", "", 5)]:
        gateway.execute(hour, at * 3_600_000, action, site, count)

    def listed(**filters: object) -> list[int]:
        answer = admin.get("/admin/activity/hourly", **{"until": "1971-01-01T00:00:00Z", **filters})
        assert answer.status_code == 200, answer.text
        return [item["count"] for item in answer.json()["items"]]

    assert listed() == [5, 4, 3, 2, 1]
    assert listed(since="1970-01-01T00:30:00Z") == [5, 4]
    assert listed(until="1970-01-01T02:00:00Z", action="b") == [4, 3, 2]
    assert listed(site="north", since="1970-01-01T00:00:00Z") == [4, 3]
    first = admin.get("/admin/activity/hourly", until="1971-01-01T00:00:00Z", limit=3).json()
    assert listed(page=first["next"]) == [2, 1]
    assert first["items"][2] == {"hour": "1970-01-01T00:00:00.000Z", "action": "b", "site": "north", "count": 3}
    assert admin.get("/admin/activity/hourly", until="1971-01-01T00:00:00Z", limit=5).json()["next"] is None
    assert first["items"][0]["site"] is None


@pytest.mark.parametrize("page", ["x", "x-y", "1", "WzEsMiwzXQ==", "WzFlOTksImEiLCJiIl0=", "WzEsIlx1MDAwMCIsImIiXQ==", "é"])
def test_an_invalid_page_cursor_of_hours_is_named(admin: Client, page: str) -> None:
    assert fields(admin.get("/admin/activity/hourly", page=page)) == ["page"]


@pytest.mark.parametrize(
    "time", ["yesterday", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "5", "२०२६-01-01"]
)
@pytest.mark.parametrize("name", ["since", "until"])
def test_an_invalid_time_is_named(admin: Client, name: str, time: str) -> None:
    for path in ("/admin/activity", "/admin/activity/hourly"):
        answer = admin.get(path, **{name: time})
        assert answer.status_code == 200 or fields(answer) == [name]


def test_a_user_filter_must_be_an_id(admin: Client) -> None:
    for value in ("x", "0", "-1", str(2**63)):
        assert fields(admin.get("/admin/activity", user=value)) == ["user"]


def test_jobs_list_consumers_and_dead_letters(gateway: Gateway, admin: Client, ana: Client, ben: Client) -> None:
    ana.send("hi", to=ben)
    event = gateway.rows("SELECT max(id) FROM events")[0][0]
    for part in range(8 if gateway.kind == "postgresql" else 1):
        gateway.execute("INSERT INTO checkpoints (consumer, part, position, moved_ms) VALUES ('search', ?, ?, 0)", part, event - 1)
    gateway.execute(
        "INSERT INTO dead_work (consumer, event_id, error, parked_ms, retry) VALUES ('search', ?, 'boom', 0, ?)", event, False
    )

    jobs = admin.get("/admin/jobs").json()
    assert [(c["consumer"], c["position"]) for c in jobs["consumers"] if c["consumer"] == "search"] == [("search", event - 1)]
    (letter,) = jobs["dead"]
    assert (letter["consumer"], letter["event"], letter["type"], letter["error"], letter["retrying"]) == (
        "search",
        event,
        "message.created",
        "boom",
        False,
    )

    assert admin.post(f"/admin/jobs/{letter['id']}/retry").status_code == 202
    assert admin.get("/admin/jobs").json()["dead"][0]["retrying"] is True
    problem(admin.post(f"/admin/jobs/{letter['id'] + 1}/retry"), 404, "not-found")
