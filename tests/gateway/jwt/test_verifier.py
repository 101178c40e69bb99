"""Tokens that verify, and those that do not, with the claim that is named."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from typing import Any

import jwt
import pytest

from gateway.jwt.keys import Key, KeyFormError, from_file, from_jwks
from gateway.jwt.verifier import Rules, UnknownKeyError, has_form, verify
from models.store.errors import DeadTokenError
from tests.gateway.jwt.issuer import NAME, assembled, claims, ec_key, ed_key, jwk, jwks, pem, rsa_key, signed

RULES = Rules(NAME, "bellwire", ("RS256", "ES256", "EdDSA", "HS256"), 30)
SECRET = "a secret of thirty-two bytes or more"
KEYS = from_jwks(jwks(jwk(rsa_key(), "RS256", "r"), jwk(ec_key(), "ES256", "e"), jwk(ed_key(), "EdDSA", "d")))


def refusal(token: str, keys: list[Key] = KEYS, rules: Rules = RULES) -> str:
    """Return why a token is refused. It never says the token or a value of it."""
    with pytest.raises(DeadTokenError) as refused:
        verify(token, keys, rules, time.time())
    assert not any(part in refused.value.detail for part in token.split(".") if part)
    return refused.value.detail.partition(":")[0]


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"), [(rsa_key(), "RS256", "r"), (ec_key(), "ES256", "e"), (ed_key(), "EdDSA", "d")]
)
@pytest.mark.parametrize("is_named", [True, False])
def test_a_token_of_each_algorithm_verifies(key: Any, algorithm: str, kid: str, is_named: bool) -> None:
    said = claims("user/7", name="Ana", email="ana@example.org", nbf=int(time.time()), picture="x", locale=7)
    found = verify(signed(said, key, algorithm, **({"kid": kid} if is_named else {})), KEYS, RULES, time.time())

    assert (found.subject, found.issued_ms, found.expires_ms) == ("user/7", said["iat"] * 1000, said["exp"] * 1000)
    assert found.profile == {"name": "Ana", "email": "ana@example.org"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"iss": "https://other.example.org"}, "iss"),
        ({"iss": None}, "iss"),
        ({"iss": [NAME]}, "iss"),
        ({"aud": "other"}, "aud"),
        ({"aud": None}, "aud"),
        ({"aud": ["other"]}, "aud"),
        ({"aud": {"bellwire": 1}}, "aud"),
        ({"exp": None}, "exp"),
        ({"exp": int(time.time()) - 31}, "exp"),
        ({"exp": "tomorrow"}, "exp"),
        ({"exp": 10**300}, "exp"),
        ({"exp": True}, "exp"),
        ({"nbf": int(time.time()) + 86_400}, "nbf"),
        ({"iat": int(time.time()) + 86_400}, "iat"),
        ({"iat": "now"}, "iat"),
        ({"sub": None}, "sub"),
        ({"sub": "a b"}, "sub"),
        ({"sub": "x" * 129}, "sub"),
    ],
)
def test_a_refusal_names_the_claim(change: dict[str, Any], named: str) -> None:
    said = claims() | change
    payload = json.dumps({name: value for name, value in said.items() if value is not None}).encode()
    assert refusal(jwt.PyJWS().encode(payload, ec_key(), "ES256")) == named


def test_a_subject_is_a_text() -> None:
    assert refusal(jwt.PyJWS().encode(json.dumps(claims() | {"sub": 42}).encode(), ec_key(), "ES256")) == "sub"


def test_clocks_may_differ_by_the_leeway() -> None:
    now = int(time.time())
    ahead = verify(signed(claims(iat=now + 20, nbf=now + 20, aud=["x", "bellwire"])), KEYS, RULES, now)
    late = verify(signed(claims(exp=now - 20)), KEYS, RULES, now)

    assert ahead.issued_ms == (now + 20) * 1000
    assert late.expires_ms == (now + 10) * 1000
    assert refusal(signed(claims(iat=now + 20)), rules=RULES._replace(leeway_s=0)) == "iat"


def hs256(said: dict[str, Any], secret: bytes, **header: Any) -> str:
    """Return a token with a signature that this test computes: PyJWT refuses public keys as secrets."""
    head, body = ({"alg": "HS256", **header}, json.dumps(said).encode())
    text = assembled(head, body).rpartition(".")[0]
    return f"{text}.{urlsafe_b64encode(hmac.digest(secret, text.encode(), hashlib.sha256)).rstrip(b'=').decode()}"


@pytest.mark.parametrize("secret", [pem(rsa_key()), pem(rsa_key()).strip(), b"", json.dumps(jwk(rsa_key(), "RS256", "r")).encode()])
@pytest.mark.parametrize("keys", [KEYS, from_file(pem(rsa_key()))])
def test_a_public_key_is_no_secret(secret: bytes, keys: list[Key]) -> None:
    assert refusal(hs256(claims(), secret), keys) == "alg"
    assert refusal(hs256(claims(), secret, kid="r"), keys) in ("alg", "kid")


def test_only_a_secret_file_checks_hs256_and_it_checks_nothing_else() -> None:
    secret = from_file(f"{SECRET}\n".encode())
    in_jwks = json.dumps({"keys": [{"kty": "oct", "kid": "s", "alg": "HS256", "k": "c2VjcmV0"}, jwk(ec_key(), "ES256")]})

    assert verify(hs256(claims("7"), SECRET.encode()), secret, RULES, time.time()).subject == "7"
    assert refusal(hs256(claims(), SECRET.encode()), secret, RULES._replace(algorithms=("RS256",))) == "alg"
    assert refusal(hs256(claims(), b"another"), secret) == "signature"
    assert refusal(signed(claims()), secret) == "alg"
    assert refusal(hs256(claims(), b"secret", kid="s"), from_jwks(in_jwks.encode())) == "kid"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, "RS384", 7])
def test_an_algorithm_that_is_not_allowed_is_refused(algorithm: Any) -> None:
    assert refusal(assembled({"alg": algorithm}, json.dumps(claims()).encode())) in ("alg", "token")


def test_a_key_of_another_issuer_under_the_same_name_is_refused() -> None:
    assert refusal(signed(claims(), ec_key(1), kid="e")) == "signature"
    assert refusal(signed(claims(), ec_key(1))) == "signature"


def test_a_key_checks_only_what_it_is_for() -> None:
    other_use = from_jwks(jwks(jwk(ec_key(), "ES256", "e", use="enc"), jwk(rsa_key(), "RS256", "r", alg="RS384")))

    assert refusal(signed(claims(), kid="e"), other_use) == "kid"
    assert refusal(signed(claims(), rsa_key(), "RS256", kid="r"), other_use) == "alg"
    assert refusal(signed(claims(), kid="r"), KEYS) == "alg"


def test_a_name_that_is_not_known_may_be_a_new_key() -> None:
    with pytest.raises(UnknownKeyError):
        verify(signed(claims(), ec_key(1), kid="new"), KEYS, RULES, time.time())
    assert verify(signed(claims(), kid="x"), from_file(pem(ec_key())), RULES, time.time()).subject == "42"  # a PEM has no names


@pytest.mark.parametrize(
    "token",
    [
        "aa1.bb2.cc3",
        "..",
        assembled({"alg": "ES256", "crit": ["x"]}, b"{}"),
        assembled({"alg": "ES256", "kid": 7}, b"{}"),
        assembled({"alg": "ES256", "kid": "k" * 300}, b"{}"),
        "é.é.é",
    ],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    assert refusal(token) in ("token", "crit", "kid")


def test_a_payload_is_an_object() -> None:
    assert [refusal(jwt.PyJWS().encode(payload, ec_key(), "ES256")) for payload in (b"[]", b"x", b"\xff")] == ["payload"] * 3


def test_the_form_of_a_token() -> None:
    assert has_form("a.b.c")
    assert not any(has_form(text) for text in ("a.b", "a.b.c.d.e", "abc", f"{'x' * 8192}.b.c"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"too short",
        b"{}",
        b'{"keys":[]}',
        b'{"keys":7}',
        b"[1]",
        b"{",
        b'{"keys":[7,{},{"kty":"RSA"},{"kty":"EC","crv":"P-256"}]}',
        b"-----BEGIN PUBLIC KEY-----\nx",
        b"-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----",
        b"\xff" * 40,
        b"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ",
        b"".join(pem(ec_key()).splitlines()[1:-1]),
    ],
)
def test_a_file_without_a_usable_key_is_refused(data: bytes) -> None:
    with pytest.raises(KeyFormError):
        from_file(data)
