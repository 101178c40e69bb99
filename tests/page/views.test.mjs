/** What views do when something fails, in a document that draws nothing. Run by test_texts_in_node.py. */

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { settled, views } from "./document.mjs";

const { View, createView } = await import("../../gateway/static/shared/dom.js");
const { startConversation } = await import("../../gateway/static/chat/people.js");
const { PeoplePicker } = await import("../../gateway/static/shared/people-picker.js");
const { runShortcut } = await import("../../gateway/static/shared/shortcuts.js");
const { adoptProfile } = await import("../../gateway/static/account/adoption.js");
await import("../../gateway/static/community/comments.js");

const ana = { id: 1, username: "ana", display_name: "Ana" };
const refusal = Object.assign(new Error(), { slug: "unknown", status: 500, detail: "It is broken." });

/** A store of one conversation, whose calls are answered by `answer(path)`. */
function storeOf(answer) {
  const crew = { id: 7, kind: "group", title: "Crew", members: [{ user: ana }] };
  const call = async (_, path) => answer(path);
  return { bell: { call }, me: ana, users: new Map(), ordered: () => [crew], emit() {} };
}

test("a view that is drawn again after a failure listens once", () => {
  const target = new EventTarget();
  let [drawings, events] = [0, 0];
  class Failing extends View {
    render() {
      this.listen(target, "change", () => (events += 1));
      drawings += 1;
      if (drawings === 1) throw new Error("once");
    }
  }
  mock.method(console, "error", () => {});
  mock.method(globalThis, "fetch", async () => {});
  customElements.define("bw-failing", Failing);
  const view = createView("bw-failing", {});
  view.connectedCallback();
  view.find(({ localName }) => localName === "button").dispatchEvent(new Event("click"));
  target.dispatchEvent(new Event("change"));
  mock.restoreAll();
  assert.deepEqual([drawings, events], [2, 1]);
});

test("the page is drawn anew in a language only if the browser keeps it", async () => {
  const stored = new Map();
  let reloads = 0;
  globalThis.location = { reload: () => (reloads += 1) };
  const profile = { locale: "de-DE", timezone: "Europe/Berlin" };
  const bell = { call: async () => ({ profile, items: [] }) };
  await adoptProfile(bell);
  assert.equal(reloads, 0, "without storage");
  globalThis.localStorage = { getItem: () => null, setItem: (key, text) => stored.set(key, text), removeItem() {} };
  await adoptProfile(bell);
  assert.deepEqual([reloads, ...stored], [1, ["bellwire:language", "de"]]);
});

test("nobody was found only if the search was answered", async () => {
  const pickers = [() => Promise.reject(refusal), () => ({ items: [] })].map((answer) => new PeoplePicker(storeOf(answer), []));
  await settled();
  assert.deepEqual(pickers.map(({ results }) => results.textContent), ["It is broken.", "people.nobody-else"]);
});

/** Open Ctrl+K's dialog, write a text, and return the dialog when the calls were answered. */
async function found(store, text) {
  mock.timers.enable({ apis: ["setTimeout"] });
  runShortcut({ store }, { key: "k" });
  const dialog = document.body.lastChild;
  const [input] = dialog.children;
  input.value = text;
  input.dispatchEvent(new Event("input"));
  const before = dialog.textContent;
  mock.timers.tick(1000);
  await settled();
  mock.timers.reset();
  return { before, after: dialog.textContent };
}

test("Ctrl+K says that nothing was found when that is known", async () => {
  const none = await found(storeOf(() => ({ items: [] })), "zoe");
  assert.deepEqual(none, { before: "", after: "search.nothing" });
  const failed = await found(storeOf(() => Promise.reject(refusal)), "zoe");
  assert.deepEqual(failed, { before: "", after: "It is broken." });
});

test("Ctrl+K finds a person whose id a conversation has too", async () => {
  const zoe = { id: 7, username: "zoe", display_name: "Zoe" };
  const { after } = await found(storeOf((path) => ({ items: path === "/users" ? [zoe] : [] })), "zoe");
  assert.match(after, /@zoe/);
});

test("the page offers only people who can be reached", async () => {
  const zoe = { id: 7, username: "zoe", display_name: "Zoe" };
  const reaching = (contacts, people) => (path) => (path === "/instance" ? { contacts } : { items: path === "/users" ? people : [] });
  const picker = new PeoplePicker(storeOf(reaching("shared", [])), []);
  await settled();
  assert.equal(picker.results.textContent, "people.nobody-shared");
  assert.match((await found(storeOf(reaching("shared", [zoe])), "zoe")).after, /@zoe/);
  assert.equal((await found(storeOf(reaching("closed", [zoe])), "zoe")).after, "search.nothing");
  startConversation(storeOf(reaching("closed", [zoe])));
  await settled();
  assert.match(document.body.lastChild.textContent, /conversation.by-admins/);
});

test("no character of a comment is cut in two", async () => {
  const family = "👨‍👩‍👧";
  const comment = { author: ana, created_at: "2026-01-01T00:00:00Z" };
  const items = [{ ...comment, id: 1, body: family.repeat(150) }, { ...comment, id: 2, body: "yes", reply_to: 1 }];
  const post = { id: 3, author: ana };
  const store = Object.assign(new EventTarget(), storeOf(() => ({ items })));
  const view = Object.assign(new (views.get("bw-comments"))(), { store, post });
  view.connectedCallback();
  await settled();
  const quote = view.find((element) => element.className === "quote");
  assert.equal(quote.textContent, `Ana ${family.repeat(120)}…`);
});
