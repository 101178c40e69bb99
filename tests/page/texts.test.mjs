/** What the page makes of texts: links and the small Markdown. Run by test_texts_in_node.py. */

import assert from "node:assert/strict";
import { register } from "node:module";
import { test } from "node:test";

import { splitLinks } from "../../gateway/static/shared/links.js";

const WITHOUT_LIMITS = `export const resolve = (name, context, next) =>
  name.endsWith("/limits.js") ? { url: "data:text/javascript,export const LIMITS = {}", shortCircuit: true } : next(name, context);`;
register(`data:text/javascript,${encodeURIComponent(WITHOUT_LIMITS)}`); // the server makes that file
globalThis.HTMLElement = class {}; // markup.js draws elements too
const { beginning, parse, stripped } = await import("../../gateway/static/chat/markup.js");
const { excerptAround } = await import("../../gateway/static/shared/format.js");

/** The addresses of a text, as they are shown. */
const addresses = (text) => splitLinks(text).filter((part) => typeof part !== "string").map((part) => part.text);

const LINKS = [
  ["see https://example.org/a_(b) and (https://example.org/c)", ["https://example.org/a_(b)", "https://example.org/c"]],
  ["https://example.org/a。次", ["https://example.org/a"]],
  ["「https://example.org/a」", ["https://example.org/a"]],
  ["“https://example.org/a”… «https://example.org/b»", ["https://example.org/a", "https://example.org/b"]],
  ["*https://example.org/a* https://example.org/b…", ["https://example.org/a", "https://example.org/b"]],
  ["HTTPS://example.org/A, www.example.org/b.", ["HTTPS://example.org/A", "www.example.org/b"]],
  ["https://example.org/a\u202egpj.exe", ["https://example.org/a"]],
  ["https://example.org/w?a=1&b=[2]!", ["https://example.org/w?a=1&b=[2]"]],
  ["javascript:alert(1) http:// https://nowhere ana@www.example.org", []],
];

test("links end where people end them", () => {
  for (const [text, expected] of LINKS) {
    assert.deepEqual(addresses(text), expected, text);
    assert.equal(splitLinks(text).map((part) => part.text ?? part).join(""), text, "no character is lost");
  }
  assert.equal(splitLinks("www.example.org")[0].href, "https://www.example.org/");
});

const text = (...parts) => ({ kind: "text", parts });
const code = (content) => ({ kind: "code", text: content });
const strong = (...parts) => ({ kind: "strong", parts });
const em = (...parts) => ({ kind: "em", parts });

const MARKUP = [
  ["plain\n  text", [text("plain\n  text")]],
  ["a **b *c*** d", [text("a ", strong("b ", em("c")), " d")]],
  ["2*3*4 snake_case_name __x__ _y_", [text("2*3*4 snake_case_name ", strong("x"), " ", em("y"))]],
  ["`**a**` ``b`c``", [text(code("**a**"), " ", code("b`c"))]],
  ["**open and *shut", [text("**open and *shut")]],
  ["```js\n  let a;\n```\nend", [code("  let a;"), text("end")]],
  ["```\nno end", [code("no end")]],
  ["```one line``` and\nmore", [text(code("one line"), " and\nmore")]],
  ["> a\n> *b*", [{ kind: "quote", parts: ["a\n", em("b")] }]],
  ["- a\n- b", [{ kind: "list", first: null, items: [["a"], ["b"]] }]],
  ["3. a\n4. b", [{ kind: "list", first: 3, items: [["a"], ["b"]] }]],
  ["*https://example.org/a_b_c*", [text(em({ kind: "link", href: "https://example.org/a_b_c", text: "https://example.org/a_b_c" }))]],
  ["-5 degrees\n-- a", [text("-5 degrees\n-- a")]],
];

test("marks become elements, and the rest stays as it was written", () => {
  for (const [written, expected] of MARKUP) assert.deepEqual(parse(written), expected, written);
});

test("a text without its marks, cut between characters", () => {
  assert.equal(stripped("**a `b*`** _c_\n> d\n- e\n- f\nand\n7. g\n```js\n*h*\n```"), "a b* c\nd\n• e\n• f\nand\n7. g\n*h*");
  assert.equal(stripped("see https://example.org/a_b_c, 2*3*4"), "see https://example.org/a_b_c, 2*3*4");
  assert.equal(beginning(`**${"x".repeat(399)}** and more`, 10), `${"x".repeat(10)}…`);
  const family = "👨‍👩‍👧";
  assert.equal(beginning(family.repeat(120), 100), `${family.repeat(100)}…`);
  assert.equal(excerptAround(`${family.repeat(50)}here`, 50 * family.length, 20), `…${family.repeat(2)}here`);
  assert.equal(excerptAround("one two three four", 14, 10), "…four");
  assert.equal(excerptAround("one two", 4, 10), "one two");
});

/** All text of parts or blocks. */
function textOf(part) {
  if (typeof part === "string") return part;
  if (part.items) return part.items.flat().map(textOf).join("");
  return part.text ?? part.parts.map(textOf).join("");
}

test("a hostile text of 20,000 characters is parsed, and none of it is lost", () => {
  const units = ["*", "_", "`", "**a", "*a ", "_a_", "`a``", "> ", "- ", "www.", "https://a(", "((", "\n", "```\n", "*a*_b_**"];
  for (const unit of units) {
    const hostile = unit.repeat(20_000 / unit.length);
    const letters = (some) => some.replace(/[^a-z]/g, "");
    const began = process.cpuUsage().user;
    assert.equal(letters(parse(hostile).map(textOf).join("")), letters(hostile), unit);
    console.log(JSON.stringify(unit), (process.cpuUsage().user - began) / 1000);
  }
});
