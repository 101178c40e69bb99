"""The clients for programs know the API: each call is made by one of their methods, or is listed here with the reason why not."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from shutil import copy
from typing import Any

import httpx
import pytest

from bellwire_client import Client, ProblemError, shapes
from bellwire_client.admin_calls import AdminCalls
from bellwire_client.calls import Calls
from gateway.apidoc import openapi
from gateway.app import API, AREAS, ROUTES, route_name
from gateway.http.static_files import FOLDER
from tests.gateway.running import ROOT

LEFT_OUT = {  # calls that `request` and `call` make
    r"\w+ /communication/.*": "the older client's own protocol",
    r"\w+ /(posts|comments|groups)(/.*)?": "the community is not embedded, it is on the page",
    r"\w+ /(signup|invitations|setup|otp)(/.*)?": "people sign up and in on the page",
    r"PATCH /me|\w+ /me/sessions.*|\w+ /notification-preferences|GET /notifications/ID/explain": "people do it on the page",
    r"GET /me/quiet|POST /me/rehearsal": "people do it on the page, where they choose",
    r"\w+ /admin/(invitations|instance|test-mail|watches|audit|activity)(/.*)?": "administrators do it on the page",
    r"GET /instance|POST /telemetry/error": "the page begins with it, and reports its errors",
    r"\w+ /(push/key|me/push)": "browsers subscribe themselves",
    r"\w+ /unsubscribe": "links in mails lead there",
    r"GET /events/ws": "`events` reads it by the transport ws",
    r"POST /telemetry/send": "clients report what `send` took by themselves",
    r"GET /(healthz|readyz|metrics(/targets)?|openapi.json)": "for operators and tools",
}
OTHER_CALLS = {"acting_as", "request"}
SCHEMAS = {  # dataclass -> its name in the document
    **{
        "Me": "MyAccount",
        "Found": "SearchHit",
        "CreatedToken": "Token",
        "Imported": "Import",
        "StatusOutcome": "Outcome",
        "FileLink": "Link",
    },
    **{"NotificationType": "HostType", "Webhook": "WebhookWithSecret", "IncomingHook": "IncomingHookWithUrl"},
}
TEXT, USER = "a-text-of-24-characters-", "ext:42"
RECORDER = """
import { Bellwire } from "./index.js";

const made = new Set();
const record = (method, url) => made.add(`${method} ${new URL(url).pathname}`);
globalThis.fetch = async (url, { method = "GET" }) => {
  record(method, url);
  return new Response("{}", { status: 404 });
};
globalThis.WebSocket = class {
  constructor(url) {
    record("GET", url);
    queueMicrotask(() => this.onclose({ code: 4401 }));
  }
  close() {}
};
const LISTS = { users: [], lines: [], members: ["ext:42"] };
const VALUES = { ...LISTS, user: "ext:42", externalId: "42", address: "TEXT", file: new Blob(["x"]) };
const OTHER_METHODS = ["constructor", "call", "pause", "wake", "close", "actingAs", "batches"];
const namesOf = (method) => {
  const list = /\\(([^]*?)\\) \\{\\n/.exec(method)[1].replace(/\\{[^}]*\\}/g, "options");
  return list.split(",").map((parameter) => parameter.trim().split(" ")[0]);
};
async function make(object, name, flag) {
  const values = namesOf(object[name]).map((parameter) => (/^is[A-Z]/.test(parameter) ? flag : (VALUES[parameter] ?? 7)));
  const result = object[name](...values);
  await (result?.next ? result.next() : result);
}
async function makeAll(object) {
  const ends = [Object.prototype, EventTarget.prototype];
  for (let type = Object.getPrototypeOf(object); !ends.includes(type); type = Object.getPrototypeOf(type))
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(type)))
      for (const flag of value && !OTHER_METHODS.includes(name) ? [true, false] : [])
        await make(object, name, flag).catch((error) => error.status ?? console.error(name, error));
}
const bell = new Bellwire({ url: "http://127.0.0.1", token: "token" });
await makeAll(bell);
await makeAll(bell.admin);
for (const transport of ["poll", "sse", "ws"])
  await new Bellwire({ url: "http://127.0.0.1", token: "token", transport }).events({ cursor: "c1" }).next().catch(() => {});
