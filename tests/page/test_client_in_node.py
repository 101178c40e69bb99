"""client.js without a browser: `client.test.mjs`, run by Node.js against a gateway."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.waiting import LIMIT_S

TESTS = Path(__file__).with_name("client.test.mjs")
PASSWORD = "correct horse battery"
pytestmark = [pytest.mark.only("sqlite"), pytest.mark.needs_binary("node")]  # the database does not matter here


@pytest.mark.timeout(LIMIT_S + 30)
def test_the_client_works_in_node(gateway: Gateway, admin: Client) -> None:
    new = [{"username": name, "email": f"{name}@example.org", "password": PASSWORD} for name in ("nodeana", "nodeben")]
    made = admin.post("/admin/users", {"users": new}).json()["items"]
    tokens = [admin.post(f"/admin/users/{user['id']}/tokens", {}).json()["token"] for user in made]
    ana, ben = (
        {"id": user["id"], "username": user["username"], "password": PASSWORD, "token": token}
        for user, token in zip(made, tokens, strict=True)
    )
    facts = json.dumps({"url": gateway.url, "ana": ana, "ben": ben})

    run = subprocess.run(
        ["node", "--test", str(TESTS)],
        env={**os.environ, "BELLWIRE_TEST": facts},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
