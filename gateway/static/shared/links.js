/** Web addresses in texts that people wrote. */

/**
 * What may be an address. It ends at white space, at quotes and brackets that never belong to one, at punctuation of
 * East Asian scripts, and at marks of direction, which would show another address than the one that is opened.
 */
export const ADDRESS =
  /(?<![\p{L}\p{N}_@.-])(?:https?:\/\/|www\.)[^\s<>"“”„‘’«»‹›`。、，．！？；：…「」『』【】《》〈〉（）\u200b-\u200f\u202a-\u202e\u2066-\u2069]+/iu;
const AFTER_ADDRESS = ".,;:!?'*_~|";
const OPENING = new Map(Object.entries({ ")": "(", "]": "[", "}": "{" }));

/** Split a text into strings and links, {href, text}. */
export function splitLinks(text) {
  const parts = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(new RegExp(ADDRESS, "giu"))) {
    const link = linkOf(found);
    if (!link) continue;
    if (index > end) parts.push(text.slice(end, index));
    parts.push(link);
    end = index + link.text.length;
  }
  if (end < text.length) parts.push(text.slice(end));
  return parts;
}

/** The link of what may be an address, without punctuation after it and brackets opened before it; null if it is none. */
export function linkOf(found) {
  const text = withoutPunctuation(found);
  try {
    const url = new URL(/^www\./i.test(text) ? `https://${text}` : text);
    const isHost = url.hostname === "localhost" || /[.:]/.test(url.hostname);
    return isHost ? { href: url.href, text } : null;
  } catch {
    return null;
  }
}

function withoutPunctuation(found) {
  const counts = new Map();
  for (const char of found) counts.set(char, (counts.get(char) ?? 0) + 1);
  let end = found.length;
  for (; end; end -= 1) {
    const last = found[end - 1];
    const opening = OPENING.get(last);
    const isUnopened = opening && counts.get(last) > (counts.get(opening) ?? 0);
    if (!AFTER_ADDRESS.includes(last) && !isUnopened) break;
    counts.set(last, counts.get(last) - 1);
  }
  return found.slice(0, end);
}
