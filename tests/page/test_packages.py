"""The packages of the clients: they are made, installed and used as by those who have no checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from gateway.http.static_files import FOLDER
from tests import npm
from tests.gateway.client import Client
from tests.gateway.running import ROOT, Gateway

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

TYPESCRIPT = "typescript@5.9.3"
SECRET = "whsec_" + "c2VjcmV0IG9mIGEgd2ViaG9vaw=="
PROGRAM = """
import { Bellwire, BellwireError, verifyWebhook, WebhookVerificationError, type LoggedEvent } from "@bellwire/client";

declare const process: { env: Record<string, string> };
const { url, token, secret, body, headers, cursor } = JSON.parse(process.env.FACTS);
const bell = new Bellwire({ url, token: async () => ({ token, expires_at: null }) });
const upsert = () => bell.admin.upsertUsers([{ external_id: "42", display_name: "Dora" }, { external_id: "o'neil/7" }]);
const given = await bell.admin.createToken("ext:o'neil/7", { expires_in: 60 });
const neil = new Bellwire({ url, token: given.token });
for (const body of ["hello", "again"]) await neil.send({ to: "ext:42", body });

const found: LoggedEvent[] = [];
for await (const event of bell.admin.log({ cursor, types: ["message.*"], limit: 1 })) {
  found.push(event);
  break;
}
for await (const event of bell.admin.log({ cursor: found[0].id, types: ["message.*"] })) {
  found.push(event);
  break;
}
const expired = await bell.admin.log({ cursor: "nothing" }).next().catch((error: BellwireError) => error.status);
const crew = await neil.openConversation(["ext:42"], "Crew");
const hook = await bell.admin.createIncomingHook(crew.id, "CI");
const { url: address } = await bell.admin.rotateIncomingHook(crew.id, hook.id);
const first = await neil.writeByHook(address, "it is built", { key: "build-42" });
const repeated = await neil.writeByHook(address, "again", { key: "build-42" });
const bodies: string[] = [];
for await (const message of neil.history(crew.id)) bodies.push(message.body);
const pushed = await bell.admin.createWebhook({ url: "https://shop.example.org/bellwire", types: ["message.*"] });
const rotated = await bell.admin.rotateWebhook(pushed.id);
await bell.admin.changeWebhook(pushed.id, { state: "paused" });
const states: string[] = [];
for await (const { state } of bell.admin.webhooks()) states.push(state);
await bell.admin.deleteWebhook(pushed.id);
const imported = await bell.admin.importHistory([{ user: { external_id: "p-1", display_name: "Pé" } }], { source: "old" });
const zip = new Uint8Array(await (await bell.admin.exportUser("ext:p-1")).arrayBuffer());
await bell.admin.deleteUser("ext:p-1", "erase");
const calls = {
  hook: first.id === repeated.id, bodies, rotated: pushed.secret !== rotated.secret, states,
  imported: imported.users.created, zip: String.fromCharCode(zip[0], zip[1]),
};
const webhook = await verifyWebhook(body, headers, secret);
const forged = await verifyWebhook(body + " ", headers, secret).catch((error: Error) => error instanceof WebhookVerificationError);
const made = () => bell.admin.notify({ type: "order.sent", to: ["ext:42"], values: { order: 7 }, dedupe: "7" });
// @ts-expect-error: there is one kind of receivers
const wrong = () => bell.admin.notify({ type: "order.sent", to: ["ext:42"], topic: "news" });
// @ts-expect-error: what becomes of the texts is said
const unsaid = () => bell.admin.deleteUser("ext:42");
const acting = bell.actingAs("ext:é 42").headers;
console.log(JSON.stringify({
  lasts: Boolean(given.expires_at), first: [found[0].type, found[0].data.body, found[0].stream.split(":")[0]],
  second: found[1].data.body, expired, webhook: webhook.type, forged, acting, calls, unused: [upsert, made, wrong, unsaid].length,
}));
"""


def run(folder: Path, *command: str, **environment: str) -> str:
    """Run a command to its end and return what it prints. Without a registry the test is skipped, but not under CI=true."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=npm.INSTALL_S
    )
    if done.returncode and "pip" in command and os.environ.get("CI") != "true":
        pytest.skip(f"{command[:3]}: no package registry? {done.stderr[-300:]}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.needs_binary("node")
@pytest.mark.needs_binary("npm")
def test_the_package_for_javascript_has_types_and_works(
    gateway: Gateway, admin: Client, people: list[Client], tmp_path: Path
) -> None:
    for person, external_id in zip(people, ("42", "o'neil/7"), strict=False):
        gateway.execute("UPDATE users SET external_id=? WHERE id=?", external_id, person.id)
    (tmp_path / "package.json").write_text('{"private": true, "type": "module"}')
    (archive,) = json.loads(run(ROOT / "clients/js", "npm", "pack", "--json", "--pack-destination", str(tmp_path)))
    documents = {"LICENSE", "README.md", "CHANGELOG.md", "package.json"}
    modules = {"index.js", "index.d.ts", "admin.js", "calls.js", "webhooks.js", "client.js", "client.d.ts", "upload.js"}
    assert {file["path"] for file in archive["files"]} == documents | modules
    run(tmp_path, "npm", "install", "--offline", "--silent", "--no-audit", "--no-fund", f"./{archive['filename']}")
    installed = tmp_path / "node_modules/@bellwire/client"
    assert (installed / "client.js").read_bytes() == (FOLDER / "client.js").read_bytes()

    (tmp_path / "program.ts").write_text(PROGRAM)
    options = (
        "--strict",
        "--skipDefaultLibCheck",
        "--target",
        "es2022",
        "--module",
        "nodenext",
        "--lib",
        "es2023,dom,dom.iterable,dom.asynciterable",
    )
    compiler = npm.installed(TYPESCRIPT) / "node_modules/typescript/bin/tsc"
    run(tmp_path, "node", str(compiler), *options, "program.ts")
    now, body = datetime.now(UTC), '{"type":"message.created","timestamp":"","data":{}}'
    signature = Webhook(SECRET).sign("c1", now, body)
    headers = {"Webhook-Id": "c1", "Webhook-Timestamp": str(int(now.timestamp())), "Webhook-Signature": f"v1,AAAA {signature}"}
    cursor = admin.get("/admin/log").json()["cursor"]
    facts = {"url": gateway.url, "token": admin.token, "secret": SECRET, "body": body, "headers": headers, "cursor": cursor}
    assert json.loads(run(tmp_path, "node", "program.js", FACTS=json.dumps(facts))) == {
        **{"lasts": True, "first": ["message.created", "hello", "conversation"], "second": "again"},
        **{"expired": 422, "webhook": "message.created", "forged": True, "acting": {"Bellwire-As": "ext:%C3%A9%2042"}},
        "calls": {
            **{"hook": True, "bodies": ["it is built"], "rotated": True, "states": ["paused"]},
            **{"imported": 1, "zip": "PK"},
        },
        "unused": 4,
    }


def test_the_wheel_for_python_is_built_installed_and_used(gateway: Gateway, admin: Client, tmp_path: Path) -> None:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    run(tmp_path, *pip, "wheel", "--no-deps", "--wheel-dir", ".", str(ROOT / "clients/python"))
    (wheel,) = tmp_path.glob("bellwire_client-*.whl")
    run(tmp_path, *pip, "install", "--no-deps", "--no-index", "--target", "site", wheel.name)
    program = "import sys, bellwire_client as b; print(b.__file__, b.Client(*sys.argv[1:]).me().username)"
    found, name = run(tmp_path, sys.executable, "-P", "-c", program, gateway.url, str(admin.token), PYTHONPATH="site").split()
    assert Path(found).is_relative_to("site") or Path(found).is_relative_to(tmp_path / "site")
    assert name == admin.name
