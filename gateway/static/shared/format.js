/** How times, names, numbers and errors are written. */

const DAY_MS = 86_400_000;
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "long" });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const brief = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

export const timeOf = (at) => clock.format(new Date(at));
export const dayKey = (at) => new Date(at).toDateString();
export const exactly = (at) => new Date(at).toLocaleString();

/** "Today", "Yesterday", "Monday", "3 May 2026". */
export function dayOf(at) {
  const then = new Date(at);
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(then).setHours(0, 0, 0, 0)) / DAY_MS);
  if (days <= 0) return "Today";
  return days === 1 ? "Yesterday" : days < 7 ? weekday.format(then) : date.format(then);
}

/** As short as it can be said: "14:03", "Mon", "3 May". */
export function shortly(at) {
  const day = dayOf(at);
  if (day === "Today") return timeOf(at);
  return day === "Yesterday" || Date.now() - new Date(at) < 7 * DAY_MS ? day.slice(0, 3) : brief.format(new Date(at));
}

export const nameOf = (user) => user?.display_name || user?.username || "Somebody";

/** What a conversation is called, and the other one of a direct conversation. */
export function titleOf(conversation, me) {
  if (conversation.title) return conversation.title;
  const others = conversation.members.map((member) => member.user).filter((user) => user.id !== me.id);
  if (!others.length) return "Notes to yourself";
  return others.slice(0, 3).map(nameOf).join(", ") + (others.length > 3 ? ` and ${others.length - 3} more` : "");
}

export function partnerOf(conversation, me) {
  return conversation.kind === "direct" ? conversation.members.find((member) => member.user.id !== me.id)?.user : undefined;
}

/** What went wrong, in words for whoever asked for it: those of browsers are not for people. */
export function wordsOf(error) {
  if (error instanceof TypeError) return "There is no connection to the server.";
  return error.name === "TimeoutError" ? "The server did not answer in time." : error.message;
}

export const plural = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;
