/** The messages of a conversation, with answers that come late or in another order. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Thread } from "../../gateway/static/chat/thread.js";

const message = (id, more = {}) => ({ id, body: `message ${id}`, reactions: {}, ...more });
const page = (first, last, next = "older") => ({ items: Array.from({ length: last - first + 1 }, (_, n) => message(first + n)), next });
const ids = (thread) => thread.pages.flat().map(({ id }) => id);

/** A thread whose calls are answered by `answer(page)`, the oldest call first, or by `answerLast(page)`; `fail()` refuses one. */
function threadOf(newest) {
  const calls = [];
  const call = () => new Promise((resolve, reject) => calls.push({ resolve, reject }));
  const conversations = new Map([[1, { last_message: { id: newest } }]]);
  const thread = new Thread({ bell: { call }, conversations, emit() {} }, 1);
  const settle = async (run, value) => {
    run(value);
    await new Promise((done) => setImmediate(done));
  };
  return {
    thread,
    answer: (value) => settle(calls.shift().resolve, value),
    answerLast: (value) => settle(calls.pop().resolve, value),
    fail: () => settle(calls.shift().reject, new TypeError("Failed to fetch")),
    waiting: () => calls.length,
  };
}

test("a change that comes before an older answer is not lost", async () => {
  const { thread, answer } = threadOf(3);
  thread.change(2, (old) => ({ ...old, body: "edited" }));
  await answer(page(1, 3));
  assert.equal(thread.find(2).body, "edited");
});

test("the place that was asked for last is shown, whichever answer comes first", async () => {
  const { thread, answer, answerLast } = threadOf(100);
  await answer(page(51, 100));
  const jump = thread.goTo(20);
  thread.goToEnd();
  await answerLast(page(51, 100));
  await answer(page(11, 30));
  await jump;
  assert.equal(ids(thread).at(0), 51);
  assert.equal(thread.atEnd, true);
});

test("an older page that comes after a jump leaves no gap, and is no beginning", async () => {
  const { thread, answer, answerLast } = threadOf(100);
  await answer(page(51, 100));
  thread.loadOlder();
  thread.goTo(20);
  await answerLast(page(11, 30));
  await answer(page(1, 50));
  assert.deepEqual([ids(thread).at(0), ids(thread).at(-1), thread.older], [11, 30, "older"]);
});

test("an older page that is asked for while one jumps leaves no gap, and is no beginning", async () => {
  const { thread, answer } = threadOf(100);
  await answer(page(51, 100));
  thread.goTo(20);
  thread.loadOlder();
  await answer(page(11, 30));
  await answer(page(1, 50));
  assert.deepEqual([ids(thread).at(0), ids(thread).at(-1), thread.older], [11, 30, "older"]);
});

test("the first page is loaded again after a failure, and nothing is before it until then", async () => {
  const { thread, answer, fail, waiting } = threadOf(3);
  await fail();
  assert.deepEqual([thread.error.name, thread.hasOlder, thread.hasNewer], ["TypeError", false, false]);
  const both = Promise.all([thread.open(), thread.open()]);
  assert.deepEqual([thread.error, waiting()], [null, 1]);
  await answer(page(1, 3));
  await both;
  assert.deepEqual([ids(thread), thread.hasOlder], [[1, 2, 3], true]);
});

test("a jump that fails leaves what is there, and is forgotten", async () => {
  const { thread, answer, fail } = threadOf(100);
  await answer(page(51, 100));
  const jump = assert.rejects(thread.goTo(20));
  await fail();
  await jump;
  await thread.open();
  assert.deepEqual([ids(thread).at(0), thread.error, thread.loading], [51, null, null]);
});

test("two views that load older messages at once load them once", async () => {
  const { thread, answer, waiting } = threadOf(100);
  await answer(page(51, 100));
  thread.loadOlder();
  thread.loadOlder();
  assert.equal(waiting(), 1);
  await answer(page(11, 50));
  assert.deepEqual([ids(thread).at(0), thread.older], [11, "older"]);
});
