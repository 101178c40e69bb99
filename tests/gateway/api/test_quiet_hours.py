"""Whether it is quiet for the caller, and a rehearsal of their settings."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs.consumers.notify import NotifyConsumer
from jobs.drain.drain import drain
from models.log import event
from models.notices import preference
from models.notices.preference import Choice
from models.notices.quiet import DAYS
from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway


def around_now(hours: int = 3) -> dict[str, object]:
    """Quiet hours that began before now and end within some hours."""
    now = datetime.now(UTC)
    begin, end = now - timedelta(hours=1), now + timedelta(hours=hours)
    return {"days": list(DAYS), "from": begin.strftime("%H:%M"), "to": end.strftime("%H:%M")}


def notify(gateway: Gateway, client: Client) -> None:
    """Have what waits decided, with instant mail for the client."""
    with gateway.store():
        with event.transaction() as tx:
            preference.set_choices(tx, client.id, {"message": Choice(True, "instant")})
        drain(NotifyConsumer())


def test_one_sees_whether_it_is_quiet_and_what_waits(gateway: Gateway, ana: Client, ben: Client, cleo: Client) -> None:
    usual = {"quiet": None, "timezone": "UTC", "until": None, "waiting": {"mails": 0, "pushes": 0}}
    assert ben.get("/me/quiet").json() == usual
    quiet = ben.patch("/me", {"quiet": around_now()}).json()["quiet"]
    for sender in (ana, cleo):
        sender.send("good night", to=ben)
    notify(gateway, ben)
    found = ben.get("/me/quiet").json()
    assert (found["quiet"], found["waiting"]) == (quiet, {"mails": 2, "pushes": 0})
    end = datetime.fromisoformat(found["until"])
    assert end.strftime("%H:%M") == quiet["to"]
    assert timedelta(0) < end - datetime.now(UTC) < timedelta(hours=3, minutes=1)
    ben.post("/notifications/read", {"all": True})
    assert ben.get("/me/quiet").json()["waiting"]["mails"] == 0, "what was read does not go"
    ben.patch("/me", {"quiet": None})
    assert ben.get("/me/quiet").json() == usual


def test_settings_are_tried_without_being_changed(ana: Client, ben: Client) -> None:
    conversation = ana.send("one", to=ben)["conversation"]
    ana.send("two", to=ben)
    before = ben.get("/me").json(), ben.get("/notification-preferences").json()
    tried = {
        "quiet": around_now(),
        "preferences": {"message": {"email": "instant"}},
        "levels": {str(conversation): "all"},
    }
    answer = ben.post("/me/rehearsal", tried)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["complete"]
    shown = {"notifications": 2, "in_app": 2, "below_level": 0, "off": 0, "pushes": 0, "delayed_pushes": 0}
    assert found["now"] == shown | {"mails": 1, "delayed_mails": 0}, "a digest of the hour"
    assert found["tried"] == shown | {"mails": 1, "delayed_mails": 1}
    muted = ben.post("/me/rehearsal", {"levels": {str(conversation): "none"}}).json()["tried"]
    assert (muted["in_app"], muted["below_level"], muted["mails"]) == (0, 2, 0)
    assert ben.post("/me/rehearsal", {}).json()["tried"] == found["now"]
    assert (ben.get("/me").json(), ben.get("/notification-preferences").json()) == before


@pytest.mark.parametrize(
    ("tried", "field"),
    [
        ({"quiet": {"days": [], "from": "22:00", "to": "07:00"}}, "quiet.days"),
        ({"quiet": {"days": ["mon"], "from": "22:00"}}, "quiet.to"),
        ({"preferences": {"pigeons": {"email": "off"}}}, "preferences.pigeons"),
        ({"preferences": {"message": {"email": "weekly"}}}, "preferences.message.email"),
        ({"preferences": {f"type{n}": {} for n in range(501)} | {"message": {}}}, "preferences"),
        ({"levels": {"7": "loud"}}, "levels.7"),
        ({"levels": {"seven": "all"}}, "levels.seven"),
        ({"days": ["mon"]}, "days"),
    ],
)
def test_what_cannot_be_tried_is_named(ana: Client, tried: dict[str, object], field: str) -> None:
    assert field in fields(ana.post("/me/rehearsal", tried))


def test_quiet_hours_need_a_token(gateway: Gateway) -> None:
    problem(gateway.anonymous().get("/me/quiet"), 401, "unauthorized")
    problem(gateway.anonymous().post("/me/rehearsal", {}), 401, "unauthorized")
