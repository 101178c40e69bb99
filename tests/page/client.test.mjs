/** client.js on its own, in Node.js, against a gateway that test_client_in_node.py starts. Faults are injected into fetch. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, test as nodeTest } from "node:test";

import { Bellwire, BellwireError, backoffS, uniqueId } from "../../gateway/static/client.js";

// {url, ana, ben}; ana and ben are {id, username, password, token}
const { url, ana, ben } = JSON.parse(process.env.BELLWIRE_TEST);
const clientAddress = new URL("../../gateway/static/client.js", import.meta.url);
const realFetch = globalThis.fetch;
const TEST_TIMEOUT_MS = 30_000;

const test = (name, run) => nodeTest(name, { timeout: TEST_TIMEOUT_MS }, run);

afterEach(() => {
  globalThis.fetch = realFetch;
});

/** Let `handle(forward, options, attempt)` answer the requests to a path. `forward()` makes the real request. */
function intercept(path, handle) {
  let attempts = 0;
  globalThis.fetch = (address, options) => {
    const forward = () => realFetch(address, options);
    if (new URL(address).pathname !== `/api/v1${path}`) return forward();
    attempts += 1;
    return handle(forward, options, attempts);
  };
}

function client(user, options = {}) {
  return new Bellwire({ url, token: user.token, ...options });
}

/** Read events until `isLast(event)`, and return them. */
async function read(bell, options, isLast) {
  const controller = new AbortController();
  const events = [];
  for await (const event of bell.events({ ...options, signal: controller.signal })) {
    events.push(event);
    if (isLast(event)) controller.abort();
  }
  return events;
}

const now = async (bell) => (await bell.call("GET", "/events")).cursor;
const hasBody = (body) => (event) => event.data.body === body;
const bodies = (events) => events.map((event) => (event.type === "state" ? "state" : event.data.body));

// Sends

test("a send whose answers are lost makes one message under one client_id", async () => {
  const bell = client(ana);
  const cursor = await now(bell);
  const clientIds = [];
  intercept("/messages", async (forward, { body }, attempt) => {
    clientIds.push(JSON.parse(body).client_id);
    const answer = await forward();
    if (attempt < 3) throw new TypeError("fetch failed"); // the server has the message
    return answer;
  });
  const message = await bell.send({ to: ben.id, body: "once" });
  assert.equal(message.body, "once");
  assert.equal(clientIds.length, 3);
  assert.equal(new Set(clientIds).size, 1);
  await bell.send({ to: ben.id, body: "last" });
  const events = await read(bell, { cursor, types: ["message.created"] }, hasBody("last"));
  assert.deepEqual(bodies(events), ["once", "last"]);
});

test("a send is not repeated in the session of another user", async () => {
  const bell = client(ana);
  let attempts = 0;
  intercept("/messages", async () => {
    attempts += 1;
    await bell.login({ login: ben.username, password: ben.password });
    throw new TypeError("fetch failed");
  });
  await assert.rejects(bell.send({ to: ben.id, body: "of ana" }), TypeError);
  assert.equal(attempts, 1);
});

test("a send waits as long as Retry-After says", async () => {
  const times = [];
  intercept("/messages", (forward, options, attempt) => {
    times.push(performance.now());
    if (attempt > 1) return forward();
    return Promise.resolve(new Response("{}", { status: 503, headers: { "Retry-After": "1" } }));
  });
  await client(ana).send({ to: ben.id, body: "later" });
  assert.equal(times.length, 2);
  assert.ok(times[1] - times[0] >= 950, `waited ${times[1] - times[0]} ms`);
});

test("a refused send is not repeated, and names the field", async () => {
  let attempts = 0;
  intercept("/messages", (forward) => {
    attempts += 1;
    return forward();
  });
  await assert.rejects(client(ana).send({ to: ben.id, body: "" }), (error) => {
    assert.ok(error instanceof BellwireError);
    assert.equal(error.status, 422);
    assert.deepEqual(Object.keys(error.fields), ["body"]);
    return true;
  });
  assert.equal(attempts, 1);
});

test("a send can be repeated later with its client_id", async () => {
  const bell = client(ana);
  const client_id = uniqueId();
  const first = await bell.send({ to: ben.id, body: "first", client_id });
  const second = await bell.send({ to: ben.id, body: "second", client_id });
  assert.deepEqual([second.id, second.body], [first.id, "first"]);
});

