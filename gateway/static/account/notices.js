/**
 * The words of notifications. They are stored in English, as the rules word them; the page recognizes these words and says
 * them in its own language. What it does not recognize, such as an announcement, stays as it is.
 */

import { language, t } from "../shared/words.js";

export const OWN_TYPES = ["message", "community", "account", "admin", "system"]; // others are the host's
const ABOUT_CHAT = "notice.chat.";
const loading = language() === "en" ? Promise.resolve({ default: {} }) : import("../words/en.js");
let patterns = []; // [key, pattern]

/** Wait until `inWords` knows the words. */
export async function loadNotices() {
  const { default: english } = await loading;
  patterns = Object.entries(english).flatMap(([key, entry]) => (key.startsWith("notice.") ? patternsOf(key, entry) : []));
  patterns.sort(([, a], [, b]) => b.source.includes("<n>") - a.source.includes("<n>")); // "Ana and 2 others" is no name
}

function patternsOf(key, entry) {
  const texts = typeof entry === "string" ? [entry] : Object.values(entry);
  return texts.map((text) => {
    const parts = text.split(/\{(\w+)\}/); // text, name of a place, text, …
    const escaped = parts.map((part, n) => (n % 2 ? `(?<${part}>${part === "n" ? "\\d+" : ".+"})` : part.replaceAll(".", "\\.")));
    return [key, new RegExp(`^${escaped.join("")}$`, "s")];
  });
}

/** Return a NOTIFICATION with title and body in the language of the page. The host's are in the reader's language already. */
export function inWords(stored) {
  if (!OWN_TYPES.includes(stored.type)) return stored;
  const { title, body, data, ...notification } = stored;
  const isAboutChat = Number.isSafeInteger(data.conversation);
  const known = patterns.filter(([key]) => key.startsWith(ABOUT_CHAT) === isAboutChat);
  const say = (text) => {
    const [key, pattern] = known.find(([, candidate]) => candidate.test(text)) ?? [];
    const { n, ...names } = key ? (pattern.exec(text).groups ?? {}) : {};
    return key ? t(key, { ...names, ...(n && { n: Number(n) }) }) : text;
  };
  return { ...notification, data, title: say(title), body: say(body) };
}

/**
 * Return the address that a notification links to, or null. An announcement's data is written by an admin and may be
 * anything. The address of one of the host's is on the web, or a path of its own.
 */
export function noticeAddress({ url, data: { conversation, message, post, group } }) {
  if (/^(https?:|\/(?!\/))/.test(url ?? "")) return url;
  const isId = (value) => Number.isSafeInteger(value);
  if (isId(conversation)) return `#/conversations/${conversation}${isId(message) ? `/${message}` : ""}`;
  if (isId(post)) return `#/posts/${post}`;
  return isId(group) ? `#/groups/${group}` : null;
}
