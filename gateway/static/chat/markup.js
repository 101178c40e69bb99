/**
 * The small Markdown of messages: `code`, code blocks, **bold**, *italics*, quotes and lists. The text itself stays as
 * it was written; this is only how it is shown. It has no links with other words than their address, no pictures and no HTML.
 */

import { h, linkElement } from "../shared/dom.js";
import { excerpt } from "../shared/format.js";
import { ADDRESS, linkOf } from "../shared/links.js";
import { isolated, t } from "../shared/words.js";

const FENCE = /^ {0,3}```[^`\s]*\s*$/; // with the name of a language, which is not shown
const END_OF_CODE = /^ {0,3}```\s*$/;
const QUOTE = /^\s{0,3}> ?/;
const ITEM = /^\s{0,3}(?:[-*•]|(\d{1,9})[.)])\s+(?=\S)/;
// A mark begins a span before a letter and ends it behind one: 2*3*4 and snake_case are none. A span has at most 400
// characters, so that a hostile text costs no more than another one.
const CODE = /(?<ticks>`+)(?!`)(?<code>.{1,400}?)(?<!`)\k<ticks>(?!`)/u;
const EMPHASIS =
  /(?<![\p{L}\p{N}*_])(?<mark>\*\*|__|\*|_)(?![\s*_])(?<inner>.{1,400}?)(?<!\s)\k<mark>(?![\p{L}\p{N}*_])/u;
const MENTION = /((?<![\w@/\u00c0-\u024f\u0300-\u036f])@[a-z0-9](?:[\w.-]*\w)?)/iu; // as the server finds them
const READ_BEYOND = 1000; // characters after a beginning: so far away may be the end of its last span
const SPAN = new RegExp(`${CODE.source}|(?<address>${ADDRESS.source})|${EMPHASIS.source}`, "giu");

/**
 * Parse a text into blocks: {kind: "text" | "code" | "quote" | "list", …}. A text and a quote have `parts`, a list has
 * `items` (each of parts) and `first` (the number of the first one; null without numbers), and code has `text`.
 *
 * A part is a string, {kind: "code", text}, {kind: "strong" | "em", parts} or {kind: "link", href, text}.
 */
export function parse(text) {
  const blocks = [];
  const lines = text.split("\n");
  for (let at = 0; at < lines.length;) {
    const [block, next] = readBlock(lines, at);
    blocks.push(block);
    at = next;
  }
  return blocks;
}

/** Read the block that begins at a line. Returns it with the line after it. */
function readBlock(lines, at) {
  if (FENCE.test(lines[at])) return readCode(lines, at);
  for (const [pattern, make] of [
    [QUOTE, quoteOf],
    [ITEM, listOf],
  ]) {
    const end = endOf(lines, at, (line) => pattern.test(line));
    if (end > at) return [make(lines.slice(at, end)), end];
  }
  const end = endOf(lines, at, (line) => !FENCE.test(line) && !QUOTE.test(line) && !ITEM.test(line));
  return [{ kind: "text", parts: inline(lines.slice(at, end).join("\n")) }, end];
}

function endOf(lines, at, belongs) {
  let end = at;
  while (end < lines.length && belongs(lines[end])) end += 1;
  return end;
}

/** Code goes on to a line that ends it, or to the end of the text. */
function readCode(lines, at) {
  const end = endOf(lines, at + 1, (line) => !END_OF_CODE.test(line));
  return [{ kind: "code", text: lines.slice(at + 1, end).join("\n") }, end + 1];
}

function quoteOf(lines) {
  return { kind: "quote", parts: inline(lines.map((line) => line.replace(QUOTE, "")).join("\n")) };
}

function listOf(lines) {
  const number = lines[0].match(ITEM)[1];
  const items = lines.map((line) => inline(line.replace(ITEM, "")));
  return { kind: "list", first: number === undefined ? null : Number(number), items };
}

/** Parse what is within a block. */
function inline(text) {
  const parts = [];
  const span = new RegExp(SPAN); // with a place of its own: spans contain spans
  let end = 0;
  for (let match = span.exec(text); match; match = span.exec(text)) {
    const part = partOf(match.groups);
    if (!part) continue;
    if (match.index > end) parts.push(text.slice(end, match.index));
    parts.push(part);
    end = match.index + (part.kind === "link" ? part.text.length : match[0].length);
    span.lastIndex = end;
  }
  if (end < text.length) parts.push(text.slice(end));
  return parts;
}

function partOf({ code, address, mark, inner }) {
  if (code !== undefined) return { kind: "code", text: code };
  if (mark !== undefined) return { kind: mark.length > 1 ? "strong" : "em", parts: inline(inner) };
  const link = linkOf(address);
  return link && { kind: "link", ...link };
}

/** Return a text without its marks: as it is shown where there are no elements, for previews and quotes. */
export function stripped(text) {
  return parse(text).map(blockText).join("\n");
}

/** Return the beginning of a text without its marks, in at most `max` characters. */
export function beginning(text, max) {
  return excerpt(stripped(text.slice(0, 4 * max + READ_BEYOND)), max);
}

/** Return the beginning of a message in one line of text: with files it has a sign, and their names if it says nothing else. */
export function summary({ body, files = [] }, max) {
  return files.length ? `📎 ${beginning(body, max) || namesOf(files, max)}` : beginning(body, max);
}

/** The name of one file, or how many there are. */
export const namesOf = (files, max = Infinity) =>
  files.length === 1 ? isolated(excerpt(files[0].name, max)) : t("files.count", { n: files.length });

function blockText({ text, parts, items, first }) {
  if (!items) return text ?? partsText(parts);
  const sign = (n) => (first === null ? "•" : `${first + n}.`);
  return items.map((item, n) => `${sign(n)} ${partsText(item)}`).join("\n");
}

function partsText(parts) {
  return parts.map((part) => (typeof part === "string" ? part : (part.text ?? partsText(part.parts)))).join("");
}

/** Create the elements that show a text. `mentions` has the classes of the names that it mentions, in small letters. */
export function markupElements(text, mentions = {}) {
  const partNodes = (parts) =>
    parts.map((part) => {
      if (typeof part === "string") return mentionNodes(part, mentions);
      if (part.kind === "link") return linkElement(part);
      return h(part.kind, {}, part.kind === "code" ? part.text : partNodes(part.parts));
    });
  const blockElement = ({ kind, text, parts, items, first }) => {
    if (kind === "code") return h("pre", {}, h("code", {}, text));
    if (kind !== "list") return h(kind === "quote" ? "blockquote" : "p", { dir: "auto" }, partNodes(parts));
    const rows = items.map((item) => h("li", {}, partNodes(item)));
    return first === null ? h("ul", { dir: "auto" }, rows) : h("ol", { dir: "auto", start: first }, rows);
  };
  return parse(text).map(blockElement);
}

function mentionNodes(text, mentions) {
  return text.split(MENTION).map((piece, n) => {
    const name = n % 2 ? piece.slice(1).toLowerCase() : "";
    return Object.hasOwn(mentions, name) ? h(`b.${mentions[name]}`, {}, piece) : piece;
  });
}
