"""A real OpenID provider issues the tokens, and rotates its keys."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests import npm
from tests.gateway.client import Client, problem
from tests.gateway.running import Gateway
from tests.waiting import LIMIT_S

PACKAGE = "oidc-provider@9.13.3"
SCRIPT = Path(__file__).parent / "provider.mjs"


@pytest.fixture(scope="module")
def folder() -> Path:
    """A folder with the package."""
    installed = npm.installed(PACKAGE)
    shutil.copy(SCRIPT, installed)
    return installed


@pytest.fixture(scope="module")
def issuer(folder: Path) -> Iterator[str]:
    """The provider's address, while it runs."""
    process = subprocess.Popen(["node", SCRIPT.name], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().strip() or process.communicate()[1]
    process.kill()
    process.communicate()


def issued(issuer: str) -> str:
    """Return a token that the provider issues."""
    form = {"grant_type": "client_credentials", "scope": "chat", "resource": "https://chat.example.org"}
    answer = httpx.post(f"{issuer}/token", data=form, auth=("user-7", "secret"), timeout=LIMIT_S, trust_env=False)
    return str(answer.json()["access_token"])


@pytest.mark.only("sqlite")  # the store has no part in it
@pytest.mark.needs_binary("node")
@pytest.mark.needs_binary("npm")
def test_tokens_of_an_openid_provider_that_rotates_its_keys(make_gateway: Callable[..., Gateway], issuer: str) -> None:
    gateway = make_gateway(JWT_ISSUER=issuer, JWT_KEYS=f"{issuer}/jwks", JWT_ALGORITHMS="ES256")
    first = Client(gateway, 0, "", issued(issuer))
    me = first.get("/me").json()
    httpx.get(f"{issuer}/rotate", trust_env=False)
    second = Client(gateway, 0, "", issued(issuer))

    assert (me["external_id"], me["display_name"]) == ("user-7", "Ana of the provider")
    assert second.get("/me").json() == first.get("/me").json() == me
    payload = first.token and first.token.rpartition(".")[0]
    problem(first.with_token(f"{payload}.{second.token and second.token.rpartition('.')[2]}").get("/me"), 401, "unauthorized")
