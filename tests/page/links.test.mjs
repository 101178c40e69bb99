/** Links to files, for the pages of other products. Run by test_texts_in_node.py. */

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { settled } from "./document.mjs";

const { keepLink, withLink } = await import("../../gateway/static/shared/file-links.js");
const HOUR_MS = 3_600_000;

/** A client that counts the links that it loads. */
function clientOf() {
  const asked = [];
  const call = async (_, path) => {
    asked.push(path);
    const url = `https://chat.example.org/api/v1/files/7?signature=${asked.length}`;
    return { url, expires_at: new Date(Date.now() + HOUR_MS).toISOString() };
  };
  return { asked, call };
}

test("all that show a file share one link until it nearly ends", async () => {
  mock.timers.enable({ apis: ["Date", "setTimeout"] });
  const [client, other, used] = [clientOf(), clientOf(), []];
  await Promise.all([withLink(client, 7, "/thumbnail", (url) => used.push(url)), withLink(client, 7, "", (url) => used.push(url))]);
  const address = "https://chat.example.org/api/v1/files/7";
  assert.deepEqual(used.sort(), [`${address}/thumbnail?signature=1`, `${address}?signature=1`]);
  mock.timers.tick(0.95 * HOUR_MS);
  await withLink(client, 7, "", (url) => used.push(url));
  assert.equal(used.at(-1), `${address}?signature=2`);
  await withLink(other, 7, "", () => {});
  assert.deepEqual([client.asked.length, other.asked.length], [2, 1], "links are a user's own");
  mock.timers.reset();
});

test("a link of a document is renewed as long as it is shown", async () => {
  mock.timers.enable({ apis: ["Date", "setTimeout"] });
  const [client, element] = [clientOf(), { isConnected: true }];
  await keepLink(client, 7, element);
  for (const n of [1, 2, 3]) {
    assert.ok(element.href.endsWith(`=${n}`));
    mock.timers.tick(HOUR_MS);
    await settled();
  }
  element.isConnected = false;
  mock.timers.tick(2 * HOUR_MS);
  await settled();
  assert.equal(client.asked.length, 4);
  mock.timers.reset();
});

test("a link that could not be loaded or renewed is loaded a minute later", async () => {
  mock.timers.enable({ apis: ["Date", "setTimeout"] });
  const [client, element] = [clientOf(), { isConnected: true }];
  const { call } = client;
  const fail = async () => Promise.reject(new TypeError("fetch failed"));
  client.call = fail;
  await keepLink(client, 7, element);
  assert.equal(element.href, undefined);
  for (const n of [1, 2]) {
    client.call = call;
    mock.timers.tick(60_000);
    await settled();
    assert.ok(element.href.endsWith(`=${n}`));
    client.call = fail;
    mock.timers.tick(HOUR_MS);
    await settled();
  }
  mock.timers.reset();
});

test("a link that could not be loaded is loaded by the next who needs it", async () => {
  const client = clientOf();
  const { call } = client;
  client.call = async () => Promise.reject(new TypeError("fetch failed"));
  await assert.rejects(withLink(client, 7, "", () => {}));
  client.call = call;
  await withLink(client, 7, "", (url) => assert.ok(url.endsWith("=1")));
});
