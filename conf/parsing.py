"""Parsers of environment variables, for `conf.settings`.

Each raises ValueError with the allowed values. No message repeats the value, since it may contain a password.
"""

import os
import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

Network = IPv4Network | IPv6Network

_ADDRESS = r"""[^@\s<>()\[\],;:\\"]+@[\w.-]+"""
SENDER = rf"^(?:{_ADDRESS}|[^\r\n<>]*<{_ADDRESS}>)$"  # one address, RFC 5322's atoms and dots before the @

DEFAULT_PORTS = {"http": 80, "https": 443}
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?)(:[0-9]+)?")

JWT_ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "HS256"),
)
FILES_URL = "a folder, relative to the data folder, or s3://bucket/prefix?endpoint=https://…&region=…"
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
PREFIX = re.compile(r"(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?")
REGION = re.compile(r"[a-z0-9-]+")
BUCKET_OPTIONS = ("endpoint", "region")

JWT_KEYS = "an https:// address of a JWKS (http:// on this host only), or a file with a JWKS, a PEM or a secret"


def _items(value: str) -> list[str]:
    return [item.strip() for item in value.split(",") if item.strip()]


def networks(value: Any) -> Any:
    """Return the networks of `10.0.0.0/8,::1`; an empty list for `none`."""
    if not isinstance(value, str):
        return value
    items = [] if value.strip().lower() == "none" else _items(value)
    try:
        return [ip_network(item, strict=False) for item in items]
    except ValueError:
        raise ValueError("addresses or CIDR networks, separated by commas, such as 10.0.0.0/8,::1/128") from None


def origins(value: Any) -> Any:
    """Return the origins of `https://a.example,http://b.example:8080` as browsers send `Origin`."""
    if not isinstance(value, str):
        return value
    refusal = "origins separated by commas, such as https://chat.example.org (no path, no *)"
    try:
        parsed = {item.rstrip("/"): origin(item) for item in _items(value)}
    except ValueError:
        raise ValueError(refusal) from None
    for item, of_item in parsed.items():
        if urlsplit(item).path or "?" in item or "#" in item or "@" in item or not HOST.fullmatch(of_item.partition("://")[2]):
            raise ValueError(refusal)
    return list(parsed.values())