test("other POST calls are not repeated unless the caller says so", async () => {
  let attempts = 0;
  intercept("/notifications/read", (forward) => {
    attempts += 1;
    return attempts % 2 ? Promise.reject(new TypeError("fetch failed")) : forward();
  });
  const bell = client(ana);
  await assert.rejects(bell.call("POST", "/notifications/read", { all: true }), TypeError);
  assert.equal(attempts, 1);
  attempts = 0;
  await bell.call("POST", "/notifications/read", { all: true }, { retry: true });
  assert.equal(attempts, 2);
});

// Uploads (by fetch; tests/page/test_files_send.py tests them by XMLHttpRequest)

test("an upload that breaks off begins anew, tells how much is sent, and can be sent", async () => {
  const bell = client(ana);
  const told = [];
  let attempts = 0;
  intercept("/files", (forward, { method }, attempt) => {
    attempts = attempt;
    assert.equal(method, "POST");
    if (attempt === 1) throw new TypeError("fetch failed");
    if (attempt === 2) return Promise.resolve(new Response("{}", { status: 503 }));
    return forward();
  });
  const bytes = new Uint8Array(300_000).fill(120);
  const file = await bell.upload(bytes, { name: "plan B.txt", onprogress: (progress) => told.push(progress) });
  assert.equal(attempts, 3);
  assert.deepEqual([file.name, file.bytes], ["plan B.txt", 300_000]);
  assert.deepEqual(told.at(-1), { sent: 300_000, total: 300_000 });
  assert.ok(told.every(({ sent }, n) => n === 0 || sent > told[n - 1].sent));
  const message = await bell.send({ to: ben.id, files: [file.id] });
  assert.deepEqual(message.files.map(({ id }) => id), [file.id]);
});

test("an upload that is refused, or of which nothing is left today, is not repeated", async () => {
  const bell = client(ana);
  const problem = { type: "/problems/quota-exceeded", left: 7 };
  const answers = [[413, {}], [422, {}], [429, problem]];
  for (const [status, body] of answers) {
    let attempts = 0;
    intercept("/files", (forward, options, attempt) => {
      attempts = attempt;
      return Promise.resolve(Response.json(body, { status, headers: { "Retry-After": "3600" } }));
    });
    await assert.rejects(bell.upload(new Blob(["x"]), { name: "x" }), (error) => error.status === status && error.problem.left === body.left);
    assert.equal(attempts, 1, String(status));
  }
});

test("an upload can be aborted", async () => {
  const controller = new AbortController();
  const onprogress = () => controller.abort();
  const big = new Blob([new Uint8Array(5_000_000)]);
  await assert.rejects(client(ana).upload(big, { name: "big", onprogress, signal: controller.signal }), { name: "AbortError" });
});

test("the wait between attempts grows to a limit", () => {
  for (let failures = 0; failures < 20; failures++) {
    const limit = Math.min(8, 0.3 * 2 ** failures);
    const seconds = backoffS(failures);
    assert.ok(seconds >= limit / 2 && seconds <= limit, `${seconds} s after ${failures} failures`);
  }
  assert.equal(backoffS(0, 30), 30);
});

// Events (Node.js 20 has no WebSocket; tests/page/test_client.py tests that transport in a browser)

