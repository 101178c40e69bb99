/** How times, names and numbers are written. */

import { h } from "./dom.js";

const DAY_MS = 86_400_000;
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "long" });
const longDate = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const shortDate = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

export const formatTime = (at) => clock.format(new Date(at));
export const formatDateTime = (at) => new Date(at).toLocaleString();

/** A key that is equal for all times of one day. */
export const dayKey = (at) => new Date(at).toDateString();

/** "Today", "Yesterday", "Monday", "3 May 2026". */
export function formatDay(at) {
  const date = new Date(at);
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / DAY_MS);
  if (days <= 0) return "Today";
  return days === 1 ? "Yesterday" : days < 7 ? weekday.format(date) : longDate.format(date);
}

/** The shortest form: "14:03", "Mon", "3 May". */
export function formatShort(at) {
  const day = formatDay(at);
  if (day === "Today") return formatTime(at);
  const isRecent = day === "Yesterday" || Date.now() - new Date(at) < 7 * DAY_MS;
  return isRecent ? day.slice(0, 3) : shortDate.format(new Date(at));
}

/** Create a time element with the shortest form; its tooltip has the full one. */
export function timeElement(at, selector = "time") {
  return h(selector, { datetime: at, title: formatDateTime(at) }, formatShort(at));
}

export const nameOf = (user) => user?.display_name || user?.username || "Somebody";

/** The title of a conversation, or else the names of its other members. */
export function titleOf(conversation, me) {
  if (conversation.title) return conversation.title;
  const others = conversation.members.map((member) => member.user).filter((user) => user.id !== me.id);
  if (!others.length) return "Notes to yourself";
  return (
    others.slice(0, 3).map(nameOf).join(", ") + (others.length > 3 ? ` and ${others.length - 3} more` : "")
  );
}

/** The other user of a direct conversation, else undefined. */
export function partnerOf(conversation, me) {
  if (conversation.kind !== "direct") return undefined;
  return conversation.members.find((member) => member.user.id !== me.id)?.user;
}

export const plural = (count, singular, many = `${singular}s`) => `${count} ${count === 1 ? singular : many}`;
