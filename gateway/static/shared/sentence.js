/** Sentences with elements in them. */

import { t } from "./words.js";

/** Return the words of a key as a list of texts and elements. `parts` has an element or a text for each `{name}`. */
export function sentence(key, parts) {
  const marks = Object.fromEntries(Object.keys(parts).map((name) => [name, `\0${name}\0`]));
  const pieces = t(key, marks).split("\0");
  return pieces.map((piece, n) => (n % 2 ? parts[piece] : piece));
}