for (const transport of ["poll", "sse"]) {
  test(`${transport}: events follow the cursor in order, and each batch's cursor continues there`, async () => {
    const bell = client(ben, { transport });
    const sender = client(ana);
    let cursor = await now(bell);
    for (const body of ["one", "two", "three"]) await sender.send({ to: ben.id, body });
    const events = await read(bell, { cursor, types: ["message.created"] }, hasBody("two"));
    assert.deepEqual(bodies(events).slice(0, 2), ["one", "two"]);
    cursor = events[1].id;
    const rest = read(bell, { cursor, types: ["message.created"] }, hasBody("four"));
    await sender.send({ to: ben.id, body: "four" });
    assert.deepEqual(bodies(await rest), ["three", "four"]);
  });

  test(`${transport}: without a cursor the state comes first`, async () => {
    const bell = client(ben, { transport });
    const isFirst = (event) => {
      if (event.type === "state") client(ana).send({ to: ben.id, body: `after the state by ${transport}` });
      return event.data.body === `after the state by ${transport}`;
    };
    const events = await read(bell, { types: ["message.created"] }, isFirst);
    assert.deepEqual(bodies(events), ["state", `after the state by ${transport}`]);
    assert.equal(events[0].data.me.id, ben.id);
    assert.equal(bell.user.id, ben.id);
  });

  test(`${transport}: an expired cursor is followed by the state`, async () => {
    const bell = client(ben, { transport });
    const cursor = `00000000-${(await now(bell)).split("-").at(-1)}`; // of another epoch, as after a restore
    const [first] = await read(bell, { cursor }, (event) => event.type === "state");
    assert.equal(first.type, "state");
    assert.equal(first.id, first.data.cursor);
  });

  test(`${transport}: a lost connection is reported, and no event is missed`, async () => {
    const bell = client(ben, { transport });
    const cursor = await now(bell);
    const changes = [];
    for (const type of ["offline", "online"]) bell.addEventListener(type, () => changes.push(type));
    intercept(transport === "poll" ? "/events" : "/events/stream", (forward, options, attempt) => {
      return attempt <= 2 ? Promise.reject(new TypeError("fetch failed")) : forward();
    });
    await client(ana).send({ to: ben.id, body: "while it was away" });
    const events = await read(bell, { cursor, types: ["message.created"] }, hasBody("while it was away"));
    assert.deepEqual(bodies(events), ["while it was away"]);
    assert.deepEqual(changes, ["offline", "online"]);
  });

  test(`${transport}: events end with an error when the session has ended`, async () => {
    const bell = new Bellwire({ url, transport });
    await bell.login({ login: ben.username, password: ben.password });
    const cursor = await now(bell);
    await bell.call("POST", "/logout", {});
    await assert.rejects(
      read(bell, { cursor }, () => false),
      { status: 401 },
    );
  });
}

// Outside a browser

/** Run a program that uses the client; return {status, output}. It must end by itself. */
async function run(program) {
  const source = `import { Bellwire } from "${clientAddress}"; const bell = new Bellwire(${JSON.stringify({
    url,
    token: ana.token,
  })}); ${program}`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", source], {
    stdio: ["ignore", "pipe", "inherit"],
    timeout: 60_000, // one that does not end is killed, and fails by its status
  });
  let output = "";
  child.stdout.on("data", (data) => (output += data));
  const [status] = await once(child, "close");
  return { status, output };
}

test("a program ends after its last line, also when it leaves a stream", async () => {
  const first = "for await (const event of bell.events()) { console.log(event.type); break; }";
  const programs = [
    `await bell.send({ to: ${ben.id}, body: "and out" }); console.log("sent");`,
    first,
    `bell.transport = "sse"; const cursor = (await bell.state()).cursor; await bell.send({ to: ${ben.id}, body: "x" });
     for await (const event of bell.events({ cursor })) { console.log(event.type); break; }`,
  ];
  const ends = await Promise.all(programs.map(run));
  assert.deepEqual(
    ends.map(({ status, output }) => [status, output.trim()]),
    [
      [0, "sent"],
      [0, "state"],
      [0, "message.created"],
    ],
  );
});

test("what cannot work is refused at once, with words", () => {
  const refused = (options, words) => assert.throws(() => new Bellwire(options), { name: "TypeError", message: words });
  refused({}, /give the address/);
  refused({ url: "chat.example.org" }, /must begin with https?:/);
  refused({ url, transport: "pigeon" }, /one of poll, sse, ws/);
  const { WebSocket } = globalThis;
  delete globalThis.WebSocket; // Node.js 22 has it
  refused({ url, transport: "ws" }, /no WebSocket here.*sse/);
  if (WebSocket) globalThis.WebSocket = WebSocket;
});

test("an address of something else is named, and not tried again", async () => {
  let attempts = 0;
  globalThis.fetch = async () => {
    attempts += 1;
    return new Response("<!doctype html>", { status: 200 });
  };
  await assert.rejects(client(ana).call("GET", "/me"), /not an answer of Bellwire: is the address right/);
  assert.equal(attempts, 1);
});

test("a pause takes its listeners away, and ends at once when its signal is aborted already", async () => {
  const controller = new AbortController();
  let listeners = 0;
  const { signal } = controller;
  const add = signal.addEventListener.bind(signal);
  signal.addEventListener = (type, listener, options) => {
    listeners += 1;
    options.signal.addEventListener("abort", () => (listeners -= 1));
    add(type, listener, options);
  };
  await client(ana).pause(0.01, signal);
  assert.equal(listeners, 0);
  controller.abort();
  await client(ana).pause(3600, signal);
});

// Accounts

