"""Webhooks, as managed by admins. Deliveries are tested in tests/jobs/hooks/."""

import pytest

from models.hooks import webhook
from models.log import event
from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway

URL = "https://shop.example.org/bellwire"


def test_a_webhook_is_created_changed_and_deleted(gateway: Gateway, admin: Client, ana: Client) -> None:
    problem(ana.post("/admin/webhooks", {"url": URL}), 403, "forbidden")
    made = admin.post("/admin/webhooks", {"url": URL, "types": ["message.*"], "description": "the shop"})
    assert made.status_code == 201, made.text
    hook = made.json()
    secret = hook.pop("secret")
    assert secret.startswith("whsec_")
    path = f"/admin/webhooks/{hook['id']}"
    assert hook == {
        **{"id": hook["id"], "url": URL, "types": ["message.*"], "description": "the shop", "state": "active"},
        **{"position": hook["position"], "lag_s": 0, "last_status": None, "last_error": None, "failures": 0},
        **{"next_attempt_at": None, "created_by": admin.id, "created_at": hook["created_at"]},
    }
    assert admin.get("/admin/webhooks").json() == {"items": [hook], "next": None}
    assert admin.get(path).json() == hook
    assert admin.get("/admin/jobs").json()["webhooks"][0]["webhook"] == hook["id"]
    changed = admin.patch(path, {"state": "paused", "types": [], "rotate": True}).json()
    assert changed.pop("secret") not in (secret, None)
    assert changed == {**hook, "state": "paused", "types": []}
    assert "secret" not in admin.patch(path, {"description": "x"}).json()
    assert admin.post(f"{path}/test").status_code == 202
    assert secret.removeprefix("whsec_") not in gateway.dump() + gateway.stderr()
    assert admin.delete(path).status_code == 204
    for call in (admin.get(path), admin.delete(path), admin.patch(path, {}), admin.post(f"{path}/test")):
        problem(call, 404, "not-found")
    problem(admin.post(f"{path}/rewind", {"cursor": "begin"}), 404, "not-found")


def test_it_begins_at_a_cursor_and_is_rewound(gateway: Gateway, admin: Client, ana: Client, ben: Client) -> None:
    first = admin.now()
    message = ana.send("hello", to=ben)
    hook = admin.post("/admin/webhooks", {"url": URL, "from": "begin", "types": ["message.created"]}).json()
    path = f"/admin/webhooks/{hook['id']}"
    assert (hook["position"].rpartition("-")[2], hook["lag_s"] > 0) == ("0", True)
    now = admin.post("/admin/webhooks", {"url": URL}).json()
    assert now["position"] == admin.now()
    assert admin.post("/admin/webhooks", {"url": URL, "from": first}).json()["position"] == first
    assert admin.post(f"{path}/rewind", {"cursor": now["position"]}).json()["position"] == now["position"]
    rewound = admin.post(f"{path}/rewind", {"time": message["created_at"]}).json()["position"]
    assert int(rewound.rpartition("-")[2]) < int(now["position"].rpartition("-")[2])
    assert "message.created" in {e["type"] for e in admin.get("/admin/log", cursor=rewound).json()["events"]}
    expired = f"{first.partition('-')[0]}-99999"
    problem(admin.post("/admin/webhooks", {"url": URL, "from": expired}), 410, "cursor-expired")
    problem(admin.post(f"{path}/rewind", {"cursor": "other-1"}), 410, "cursor-expired")
    assert fields(admin.post(f"{path}/rewind", {})) == ["cursor"]
    assert fields(admin.post(f"{path}/rewind", {"cursor": "x"})) == ["cursor"]
    assert fields(admin.post(f"{path}/rewind", {"time": "yesterday"})) == ["time"]
    assert fields(admin.post("/admin/webhooks", {"url": URL, "from": "x"})) == ["from"]


@pytest.mark.parametrize(
    "url", ["ftp://a.example/", "https://", "https://a:b@c.example/", "/x", "https://a.example/ b", "http://a:99999/"]
)
def test_an_address_that_can_not_be_called_is_refused(admin: Client, url: str) -> None:
    assert fields(admin.post("/admin/webhooks", {"url": url, "types": ["Wrong"]})) == ["url", "types"]
    assert fields(admin.post("/admin/webhooks", {"url": URL, "state": "active"})) == ["state"]


def test_their_number_is_bounded(store: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "MAX_WEBHOOKS", 1)
    with event.transaction() as tx:
        webhook.create(tx, "key", 1, URL, [], "", None)
    with pytest.raises(webhook.ConflictError), event.transaction() as tx:
        webhook.create(tx, "key", 1, URL, [], "", None)
