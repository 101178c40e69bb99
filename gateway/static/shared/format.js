/** How times, names and numbers are written. */

import { h } from "./dom.js";
import { isolated, language, listed, t } from "./words.js";

const DAY_MS = 86_400_000;
const MAX_NAMES = 3; // in the title of a group without one
const DATE_FORMATS = {
  clock: { hour: "2-digit", minute: "2-digit" },
  weekday: { weekday: "long" },
  shortWeekday: { weekday: "short" },
  longDate: { day: "numeric", month: "long", year: "numeric" },
  shortDate: { day: "numeric", month: "short" },
  full: { dateStyle: "medium", timeStyle: "short" },
};
const formats = new Map();

/** Write a time in one of DATE_FORMATS. Making a format takes longer than using it a hundred times. */
function write(name, at) {
  const key = `${language()} ${name}`;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(language(), DATE_FORMATS[name]));
  return formats.get(key).format(new Date(at));
}

export const formatTime = (at) => write("clock", at);
export const formatDateTime = (at) => write("full", at);

/** A key that is equal for all times of one day. */
export const dayKey = (at) => new Date(at).toDateString();

/** How many midnights are between a time and now. */
function daysSince(at) {
  return Math.round((new Date().setHours(0, 0, 0, 0) - new Date(at).setHours(0, 0, 0, 0)) / DAY_MS);
}

/** "Today", "Yesterday", "Monday", "3 May 2026". */
export function formatDay(at) {
  const days = daysSince(at);
  if (days <= 1) return t(days < 1 ? "day.today" : "day.yesterday");
  return write(days < 7 ? "weekday" : "longDate", at);
}

/** The shortest form: "14:03", "Yesterday", "Mon", "3 May". */
export function formatShort(at) {
  const days = daysSince(at);
  if (days <= 1) return days < 1 ? formatTime(at) : t("day.yesterday");
  return write(days < 7 ? "shortWeekday" : "shortDate", at);
}

/** When something ends: "14:03" today, else with the date. */
export const formatUntil = (at) => (daysSince(at) ? formatDateTime : formatTime)(at);

/** Create a time element with the shortest form; its tooltip has the full one. */
export function timeElement(at, selector = "time") {
  return h(selector, { datetime: at, title: formatDateTime(at) }, formatShort(at));
}

/** The username of a user as others write it: "@ana". */
export const handleOf = (user) => isolated(`@${user.username}`);

export const nameOf = (user) => user?.display_name || user?.username || t("person.nameless");

/** The title of a conversation, or else the names of its other members. */
export function titleOf(conversation, me) {
  if (conversation.title) return conversation.title;
  const others = conversation.members.map((member) => member.user).filter((user) => user.id !== me.id);
  if (!others.length) return t("conversation.alone");
  const names = others.slice(0, MAX_NAMES).map(nameOf);
  const more = (conversation.members_count ?? conversation.members.length) - 1 - names.length;
  return listed(more > 0 ? [...names, t("conversation.more", { n: more })] : names);
}

/** Who wrote a message and where, as far as it needs to be said and the conversation is known. */
export function placeOf(store, sender, conversationId) {
  const isOwn = sender === store.me.id;
  const name = isOwn ? t("people.you") : nameOf(store.person(sender));
  const conversation = store.conversations.get(conversationId);
  const place = conversation?.kind === "direct" ? "direct" : "group";
  if (!conversation || (place === "direct" && !isOwn)) return name;
  return t(`search.message.${place}`, { name, conversation: titleOf(conversation, store.me) });
}

/** The other user of a direct conversation, else undefined. */
export function partnerOf(conversation, me) {
  if (conversation.kind !== "direct") return undefined;
  return conversation.members.find((member) => member.user.id !== me.id)?.user;
}

/** The one user who gets a message of a direct conversation, else undefined. `sender` is an id. */
export function receiverOf(conversation, me, sender) {
  const partner = partnerOf(conversation, me);
  return partner && sender !== me.id ? me : partner;
}

/** Return the beginning of a text: at most `max` characters as people count them, so that no emoji is cut in two. */
export function excerpt(text, max) {
  if (text.length <= max) return text;
  let count = 0;
  for (const { index } of charactersOf(text)) {
    if (count === max) return `${text.slice(0, index)}…`;
    count += 1;
  }
  return text;
}

/** Return the part of a text around a place in it, which begins with a word if that has spaces before it. */
export function excerptAround(text, place, max) {
  const from = place - max / 2;
  if (from <= 0) return excerpt(text, max);
  const space = text.indexOf(" ", from);
  const start = space >= 0 && space < place ? space + 1 : charactersOf(text).containing(from).index;
  return `…${excerpt(text.slice(start), max)}`;
}

/** The characters of a text as people count them. */
const charactersOf = (text) => new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(text);