test("a login outside a browser keeps the token, which another run goes on with", async () => {
  const bell = new Bellwire({ url });
  assert.equal(bell.token, null);
  await bell.login({ login: ana.username, password: ana.password });
  assert.equal((await new Bellwire({ url, token: bell.token }).call("GET", "/me")).id, ana.id);
  globalThis.location = new URL(url); // a worker, or Deno with --location: no document, so no XSRF cookie
  const own = new Bellwire();
  globalThis.fetch = (address, options) => realFetch(new URL(address, url), options);
  await own.login({ login: ana.username, password: ana.password });
  assert.equal((await own.call("GET", "/me")).id, ana.id);
  delete globalThis.location;
});

test("a login gives a session that logout ends", async () => {
  const bell = new Bellwire({ url });
  const user = await bell.login({ login: ana.username, password: ana.password });
  assert.deepEqual([user.id, bell.user.id], [ana.id, ana.id]);
  assert.equal((await bell.call("GET", "/me")).username, ana.username);
  await bell.logout();
  assert.equal(bell.user, null);
  await assert.rejects(bell.call("GET", "/me"), { status: 401 });
});

test("a wrong password is an error with a status and a text, and no session", async () => {
  const bell = new Bellwire({ url });
  let signedOut = false;
  bell.addEventListener("signedout", () => (signedOut = true));
  await assert.rejects(bell.login({ login: ana.username, password: "wrong horse battery" }), (error) => {
    assert.ok(error instanceof BellwireError);
    assert.deepEqual([error.status, error.slug], [401, "unauthorized"]);
    assert.equal(error.message, error.detail);
    return true;
  });
  assert.equal(bell.user, null);
  assert.equal(signedOut, false);
});

test("errors of a sign-up are named by field", async () => {
  const bell = new Bellwire({ url });
  const account = { email: "nowhere", username: ana.username, password: "short" };
  await assert.rejects(bell.signup(account), (error) => {
    assert.equal(error.status, 422);
    assert.ok("email" in error.fields && "password" in error.fields, error.message);
    return true;
  });
});

test("a session that has ended is reported by a call", async () => {
  const bell = new Bellwire({ url });
  await bell.login({ login: ana.username, password: ana.password });
  const signedOut = new Promise((resolve) => bell.addEventListener("signedout", resolve));
  await bell.call("POST", "/logout", {});
  await assert.rejects(bell.call("GET", "/me"), { status: 401 });
  await signedOut;
});

test("a function that gives tokens is called once for calls of one moment, before a token ends, and when it is refused", async (context) => {
  const [given, sent] = [[], []];
  let clock = Date.now();
  context.mock.method(Date, "now", () => clock);
  const hour = 3600_000;
  const jwt = (exp) => `h.${btoa(JSON.stringify({ exp })).replaceAll("+", "-").replaceAll("/", "_")}.s`;
  const answers = [
    () => ({ token: ana.token, expires_at: new Date(clock + hour).toISOString() }),
    () => ben.token,
    () => jwt(clock / 1000),
    () => ana.token,
    () => "dead",
  ];
  const bell = new Bellwire({ url, token: async () => given[given.push(answers[given.length]()) - 1] });
  const name = async () => (await bell.call("GET", "/me")).username;

  assert.deepEqual(await Promise.all([name(), name()]), [ana.username, ana.username]);
  clock += hour - 40_000;
  assert.equal(await name(), ana.username);
  assert.equal(given.length, 1);
  clock += 20_000;
  assert.equal(await name(), ben.username); // the first one ends in 20 s
  clock += 24 * hour; // of that one the end is not known
  assert.equal(await name(), ben.username);
  assert.equal(given.length, 2);
  intercept("/me", (forward, { headers }, attempt) => {
    sent.push(headers.Authorization);
    return attempt < 3 ? new Response("{}", { status: attempt === 1 ? 401 : 200 }) : forward();
  });
  await bell.call("GET", "/me");
  assert.deepEqual(sent, [`Bearer ${ben.token}`, `Bearer ${given[2]}`]); // one was refused
  clock += 20_000; // the JWT has ended
  assert.equal(await name(), ana.username);
  intercept("/me", () => new Response("{}", { status: 401 }));
  await assert.rejects(bell.call("GET", "/me"), { status: 401 });
  assert.equal(given.length, 5); // asked for once a call
  await assert.rejects(new Bellwire({ url, token: () => null }).call("GET", "/me"), { status: 401, slug: "unauthorized" });
});

test("close() ends the events", async () => {
  const bell = client(ana);
  const events = bell.events();
  assert.equal((await events.next()).value.type, "state");
  const next = events.next();
  bell.close();
  assert.equal((await next).done, true);
});
