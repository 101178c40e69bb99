/** The client with the calls of a user, also of one whom an administrator acts for, that the page has in its own modules. */

import { Bellwire, uniqueId } from "./client.js";

const DOWNLOAD_TIMEOUT_S = 3600;

export class UserClient extends Bellwire {
  // The caller, and people

  me() {
    return this.call("GET", "/me");
  }

  /** Resolves to a Response whose `body` is a zip of all that is the caller's. Reading it throws if it breaks off. */
  export() {
    return download(this, "/me/export");
  }

  /** Yield the active users of whose names each word of `q` begins a word. */
  users(q = "") {
    return pages(this, "/users", { q });
  }

  getUser(user) {
    return this.call("GET", `/users/${reference(user)}`);
  }

  /** Block a user, who is not told: their direct messages are refused, and they see no presence of the caller. */
  block(user) {
    return this.call("PUT", `/me/blocks/${reference(user)}`);
  }

  unblock(user) {
    return this.call("DELETE", `/me/blocks/${reference(user)}`);
  }

  /** Yield the users whom the caller blocks, the latest first, as {user, since}. */
  blocks() {
    return pages(this, "/me/blocks");
  }

  // Conversations

  /** Yield the caller's conversations, newest activity first: those with the words of `q` in the title or the names. */
  conversations(q = "") {
    return pages(this, "/conversations", { q });
  }

  getConversation(conversation) {
    return this.call("GET", `/conversations/${conversation}`);
  }

  /** The direct conversation with one user; with several or a title, a new group. */
  openConversation(members, title = null) {
    const retry = members.length === 1 && title === null;
    return this.call("POST", "/conversations", { members, title }, { retry });
  }

  /** Give a group another title. Its owners may. */
  rename(conversation, title) {
    return this.call("PATCH", `/conversations/${conversation}`, { title });
  }

  /** Yield the members of a conversation, by id: those of whose names each word of `q` begins a word. */
  members(conversation, q = "") {
    return pages(this, `/conversations/${conversation}/members`, { q });
  }

  /** Add a user to a group. Its owners may. */
  addMember(conversation, user) {
    return this.call("PUT", `/conversations/${conversation}/members/${reference(user)}`);
  }

  /** Remove a user from a group: its owners may, and everybody themselves. */
  removeMember(conversation, user) {
    return this.call("DELETE", `/conversations/${conversation}/members/${reference(user)}`);
  }

  /** Yield who came to a conversation, who went, and its titles, newest first, as events. */
  changes(conversation) {
    return pages(this, `/conversations/${conversation}/changes`);
  }

  /** Show the other members that the caller is typing, or has stopped. */
  typing(conversation, isTyping = true) {
    return this.call("POST", `/conversations/${conversation}/typing`, { typing: isTyping });
  }

  /** The first members whose username or display name begins with `prefix`, by id: for completing an `@`. */
  async mentionCandidates(conversation, prefix, limit = 10) {
    const query = new URLSearchParams({ q: prefix, limit });
    return (await this.call("GET", `/conversations/${conversation}/members?${query}`)).items;
  }

  /**
   * Choose which messages the caller is notified of: `all`, those with `mentions` of them, `none`, or null for the default. With
   * `until`, a time, they have the default again after it. Returns {level, until}.
   */
  setLevel(conversation, level, { until = null } = {}) {
    return this.call("PUT", `/conversations/${conversation}/level`, { level, until });
  }

  /** Mark all messages up to this one as read. Returns the number of unread ones. */
  async markRead(conversation, message) {
    return (await this.call("POST", `/conversations/${conversation}/read`, { message }, { retry: true })).unread;
  }

  /** Mark this message and those after it as unread. Returns the number of unread ones. */
  async markUnread(conversation, message) {
    const body = { message, unread: true };
    return (await this.call("POST", `/conversations/${conversation}/read`, body, { retry: true })).unread;
  }

  // Messages

  getMessage(message) {
    return this.call("GET", `/messages/${message}`);
  }

  /** Replace the text of the caller's own message. */
  edit(message, body) {
    return this.call("PATCH", `/messages/${message}`, { body });
  }

  /** Delete the text of the caller's own message. */
  delete(message) {
    return this.call("DELETE", `/messages/${message}`);
  }

  /** Add the caller's emoji to a message, or remove it. */
  react(message, emoji, isAdded = true) {
    return this.call(isAdded ? "PUT" : "DELETE", `/messages/${message}/reactions/${encodeURIComponent(emoji)}`);
  }

  /** Report a message to the administrators, who see it as it is now, and why. Doing it again changes nothing. */
  report(message, reason) {
    return this.call("POST", `/messages/${message}/report`, { reason }, { retry: true });
  }

  /** Yield the messages of a conversation, newest first, or from near the message `around`. */
  history(conversation, { around = null } = {}) {
    return pages(this, `/conversations/${conversation}/messages`, { around });
  }

  /** Yield the messages that contain the words, newest first. `filters`: {from, conversation, before}. */
  search(q, filters = {}) {
    return pages(this, "/search/messages", { q, ...filters });
  }

  /**
   * Write by an incoming hook: `address` is its `url`, and no token is needed. All attempts have the same `key`; with one that was
   * used before there is no second message. Returns MESSAGE.
   */
  writeByHook(address, text, { key = uniqueId() } = {}) {
    const path = `/in/${encodeURIComponent(address.split("/").pop())}`;
    return this.call("POST", path, { text }, { headers: { "Idempotency-Key": key }, retry: true });
  }

  // Files, which `upload` makes

  /** Resolves to a Response whose `body` is the bytes of a file that the caller may see. */
  file(id) {
    return download(this, `/files/${id}`);
  }

  /** The same of a picture's thumbnail, a WebP of at most 512 pixels. */
  thumbnail(id) {
    return download(this, `/files/${id}/thumbnail`);
  }

  /** An address of a file that needs no token for an hour: {url, expires_at}. */
  fileLink(id) {
    return this.call("GET", `/files/${id}/link`);
  }

  // Notifications

  /** Yield the caller's notifications, newest first. `filters`: {unread, type}. */
  notifications(filters = {}) {
    return pages(this, "/notifications", filters);
  }

  /** Mark these notifications as read, or all. Returns the number of unread ones. */
  async markNotificationsRead(ids = null) {
    const body = ids ? { ids } : { all: true };
    return (await this.call("POST", "/notifications/read", body, { retry: true })).unread;
  }
}

/** Yield the items of a list; each page is requested when it is needed. */
export async function* pages(bell, path, query = {}) {
  for (let page = null; ;) {
    const { items, next } = await bell.call("GET", path, null, { query: { ...query, page } });
    yield* items;
    if (next === null) return;
    page = next;
  }
}

/** Resolves to a Response, whose body is read as it arrives. */
export function download(bell, path) {
  return bell.call("GET", path, null, { decode: (answer) => answer, timeoutS: DOWNLOAD_TIMEOUT_S });
}

/** A user, an id or "ext:ID", as a part of a path or in a header. */
export const reference = (user) => encodeURIComponent(String(user)).replace(/^ext%3A/i, "ext:");
