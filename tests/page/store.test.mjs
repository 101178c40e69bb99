/** The state of the page, with a client that answers as it is told to. Run by test_texts_in_node.py. */

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { settled } from "./document.mjs";

mock.timers.enable({ apis: ["setTimeout"] });
const { Store } = await import("../../gateway/static/chat/store.js");
const { eraseTexts } = await import("../../gateway/static/shared/storage.js");

const ana = { id: 1, username: "ana", display_name: "Ana" };
const ben = { id: 2, username: "ben", display_name: "Ben" };
const direct = () => ({
  ...{ id: 12, kind: "direct", title: null, created_at: "2026-01-01", last_message: null, unread: 0 },
  members: [ana, ben].map((user) => ({ user, role: "member", read: null })),
});
const stateOf = (...conversations) => ({ me: ana, conversations, notifications_unread: 0 });

/** A store whose sends and calls are answered by hand. */
function storeOf(...conversations) {
  eraseTexts();
  const session = new AbortController();
  const sends = [];
  const calls = [];
  const wait = (list, what) => new Promise((resolve, reject) => list.push({ what, resolve, reject }));
  const bell = Object.assign(new EventTarget(), {
    send: (message) => wait(sends, message),
    call: (_, path) => wait(calls, path),
  });
  const store = new Store(bell, session.signal);
  store.reset(stateOf(...conversations));
  return { store, session, sends, calls, goOnline: () => bell.dispatchEvent(new Event("online")) };
}

test("nothing is sent when the session has ended", async () => {
  const { store, session, sends, goOnline } = storeOf(direct());
  for (const body of ["one", "two"]) store.post(12, body);
  sends[0].reject(new TypeError("fetch failed"));
  await settled();
  goOnline();
  assert.deepEqual(sends.map(({ what }) => what.body), ["one", "one"], "it is sent again while the session lasts");
  session.abort();
  sends[1].resolve({ id: 5, conversation: 12, sender: 1, client_id: sends[1].what.client_id, body: "one" });
  await settled();
  goOnline();
  await settled();
  assert.equal(sends.length, 2);
});

test("a chat that has begun while the connection was lost is known by the next state", () => {
  const { store } = storeOf();
  store.putUser(ben);
  assert.equal(store.withPerson(2), -2);
  store.post(-2, "hello");
  const begun = [];
  store.addEventListener("begun", ({ detail }) => begun.push(detail));
  store.reset(stateOf(direct()));
  assert.deepEqual(begun, [{ before: -2, id: 12 }]);
  assert.deepEqual([...store.conversations.keys()], [12]);
  assert.deepEqual(store.unsent(12).map(({ body }) => body), ["hello"]);
});

test("only who is not there any more is a former member, and others are loaded again", async () => {
  const { store, calls, goOnline } = storeOf();
  for (const id of [2, 3]) store.person(id);
  await settled();
  calls[0].reject({ status: 502 });
  calls[1].reject({ status: 404 });
  await settled();
  assert.deepEqual([2, 3].map((id) => store.person(id).display_name), ["", "people.former"]);
  goOnline();
  await settled();
  assert.equal(calls.at(-1).what, "/users/2");
  calls.at(-1).resolve(ben);
  await settled();
  assert.equal(store.person(2).display_name, "Ben");
  assert.equal(calls.length, 3);
});

const crew = (more = {}) => ({
  ...{ id: 7, kind: "group", title: "Crew", created_at: "2026-01-01", last_message: { id: 5 }, unread: 2, read: 3 },
  members: [ana, ben].map((user) => ({ user, role: "member", read: 5 })),
  ...more,
});

/** A store with a read mark that found no connection, and the calls that send marks. */
async function storeWithLostMark() {
  const made = storeOf(crew());
  const marks = () => made.calls.filter(({ what }) => what === "/conversations/7/read");
  made.store.markRead(made.store.conversations.get(7), 5);
  marks()[0].reject(new TypeError("Failed to fetch"));
  await settled();
  return { ...made, marks };
}

test("a read mark that found no connection is sent when there is one, once", async () => {
  const { store, marks, goOnline } = await storeWithLostMark();
  assert.equal(store.readMark(store.conversations.get(7)), 5);
  goOnline();
  marks()[1].resolve(null);
  await settled();
  goOnline();
  assert.equal(marks().length, 2);
});

test("a read mark that found no connection is sent after a reset, and counts in it", async () => {
  const { store, marks } = await storeWithLostMark();
  store.reset(stateOf(crew()));
  assert.equal(store.conversations.get(7).unread, 0);
  marks()[1].resolve(null);
  await settled();
  store.reset(stateOf(crew({ read: 2 })));
  assert.equal(store.readMark(store.conversations.get(7)), 2, "a mark that has arrived is the server's");
});

test("a read mark that found no connection is not sent once its message was marked as unread", async () => {
  const { store, marks, goOnline } = await storeWithLostMark();
  store.apply({ type: "read.updated", data: { conversation: 7, user: 1, message: 2, unread: 3 } });
  goOnline();
  assert.equal(marks().length, 1);
});

test("the marks of large groups are not known: nobody is said to have read", () => {
  const { store } = storeOf(crew(), crew({ id: 8, members_count: 60 }));
  assert.deepEqual([7, 8].map((id) => store.readByAll(store.conversations.get(id))), [5, 0]);
});

test("a muted chat counts nothing until its level ends, and mentions are counted while they are unread", () => {
  const { store } = storeOf(crew({ level: "none", level_until: new Date(Date.now() + 60_000).toISOString(), mentions_unread: 1 }));
  const chat = store.conversations.get(7);
  assert.deepEqual([store.levelOf(chat), store.unread], ["none", 0]);
  store.apply({ type: "message.created", data: { id: 6, conversation: 7, sender: 2, body: "@ana", mentions: [1], mentions_all: false } });
  assert.deepEqual([chat.unread, chat.mentions_unread], [3, 2]);
  store.apply({ type: "level.updated", data: { conversation: 7, level: "none", until: new Date(Date.now() - 1).toISOString() } });
  assert.deepEqual([store.levelOf(chat), store.unread], ["all", 1]);
  store.markRead(chat, 6);
  assert.deepEqual([chat.unread, chat.mentions_unread], [0, 0]);
});

test("messages of groups are folded while their sender is blocked, unless one is shown", () => {
  const { store } = storeOf(crew(), direct());
  const message = (id, conversation) => ({ id, conversation, sender: 2 });
  store.apply({ type: "block.added", data: { user: 2 } });
  store.unfold(message(8, 7));
  assert.deepEqual([message(8, 7), message(9, 7), message(9, 12)].map((one) => store.isFolded(one)), [false, true, false]);
  store.apply({ type: "block.removed", data: { user: 2 } });
  assert.equal(store.isFolded(message(9, 7)), false);
});
