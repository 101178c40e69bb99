"""Push subscriptions: which a browser may make, and what ends them."""

import base64
from typing import Any

import pytest

from gateway.api.push import EXAMPLE
from models.notices.push_subscriptions import MAX_ENDPOINT_CHARS, MAX_SUBSCRIPTIONS
from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway

PATH = "/me/push"
NTFY = "https://ntfy.example.org/upDGh5dWZ0/topic?up=1&x=%2F"  # of a UnifiedPush distributor


def subscription(endpoint: str = "https://push.example.org/1", **changes: Any) -> dict[str, Any]:
    """What `JSON.stringify(await registration.pushManager.subscribe(…))` gives."""
    return {"endpoint": endpoint, "expirationTime": None, "keys": EXAMPLE["keys"], **changes}


def services(user: Client) -> list[str]:
    return [item["service"] for item in user.get(PATH).json()["items"]]


def test_the_key_is_a_point_of_the_curve_and_the_same_for_everybody(ana: Client, ben: Client) -> None:
    key = ana.get("/push/key").json()["key"]
    point = base64.urlsafe_b64decode(key + "=")
    assert (len(point), point[0]) == (65, 4)
    assert ben.get("/push/key").json() == {"key": key}


def test_a_subscription_is_listed_without_its_keys_until_it_is_ended(ana: Client, ben: Client) -> None:
    for _ in range(2):
        assert ana.put(PATH, subscription(NTFY, label="Ana's phone")).status_code == 204
    (item,) = ana.get(PATH).json()["items"]
    assert (item["label"], item["service"]) == ("Ana's phone", "ntfy.example.org")
    assert set(item) == {"id", "label", "service", "endpoint", "created_at", "renewed_at"}
    assert services(ben) == []
    assert ben.call("DELETE", PATH, {"endpoint": NTFY}).status_code == 204
    assert services(ana) == ["ntfy.example.org"]
    for _ in range(2):
        assert ana.call("DELETE", PATH, subscription(NTFY)).status_code == 204
    assert services(ana) == []


def test_one_endpoint_belongs_to_the_user_who_subscribed_it_last(ana: Client, ben: Client) -> None:
    for user in (ana, ben):
        assert user.put(PATH, subscription()).status_code == 204
    assert (services(ana), services(ben)) == ([], ["push.example.org"])


def test_of_more_than_the_limit_the_one_renewed_least_recently_ends(ana: Client) -> None:
    addresses = [f"https://push-{n}.example.org/1" for n in range(MAX_SUBSCRIPTIONS + 1)]
    for address in [*addresses[:-1], addresses[0], addresses[-1]]:
        assert ana.put(PATH, subscription(address)).status_code == 204
    assert len(services(ana)) == MAX_SUBSCRIPTIONS
    assert {"push-0.example.org", f"push-{MAX_SUBSCRIPTIONS}.example.org"} < set(services(ana))
    assert "push-1.example.org" not in services(ana)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"endpoint": "http://push.example.org/1"}, "endpoint"),
        ({"endpoint": "http://127.0.0.1/1"}, "endpoint"),
        ({"endpoint": "https://127.0.0.1/1"}, "endpoint"),
        ({"endpoint": "https://localhost:8443/1"}, "endpoint"),
        ({"endpoint": "https://10.0.0.7/1"}, "endpoint"),
        ({"endpoint": "https://[::ffff:192.168.0.1]/1"}, "endpoint"),
        ({"endpoint": "https://ana:secret@push.example.org/1"}, "endpoint"),
        ({"endpoint": "https://push.example.org:x/1"}, "endpoint"),
        ({"endpoint": "https://push.example.org/a b"}, "endpoint"),
        ({"endpoint": "https://push.example.org/" + "x" * MAX_ENDPOINT_CHARS}, "endpoint"),
        ({"endpoint": 7}, "endpoint"),
        ({"keys": {"auth": EXAMPLE["keys"]["auth"]}}, "keys.p256dh"),
        ({"keys": EXAMPLE["keys"] | {"p256dh": "BCVx"}}, "keys.p256dh"),
        ({"keys": EXAMPLE["keys"] | {"p256dh": EXAMPLE["keys"]["p256dh"][:-2] + "AA"}}, "keys.p256dh"),
        ({"keys": EXAMPLE["keys"] | {"auth": "BTBZMqHH6r4Tts7J_aSIggAA"}}, "keys.auth"),
        ({"keys": EXAMPLE["keys"] | {"auth": "é"}}, "keys.auth"),
        ({"label": "x" * 65}, "label"),
        ({"label": "a\0b"}, "label"),
        ({"endpoint": "https://[::1"}, "endpoint"),
    ],
)
def test_a_wrong_subscription_names_the_field(ana: Client, wrong: dict[str, Any], field: str) -> None:
    assert fields(ana.put(PATH, subscription() | wrong)) == [field]
    assert services(ana) == []


def test_a_subscription_ends_with_its_session(gateway: Gateway, ana: Client, admin: Client) -> None:
    phone = ana.with_token(admin.post(f"/admin/users/{ana.id}/tokens", {"label": "phone"}).json()["token"])
    ana.put(PATH, subscription("https://laptop.example.org/1"))
    phone.put(PATH, subscription("https://phone.example.org/1"))
    assert phone.post("/logout").status_code == 204
    assert services(ana) == ["laptop.example.org"]
    assert admin.post("/admin/users/suspend", {"ids": [ana.id]}).status_code == 200
    assert admin.post("/admin/users/activate", {"ids": [ana.id]}).status_code == 200
    again = ana.with_token(admin.post(f"/admin/users/{ana.id}/tokens", {"label": "phone"}).json()["token"])
    assert services(again) == []


def test_push_needs_a_token(gateway: Gateway) -> None:
    problem(gateway.anonymous().get("/push/key"), 401, "unauthorized")
    problem(gateway.anonymous().put(PATH, subscription()), 401, "unauthorized")
