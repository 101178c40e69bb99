/** What people look for in names and texts, without regard to case and accents. */

import { h } from "./dom.js";

/** Return a text without case and accents, with one character for each of its own, so that positions are the same. */
export function folded(text) {
  return text.replace(/[^ -~]/gu, foldedCharacter).toLowerCase();
}

function foldedCharacter(character) {
  const plain = character.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  return plain.length === character.length ? plain : character.toLowerCase().padEnd(character.length).slice(0, character.length);
}

/** Split a text into strings and marked elements: the places where the words of `q` begin a word. */
export function marked(text, q) {
  const nodes = [];
  let end = 0;
  for (const { 0: found, index } of placesOf(text, q)) {
    nodes.push(text.slice(end, index), h("mark", {}, text.slice(index, index + found.length)));
    end = index + found.length;
  }
  return [...nodes, text.slice(end)];
}

/** Return the first place that `marked` marks, 0 if there is none. */
export function firstMark(text, q) {
  return placesOf(text, q).next().value?.index ?? 0;
}

function placesOf(text, q) {
  const words = folded(q).split(/[\s@]+/).filter(Boolean);
  const pattern = words.length ? words.map(beginningOf).join("|") : "(?!)";
  return folded(text).matchAll(new RegExp(pattern, "gu"));
}

/** A pattern of a word: it begins a word, but in languages that write no spaces between words. */
function beginningOf(word) {
  const escaped = word.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
  const hasSpaces = !/^[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}]/u.test(word);
  return `${hasSpaces ? "(?<![\\p{L}\\p{N}])" : ""}${escaped}`;
}
