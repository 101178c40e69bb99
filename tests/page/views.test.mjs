/** What views do when something fails, in a document that draws nothing. Run by test_texts_in_node.py. */

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import "./document.mjs";

const { View, createView } = await import("../../gateway/static/shared/dom.js");
const { adoptProfile } = await import("../../gateway/static/account/adoption.js");

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
