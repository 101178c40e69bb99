"""Checks over the network: the mail server and the gateway."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from commands.doctor.finding import Finding, fail, ok, warn
from conf import Settings
from conf.masking import without_secrets
from gateway.commit.threads import ThreadPool
from jobs.mail.smtp import RelayDownError, SmtpTransport
from models.store.gateway_locks import LocalGateway, gateways

TIMEOUT_S = 3
PORT_IN_USE = "another program listens there: stop it, or set BELLWIRE_PORT"
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


def mail(chosen: Settings) -> Iterator[Finding]:
    """Check that mail files can be written, or that the mail server accepts the login. Nothing is sent."""
    url = urlsplit(chosen.email_url)
    yield _mail_files(chosen) if url.scheme == "file" else _mail_server(chosen.email_url)


def _mail_files(chosen: Settings) -> Finding:
    folder = chosen.data_dir / "mail"
    what = f"mail: written to {folder}, not sent; set BELLWIRE_EMAIL_URL to send it"
    try:
        if folder.exists():
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        return fail(f"mail folder {folder}", f"can't be written ({error.strerror}): change its owner")
    return ok(what)


def _mail_server(url: str) -> Finding:
    parts = urlsplit(url)
    what = f"mail server {parts.hostname}" + (f" port {parts.port}" if parts.port else "")
    try:
        SmtpTransport(url).check(TIMEOUT_S)
    except RelayDownError as error:
        return fail(what, f"{error}: correct BELLWIRE_EMAIL_URL, or open the firewall")
    return ok(f"{what}: accepts the login")


def host_tokens(chosen: Settings) -> Iterator[Finding]:
    """Check that the keys of the host's tokens can be read, if there is an issuer."""
    if chosen.jwt_issuer is None or chosen.jwt_keys is None:
        return
    from gateway.jwt.source import KeySource  # here, so that its cryptography is loaded only where it is needed

    what = f"keys of {chosen.jwt_issuer}"
    pool = ThreadPool("keys", 1, 1)
    try:
        keys = asyncio.run(KeySource(chosen.jwt_keys, chosen.jwt_algorithms, pool).fetch())
    except Exception as error:  # of any kind: it is what the address or the file says
        yield fail(what, f"can't be read ({without_secrets(str(error))}): correct BELLWIRE_JWT_KEYS, or open the firewall")
    else:
        yield ok(f"{what}: {len(keys)}")
    finally:
        pool.close()


def port(chosen: Settings) -> Iterator[Finding]:
    """Check that the gateways on the data folder answer. If none runs, check that the port is free, or what answers there."""
    known = gateways(chosen.data_dir)
    yield from map(_known, known)
    if any(gateway.is_alive for gateway in known):
        return
    if chosen.port == 0:
        yield ok("port: any that is free")
        return
    address = (ANY_ADDRESS.get(chosen.host, chosen.host), chosen.port)
    what = f"gateway at {address[0]} port {address[1]}"
    try:
        status, body = _request(*address)
    except socket.gaierror as error:
        yield fail(what, f"the name is not known ({error.strerror}): correct BELLWIRE_HOST")
    except OSError:
        yield _free(what, chosen)
    except HTTPException:
        yield fail(what, PORT_IN_USE)
    else:
        yield _answered(what, status, body)


def _known(gateway: LocalGateway) -> Finding:
    what = f"gateway at {gateway.host} port {gateway.port}"
    if not gateway.is_alive:
        return warn(what, f"has ended without being stopped: start it again, or remove {gateway.file}")
    try:
        return _answered(what, *_request(ANY_ADDRESS.get(gateway.host, gateway.host), gateway.port))
    except (OSError, HTTPException) as error:
        return fail(what, f"runs, but does not answer ({error}): see its log, and restart it")


def _free(what: str, chosen: Settings) -> Finding:
    try:
        with socket.create_server((chosen.host, chosen.port), family=_family(chosen)):
            return ok(f"{what}: not running, and the port is free")
    except OSError as error:
        return fail(what, f"can't listen there ({os.strerror(error.errno or 0)}): set BELLWIRE_HOST or BELLWIRE_PORT")


def _family(chosen: Settings) -> socket.AddressFamily:
    return socket.getaddrinfo(chosen.host, chosen.port, type=socket.SOCK_STREAM)[0][0]


def _answered(what: str, status: int, body: Any) -> Finding:
    if status == 200 and isinstance(body, dict) and "degraded" in body:
        degraded = ", ".join(map(str, body["degraded"]))
        return warn(what, f"answers, degraded: {degraded}") if degraded else ok(f"{what}: answers, and is ready")
    if status == 503 and isinstance(body, dict):
        return fail(what, f"is not ready: {body.get('detail') or json.dumps(body)}")
    return fail(what, PORT_IN_USE)


def _request(host: str, port: int) -> tuple[int, Any]:
    connection = HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        text = answer.read(64 * 1024)
    finally:
        connection.close()
    try:
        return answer.status, json.loads(text)
    except ValueError:
        return answer.status, None