console.log(JSON.stringify([...made]));
""".replace("TEXT", TEXT)


def operations() -> Iterator[str]:
    """Each call that is described: `GET /users/ID`."""
    for pattern, handler in ROUTES:
        yield from (operation(verb, pattern) for verb, _, _ in openapi.verbs(handler) if pattern != "/api/docs")


def operation(verb: str, pattern: str) -> str:
    return f"{verb.upper()} {route_name(pattern).removeprefix(API)}"


def operation_of(call: str) -> str:
    """The operation of a call such as `GET /api/v1/users/3`."""
    verb, _, path = call.partition(" ")
    pattern = next(pattern for pattern, _ in ROUTES if re.fullmatch(pattern, path))
    return operation(verb, pattern)


def dummy(parameter: inspect.Parameter, *, flag: bool) -> Any:
    """A value for a parameter, by its annotation."""
    kind = str(parameter.annotation)
    if kind.startswith(("Readable", "Writable")):
        return BytesIO()
    for name, value in {"bool": flag, "UserRef": USER, "int": 7, "Mapping": {}, "Literal": "keep"}.items():
        if kind.startswith(name):
            return value
    return TEXT if kind == "str" else []


def make(method: Any, *, flag: bool) -> None:
    """Call a method of a client with what it requires."""
    keywords, positional = {}, []
    for parameter in inspect.signature(method).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional.append(USER)
        elif parameter.default is parameter.empty or parameter.annotation == "bool":
            keywords[parameter.name] = dummy(parameter, flag=flag)
    result = method(*positional, **keywords)
    if isinstance(result, Iterator):
        next(result)


def calls_of_python() -> set[str]:
    """The calls that the methods of the client for Python make."""
    made: set[str] = set()

    def answer(request: httpx.Request) -> httpx.Response:
        made.add(f"{request.method} {request.url.raw_path.decode().partition('?')[0]}")
        return httpx.Response(404, json={})

    with Client("http://127.0.0.1", "token", http=httpx.Client(transport=httpx.MockTransport(answer))) as bell:
        methods = [getattr(bell, name) for name in vars(Calls) if not name.startswith("_") and name not in OTHER_CALLS]
        methods += [getattr(bell.admin, name) for name in vars(AdminCalls) if not name.startswith("_")]
        for method, flag in ((method, flag) for method in methods for flag in (True, False)):
            with suppress(ProblemError):
                make(method, flag=flag)
        readers: list[Iterable[Any]] = [
            bell.events(),
            bell.events("c1"),
            bell.events("c1", transport="sse"),
            bell.admin.log("begin"),
        ]
        for reader in readers:
            with suppress(ProblemError):
                next(iter(reader))
    return made


def calls_of_javascript(folder: Path) -> set[str]:
    """The calls that the methods of the client for JavaScript make."""
    for path in (*(ROOT / "clients/js").glob("*.js"), ROOT / "clients/js/package.json", FOLDER / "client.js", FOLDER / "upload.js"):
        copy(path, folder)
    (folder / "recorder.js").write_text(RECORDER)
    done = subprocess.run(["node", "recorder.js"], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return set(json.loads(done.stdout))


@pytest.mark.needs_binary("node")
def test_each_call_is_a_method_of_each_client_or_is_left_out_for_a_reason(tmp_path: Path) -> None:
    left_out: set[str] = set()
    for made in (calls_of_python(), calls_of_javascript(tmp_path)):
        missing = set(operations()) - {operation_of(call) for call in made}
        assert {name for name in missing if not any(re.fullmatch(pattern, name) for pattern in LEFT_OUT)} == set()
        left_out |= missing
    assert [pattern for pattern in LEFT_OUT if not any(re.fullmatch(pattern, name) for name in left_out)] == []


@pytest.mark.parametrize("shape", [shape for shape in vars(shapes).values() if dataclasses.is_dataclass(shape)])
def test_a_dataclass_has_fields_of_the_document(shape: type[Any]) -> None:
    if shape in (shapes.Event, shapes.Reset):
        return
    schema = openapi.document(AREAS)["components"]["schemas"][SCHEMAS.get(shape.__name__, shape.__name__)]
    fields = dataclasses.fields(shape)
    required = {f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING}
    assert {field.name for field in fields} <= schema["properties"].keys()
    assert required <= set(schema["required"])