def origin(value: str) -> str:
    """Return the origin of an http or https URL as browsers send it (RFC 6454): in lower case, in ASCII, without a default port.

    Raises ValueError if it is not such a URL.
    """
    parts = urlsplit(url(value, ("http", "https")))
    host = (parts.hostname or "").encode("idna").decode() if not (parts.hostname or "").isascii() else parts.hostname
    port = "" if parts.port in (None, DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://[{host}]{port}" if ":" in (host or "") else f"{parts.scheme}://{host}{port}"


def shares(value: Any) -> Any:
    """Return action -> share of its records that is kept (0 to 1), from `message.sent=1.0,message.read=0.1`."""
    if not isinstance(value, str):
        return value
    parsed = {}
    try:
        for item in _items(value):
            action, share = item.split("=")
            parsed[action.strip()] = float(share)
    except ValueError:
        raise ValueError("action=share pairs separated by commas, such as message.sent=0.5") from None
    if not all(action and 0 <= share <= 1 for action, share in parsed.items()):
        raise ValueError("an action's share is a number from 0 to 1")
    return parsed


def url(value: str, schemes: tuple[str, ...], *, requires_host: bool = True) -> str:
    """Return `value` if it is a URL with one of `schemes`, a host (if required) and a valid port."""
    allowed = " or ".join(f"{scheme}://…" for scheme in schemes)
    try:
        parts = urlsplit(value)
        well_formed = parts.scheme in schemes and (parts.hostname or not requires_host) and parts.port != 0
    except ValueError:  # a port that is no number, or an unclosed IPv6 bracket
        well_formed = False
    if not well_formed:
        raise ValueError(f"a URL like {allowed}")
    return value


def relay(value: str) -> str:
    """Return a mail server's URL that has no parts which would be ignored: `smtp://user:password@host:587?starttls=1`, `smtps://…`."""
    parts = urlsplit(url(value, ("smtp", "smtps")))
    options = ("", "starttls=0", "starttls=1") if parts.scheme == "smtp" else ("",)
    complete = parts.path in ("", "/") and not parts.fragment and bool(parts.username) == bool(parts.password)
    if parts.query not in options or not complete:
        raise ValueError("a URL like smtp://user:password@host:587?starttls=1 or smtps://user:password@host, signs in them as %XX")
    return value


def urls_hosts(value: str, schemes: tuple[str, ...], *, requires_host: bool = True) -> str:
    """Return a URL that may have several hosts, separated by commas: `postgresql://user@one:5432,two:5432/name`."""
    scheme, colon, rest = value.partition("://")
    authority, slash, path = rest.partition("/")
    user, at, hosts = authority.rpartition("@")
    for host in hosts.split(","):
        url(f"{scheme}{colon}{user}{at}{host}{slash}{path}", schemes, requires_host=requires_host)
    return value


def postgresql(value: str) -> str:
    """Return a PostgreSQL URL, with one host or several, that libpq accepts. libpq's own error would repeat the value."""
    from psycopg import ProgrammingError  # here, so that only processes with PostgreSQL load it
    from psycopg.conninfo import conninfo_to_dict

    try:
        conninfo_to_dict(value)
    except ProgrammingError:
        raise ValueError("a URL like postgresql://user:password@host/name, special characters as %XX") from None
    return urls_hosts(value, ("postgresql", "postgres"), requires_host=False)


def rate(value: str) -> str:
    """Return rates such as `20/second;600/minute`, checked by the package that applies them."""
    from limits import parse_many  # here, since only processes with limits of their own need it

    try:
        parse_many(value)
    except ValueError:
        raise ValueError("rates such as 20/second;600/minute") from None
    return value


class BucketAddress(NamedTuple):
    """A bucket that speaks S3: `prefix` is the beginning of its objects' names; AWS is meant when there is no endpoint."""

    bucket: str
    prefix: str
    endpoint: str | None
    region: str | None


def bucket(value: str) -> BucketAddress:
    """Return what `s3://bucket/prefix?endpoint=https://…&region=…` names. Raises ValueError."""
    try:
        parts = urlsplit(value)
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ValueError(FILES_URL) from None
    chosen = dict(options)
    if "@" in parts.netloc or not set(chosen) <= set(BUCKET_OPTIONS) or len(chosen) < len(options):
        raise ValueError(f"{FILES_URL}: no other options, and its keys are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if parts.scheme != "s3" or parts.fragment or not BUCKET.fullmatch(parts.netloc) or not PREFIX.fullmatch(parts.path):
        raise ValueError(f"{FILES_URL}, a bucket of 3 to 63 of a-z, 0-9, - and ., a prefix without . at its beginning")
    if "region" in chosen and not REGION.fullmatch(chosen["region"]):
        raise ValueError(f"{FILES_URL}, a region such as eu-central-1")
    endpoint = _endpoint(chosen["endpoint"]) if "endpoint" in chosen else None
    return BucketAddress(parts.netloc, parts.path.strip("/"), endpoint, chosen.get("region"))


def _endpoint(value: str) -> str:
    refusal = f"{FILES_URL}, an endpoint without path, query and password"
    try:
        parts = urlsplit(url(value, ("https", "http")))
    except ValueError:
        raise ValueError(refusal) from None
    if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(refusal)
    return value.rstrip("/")


def files_url(value: str, data_dir: Path | None) -> str:
    """Return a bucket's URL, or a folder that the data folder is not in."""
    if value.lower().startswith("s3:"):
        bucket(value)
        return value
    folder = Path(value).expanduser()
    if "://" in value or (data_dir and data_dir.resolve().is_relative_to((data_dir / folder).resolve())):
        raise ValueError(f"{FILES_URL}, not one that the data folder is in")
    return str(folder)


def gateways(value: Any) -> Any:
    """`auto` is a gateway for each core that this process may use, but one: for the workers."""
    if isinstance(value, str) and value.strip().lower() == "auto":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1  # Linux has it
        return max(1, cores - 1)
    return value


def jwt_algorithms(value: Any) -> Any:
    """Return the algorithms of `RS256,ES256`; `none` is not one."""
    if not isinstance(value, str):
        return value
    items = _items(value)
    if not items or not set(items) <= set(JWT_ALGORITHMS):
        raise ValueError("algorithms separated by commas, of " + ", ".join(JWT_ALGORITHMS))
    return items


def jwt_keys(value: str) -> str:
    """Return the URL of a JWKS, which is encrypted unless it is on this host, or the name of a file."""
    if "://" not in value:
        return value
    parts = urlsplit(url(value, ("https", "http")))
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError(JWT_KEYS)
    return value


def is_loopback(host: str) -> bool:
    """Return whether a host name is this host's."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
