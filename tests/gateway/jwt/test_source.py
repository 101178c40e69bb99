"""Where the issuer's keys come from, and what becomes of the ones that are known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.commit.threads import ThreadPool
from gateway.jwt import source
from gateway.jwt.source import KeySource
from tests.gateway.client import Client, problem
from tests.gateway.jwt.issuer import NAME, Jwks, claims, ec_key, jwk, jwks, pem, rsa_key, serving, signed
from tests.gateway.running import Gateway
from tests.waiting import until

ALGORITHMS = ("ES256", "HS256")


@pytest.fixture
def server() -> Iterator[Jwks]:
    with serving() as server:
        yield server


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    pool = ThreadPool("verifier", 1, 10)
    yield pool
    pool.close()


def kids(keys: KeySource) -> list[str | None]:
    return [key.kid for key in keys.keys]


@pytest.mark.parametrize(
    ("behaviour", "body"),
    [("hang", b""), ("fail", b"{}"), ("redirect", jwks(jwk(ec_key(1), "ES256", "other"))), ("endless", b"")]
    + [("answer", body) for body in (b"", b"<html>", b'{"keys":[]}', b"[" * 100_000, b" " * 300_000)],
)
def test_an_address_that_fails_changes_no_keys(
    server: Jwks, pool: ThreadPool, behaviour: str, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "TIMEOUT_S", 0.5)

    async def run() -> None:
        keys = KeySource(server.url, ALGORITHMS, pool)
        await keys.read()
        assert (kids(keys), keys.is_failing()) == (["first"], False)
        server.behaviour, known, server.body = behaviour, server.body, body
        await keys.read()
        assert (kids(keys), keys.is_failing()) == (["first"], True)
        server.released.set()
        server.behaviour, server.body = "answer", known
        await keys.read()
        assert (kids(keys), keys.is_failing()) == (["first"], False)

    asyncio.run(run())


def test_an_unknown_key_is_looked_for_at_once_and_then_rarely(server: Jwks, pool: ThreadPool) -> None:
    async def run() -> None:
        keys = KeySource(server.url, ALGORITHMS, pool)
        await keys.read()
        server.body = jwks(jwk(ec_key(1), "ES256", "second"))
        assert sorted(await asyncio.gather(*(keys.read_others(keys.keys) for _ in range(9)))) == [True] * 9
        assert kids(keys) == ["second"]
        server.body = jwks(jwk(ec_key(2), "ES256", "third"))
        assert [await keys.read_others(keys.keys) for _ in range(9)] == [False] * 9
        assert server.requests == 2

    asyncio.run(run())


def test_a_file_is_read_again(pool: ThreadPool, tmp_path: Path) -> None:
    file = tmp_path / "keys"

    async def run() -> None:
        keys = KeySource(str(file), ALGORITHMS, pool)
        await keys.read()
        assert (keys.keys, keys.is_failing()) == ((), True)
        for data, expected in [(pem(ec_key()), [None]), (jwks(jwk(ec_key(), "ES256", "k")), ["k"]), (b"s" * 32, [None])]:
            file.write_bytes(data)
            await keys.read()
            assert (kids(keys), keys.is_failing()) == (expected, False)
        for data in (b" " * 300_000, pem(rsa_key())):  # too large, and for no algorithm that is allowed
            file.write_bytes(data)
            await keys.read()
            assert (kids(keys), keys.is_failing()) == ([None], True)

    asyncio.run(run())


@pytest.mark.only("sqlite")
def test_a_gateway_starts_without_keys_says_so_and_finds_them(make_gateway: Callable[..., Gateway], server: Jwks) -> None:
    server.behaviour = "fail"
    gateway = make_gateway(JWT_ISSUER=NAME, JWT_KEYS=server.url)
    until(lambda: gateway.http.get("/readyz").json() == {"degraded": ["jwks"]})
    ana = Client(gateway, 0, "", signed(claims("7"), kid="first"))

    until(lambda: "jwks_failing" in gateway.stderr())  # which a thread writes
    assert gateway.metric("bellwire_degraded", part="jwks") == 1
    assert problem(ana.get("/me"), 401, "unauthorized")["detail"].startswith("kid:")
    assert gateway.user().get("/me").status_code == 200  # Bellwire's own tokens are valid meanwhile


@pytest.mark.only("sqlite")
def test_keys_are_rotated_without_a_restart(make_gateway: Callable[..., Gateway], server: Jwks) -> None:
    gateway = make_gateway(JWT_ISSUER=NAME, JWT_KEYS=server.url)
    before, after = (Client(gateway, 0, "", signed(claims("7"), ec_key(n), kid=kid)) for n, kid in ((0, "first"), (1, "second")))
    assert before.get("/me").status_code == 200
    server.body = jwks(jwk(ec_key(1), "ES256", "second"))

    assert after.get("/me").status_code == 200
    assert before.get("/me").status_code == 200  # verified once, until its exp
    problem(Client(gateway, 0, "", signed(claims("8"), kid="first")).get("/me"), 401, "unauthorized")


@pytest.mark.only("sqlite")
def test_keys_without_names_are_rotated_and_what_was_refused_is_tried_again(
    make_gateway: Callable[..., Gateway], server: Jwks
) -> None:
    server.body = jwks(jwk(ec_key(), "ES256"), jwk(ec_key(), "ES256", "named"))
    gateway = make_gateway(JWT_ISSUER=NAME, JWT_KEYS=server.url)
    before, after, named = (
        Client(gateway, 0, "", signed(claims("7"), ec_key(n), **kid)) for n, kid in ((0, {}), (1, {}), (1, {"kid": "named"}))
    )
    assert before.get("/me").status_code == 200
    assert problem(named.get("/me"), 401, "unauthorized")["detail"].startswith("signature:")
    server.body = jwks(jwk(ec_key(1), "ES256"), jwk(ec_key(1), "ES256", "named"))

    assert after.get("/me").status_code == 200
    assert named.get("/me").status_code == 200
