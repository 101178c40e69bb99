"""Clients that generators make from the document send a message, and read its event as one of the named types.

openapi-python-client runs with the suite. `make fuzz` sets GENERATORS=all for the two that take longer: openapi-generator, which
needs java, and openapi-typescript, which npm installs. client.d.ts is compiled beside the latter.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest

from gateway.http.static_files import FOLDER
from tests.gateway.client import Client
from tests.gateway.running import Gateway

pytestmark = pytest.mark.only("sqlite")  # the store has no part in it
CONFIG = """
post_hooks: []
content_type_overrides:  # it knows these only by others' names
  application/x-ndjson: application/octet-stream
  application/zip: application/octet-stream
  image/webp: application/octet-stream
  "*/*": application/octet-stream
"""
takes_long = pytest.mark.skipif(os.environ.get("GENERATORS") != "all", reason="takes long: make fuzz runs it")
CLIENT = FOLDER / "client.js"
PYTHON_CLIENT = """
    from generated import AuthenticatedClient
    from generated.api.conversations_and_messages import send_a_message
    from generated.api.events import poll_for_events
    from generated.models import MessageCreatedEvent, NewMessage

    with AuthenticatedClient(URL, TOKEN) as client:
        send_a_message.sync(client=client, body=NewMessage(to=TO, body="hello"))
        found = poll_for_events.sync(client=client, cursor="begin", types="message.created,message.updated")
        print([event.data.body for event in found.events if isinstance(event, MessageCreatedEvent)])
"""
GENERATOR_CLIENT = """
    import generated

    with generated.ApiClient(generated.Configuration(host=URL, access_token=TOKEN)) as client:
        new = generated.NewMessage(to=generated.NewMessageTo(TO), body="hello")  # an id, or a text for an external id
        generated.ConversationsAndMessagesApi(client).send_a_message(new_message=new)
        found = generated.EventsApi(client).poll_for_events(cursor="begin", types="message.created,message.updated")
        events = [event.actual_instance for event in found.events]
        print([event.data.body for event in events if isinstance(event, generated.MessageCreatedEvent)])
"""
TYPESCRIPT_CLIENT = """
    import createClient from "openapi-fetch";
    import type { paths } from "./generated.js";
    import { Bellwire } from "CLIENT";

    const client = createClient<paths>({ baseUrl: URL, headers: { Authorization: "Bearer " + TOKEN } });
    await client.POST("/api/v1/messages", { body: { to: TO, body: "hello" } });
    const query = { cursor: "begin", types: "message.created,message.updated" };
    const { data } = await client.GET("/api/v1/events", { params: { query } });
    const bodies: string[] = [];
    for (const event of data?.events ?? []) if (event.type === "message.created") bodies.push(event.data.body);

    for await (const event of new Bellwire({ url: URL, token: TOKEN }).events({ cursor: "begin" })) {
      if (event.type === "conversation.created") bodies.push(event.data.members[0].user.username);
      else if (event.type === "message.created") break;
    }
    console.log(JSON.stringify(bodies));
"""


@pytest.fixture
def folder(gateway: Gateway, tmp_path: Path) -> Path:
    """A folder with the document."""
    (tmp_path / "openapi.json").write_bytes(gateway.anonymous().get("/openapi.json").content)
    return tmp_path


def run(folder: Path, *command: str) -> str:
    """Run a command in the folder to its end, and return what it prints."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def filled_in(program: str, ana: Client, ben: Client) -> str:
    """The program of Ana, who writes to Ben."""
    values = {"URL": json.dumps(ana.gateway.url), "TOKEN": json.dumps(ana.token), "TO": str(ben.id), '"CLIENT"': f'"{CLIENT}"'}
    lines = textwrap.dedent(program)
    for name, value in values.items():
        lines = re.sub(rf"(?<!\w){name}(?!\w)", lambda _, value=value: value, lines)
    return lines


def test_a_client_of_openapi_python_client(people: list[Client], folder: Path) -> None:
    ana, ben, _ = people
    (folder / "config.yml").write_text(CONFIG)
    options = [
        "--path",
        "openapi.json",
        "--output-path",
        "generated",
        "--meta",
        "none",
        "--config",
        "config.yml",
        "--fail-on-warning",
    ]
    run(folder, sys.executable, "-m", "openapi_python_client", "generate", *options)
    assert run(folder, sys.executable, "-c", filled_in(PYTHON_CLIENT, ana, ben)) == "['hello']\n"


@takes_long
@pytest.mark.needs_binary("java")
def test_a_client_of_openapi_generator(people: list[Client], folder: Path) -> None:
    ana, ben, _ = people
    options = ["-i", "openapi.json", "-g", "python", "-o", ".", "--package-name", "generated"]
    jar = find_spec("openapi_generator_cli")
    assert jar is not None
    assert jar.origin is not None
    run(folder, "java", "-jar", str(Path(jar.origin).with_name("openapi-generator.jar")), "generate", *options)
    assert run(folder, sys.executable, "-c", filled_in(GENERATOR_CLIENT, ana, ben)) == "['hello']\n"


@takes_long
@pytest.mark.needs_binary("npm")
def test_a_client_of_openapi_typescript_and_the_types_of_client_js(people: list[Client], folder: Path) -> None:
    ana, ben, _ = people
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    packages = ["openapi-typescript@7", "openapi-fetch@0", "typescript@5", "@types/node@22"]
    run(folder, "npm", "install", "--silent", "--no-audit", "--no-fund", *packages)
    run(folder, "npx", "openapi-typescript", "openapi.json", "--default-non-nullable=false", "--output", "generated.d.ts")
    (folder / "program.ts").write_text(filled_in(TYPESCRIPT_CLIENT, ana, ben))
    run(
        folder,
        "npx",
        "tsc",
        "--strict",
        "--target",
        "es2022",
        "--module",
        "nodenext",
        "--lib",
        "es2023,dom,dom.asynciterable",
        "program.ts",
    )
    assert json.loads(run(folder, "node", "program.js")) == ["hello", ana.name]
