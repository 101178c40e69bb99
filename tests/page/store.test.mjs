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
