/**
 * What the page knows, kept true by the events. Whoever shows a part of it listens for the part's name: "conversations", "thread",
 * "presence", "typing", "notifications", "me", "posts"; `detail` is the conversation's id, or the event.
 *
 * Events may come twice (tabs that come and go): all that is done here is by id, and doing it again changes nothing.
 */

import { BellwireError, uniqueId } from "../client.js";
import { Thread } from "./thread.js";

const TYPING_MS = 6000; // those who type say so every 3 s
const KEPT = 5; // threads in memory besides the open one

export class Store extends EventTarget {
  constructor(bell) {
    super();
    this.bell = bell;
    this.me = null;
    this.conversations = new Map();
    this.users = new Map();
    this.online = new Map();
    this.typing = new Map(); // conversation -> Map(user -> timer)
    this.unreadNotifications = 0;
    this.threads = new Map();
    this.outbox = new Map(); // client_id -> what is being sent, in order
    this.busy = new Set(); // conversations whose outbox is on its way
    bell.addEventListener("online", () => this.sendAll());
  }

  emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  // From the server

  /** The whole state: what was known before is dropped. */
  begin(state) {
    this.me = state.me;
    this.conversations = new Map(state.conversations.map((one) => [one.id, one]));
    this.online = new Map(Object.entries(state.presence).map(([id, is]) => [Number(id), is]));
    this.unreadNotifications = state.notifications_unread;
    this.users.set(state.me.id, state.me);
    for (const conversation of state.conversations) this.#meet(conversation);
    for (const thread of this.threads.values()) thread.restart();
    if (!this.outbox.size) this.#restore();
    for (const name of ["me", "conversations", "presence", "notifications"]) this.emit(name);
    this.sendAll();
  }

  apply(event) {
    const [noun] = event.type.split(".");
    const handle = HANDLERS[event.type];
    if (handle) handle(this, event.data);
    else if (noun === "post" || noun === "comment") this.emit("posts", event);
  }

  /** Its people, and how far its messages are counted as unread. */
  #meet(conversation) {
    conversation.heard = conversation.last_message?.id ?? 0;
    for (const { user } of conversation.members) this.users.set(user.id, user);
  }

  /** Keeps a conversation that was answered or announced. */
  keep(conversation) {
    this.#meet(conversation);
    this.conversations.set(conversation.id, conversation);
    this.emit("conversations", conversation.id);
  }

  /** Loads a conversation that is not known, or not whole. */
  async fetch(id) {
    try {
      this.keep(await this.bell.call("GET", `/conversations/${id}`));
    } catch (error) {
      if (error.status === 404) this.lose(id);
    }
  }

  lose(id) {
    this.conversations.delete(id);
    this.threads.delete(id);
    this.emit("conversations", id);
  }

  /** USER, or what stands for one until it is known. */
  person(id) {
    const known = this.users.get(id);
    if (known) return known;
    const unknown = { id, username: "", display_name: "Former member" };
    this.users.set(id, unknown);
    const found = (user) => (this.users.set(id, user), this.emit("conversations"), this.emit("people", id));
    this.bell.call("GET", `/users/${id}`).then(found, () => {});
    return unknown;
  }

  // What is derived

  /** Newest activity first. */
  ordered() {
    const at = (one) => one.last_message?.created_at ?? one.created_at;
    return [...this.conversations.values()].sort((a, b) => (at(a) < at(b) ? 1 : at(a) > at(b) ? -1 : b.id - a.id));
  }

  get unread() {
    return [...this.conversations.values()].filter((one) => one.unread).length;
  }

  /** How far everybody else has read. */
  readByAll(conversation) {
    const others = conversation.members.filter((member) => member.user.id !== this.me.id);
    return others.length ? Math.min(...others.map((member) => member.read ?? 0)) : 0;
  }

  thread(id) {
    let thread = this.threads.get(id);
    if (!thread) thread = new Thread(this, id);
    this.threads.delete(id);
    this.threads.set(id, thread); // the last one is the one that was used last
    for (const old of [...this.threads.keys()].slice(0, -KEPT - 1)) this.threads.delete(old);
    return thread;
  }

  // What I do

  async read(conversation, message) {
    const mine = conversation.members.find((member) => member.user.id === this.me.id);
    if (mine && (mine.read ?? 0) >= message && !conversation.unread) return;
    if (mine) mine.read = Math.max(mine.read ?? 0, message);
    conversation.unread = 0;
    this.emit("conversations", conversation.id);
    await this.bell.call("POST", `/conversations/${conversation.id}/read`, { message }, { again: true }).catch(() => {});
  }

  /** Puts a message into the outbox, which outlives the page, and returns its echo. */
  post(conversation, body, more = {}) {
    const out = { client_id: uniqueId(), conversation, body, ...more, at: new Date().toISOString() };
    this.#put(out);
    this.#sendFrom(conversation);
    return out;
  }

  /** A message is on the server: said by the answer to whoever sent it, or by its event. */
  arrived(message) {
    const echo = message.sender === this.me.id && this.outbox.get(message.client_id);
    this.threads.get(message.conversation)?.add(message);
    if (echo) this.discard(echo);
    const conversation = this.conversations.get(message.conversation);
    if (!conversation) this.fetch(message.conversation);
    else if (message.id > (conversation.last_message?.id ?? 0)) conversation.last_message = message;
    this.emit("conversations", message.conversation);
  }

  sendAll() {
    for (const out of this.outbox.values()) {
      if (!out.refused) out.failed = null;
      this.#sendFrom(out.conversation);
    }
  }

  again(out) {
    out.failed = out.refused = null;
    this.emit("thread", out.conversation);
    this.#sendFrom(out.conversation);
  }

  discard(out) {
    this.outbox.delete(out.client_id);
    localStorage.removeItem(this.#key(out));
    this.emit("thread", out.conversation);
    this.#sendFrom(out.conversation); // what it held up
  }

  /** One after the other, so that they arrive in the order they were written in. What failed holds up what is behind it, unless it was
   *  refused. */
  async #sendFrom(conversation) {
    if (this.busy.has(conversation)) return;
    this.busy.add(conversation);
    const next = () => [...this.outbox.values()].find((out) => out.conversation === conversation && !out.refused);
    for (let out = next(); out && !out.failed; out = next()) {
      try {
        const { client_id, body, priority, reply_to } = out;
        const message = { conversation, client_id, body, ...(priority && { priority }), ...(reply_to && { reply_to }) };
        this.arrived(await this.bell.send(message));
      } catch (error) {
        out.failed = error instanceof BellwireError ? error.message : "Not sent: there is no connection";
        out.refused = error instanceof BellwireError && error.status < 500;
        this.emit("thread", conversation);
      }
    }
    this.busy.delete(conversation);
  }

  #key(out) {
    return `bellwire:out:${this.me.id}:${out.client_id}`;
  }

  #put(out) {
    this.outbox.set(out.client_id, out);
    localStorage.setItem(this.#key(out), JSON.stringify(out));
    this.emit("thread", out.conversation);
  }

  #restore() {
    const mine = Object.keys(localStorage).filter((key) => key.startsWith(`bellwire:out:${this.me.id}:`));
    const found = mine.map((key) => JSON.parse(localStorage.getItem(key))).sort((a, b) => (a.at < b.at ? -1 : 1));
    for (const out of found) this.outbox.set(out.client_id, { ...out, failed: null });
  }

  startTyping(conversation, user) {
    const those = this.typing.get(conversation) ?? new Map();
    clearTimeout(those.get(user));
    those.set(user, setTimeout(() => this.stopTyping(conversation, user), TYPING_MS));
    this.typing.set(conversation, those);
    this.emit("typing", conversation);
  }

  stopTyping(conversation, user) {
    const those = this.typing.get(conversation);
    if (!those?.has(user)) return;
    clearTimeout(those.get(user));
    those.delete(user);
    this.emit("typing", conversation);
  }

  /** How many notifications are unread is asked of the server: what grows is not counted twice so. */
  recount() {
    clearTimeout(this.recounting);
    this.recounting = setTimeout(async () => {
      const found = await this.bell.call("GET", "/notifications", null, { query: { limit: 1 } }).catch(() => null);
      if (found) this.countNotifications(found.unread);
    }, 300);
  }

  countNotifications(unread) {
    this.unreadNotifications = unread;
    this.emit("notifications");
  }
}

function member(store, id, change) {
  const conversation = store.conversations.get(id);
  if (!conversation) return;
  change(conversation);
  store.emit("conversations", id);
}

function changed(store, message) {
  store.threads.get(message.conversation)?.replace(message);
  member(store, message.conversation, (one) => {
    if (one.last_message?.id === message.id) one.last_message = message;
  });
}

/** What each type of event does to the store. */
const HANDLERS = {
  "message.created": (store, message) => {
    const conversation = store.conversations.get(message.conversation);
    store.stopTyping(message.conversation, message.sender);
    if (conversation && message.id > conversation.heard) {
      conversation.heard = message.id;
      if (message.sender !== store.me.id) conversation.unread += 1;
    }
    store.arrived(message);
    store.emit("heard", message);
  },
  "message.updated": changed,
  "message.deleted": (store, message) => {
    changed(store, message);
    member(store, message.conversation, (one) => {
      const read = one.members.find((each) => each.user.id === store.me.id)?.read ?? 0;
      if (message.id > read && message.sender !== store.me.id) one.unread = Math.max(0, one.unread - 1);
    });
  },
  "message.reacted": (store, { message, conversation, user, emoji, added }) => {
    store.threads.get(conversation)?.change(message, (old) => {
      const those = (old.reactions[emoji] ?? []).filter((id) => id !== user);
      const reactions = { ...old.reactions, [emoji]: added ? [...those, user] : those };
      if (!reactions[emoji].length) delete reactions[emoji];
      return { ...old, reactions };
    });
  },
  "conversation.created": (store, { id }) => store.fetch(id),
  "conversation.updated": (store, { id, title }) => member(store, id, (one) => (one.title = title)),
  "member.joined": (store, { conversation, user }) => {
    store.users.set(user.id, user);
    member(store, conversation, (one) => {
      if (!one.members.some((each) => each.user.id === user.id)) one.members.push({ user, role: "member", read: null });
    });
  },
  "member.left": (store, { conversation, user }) => {
    if (user.id === store.me.id) store.lose(conversation);
    else member(store, conversation, (one) => (one.members = one.members.filter((each) => each.user.id !== user.id)));
  },
  "read.updated": (store, { conversation, user, message, unread }) =>
    member(store, conversation, (one) => {
      const reader = one.members.find((each) => each.user.id === user);
      if (reader) reader.read = Math.max(reader.read ?? 0, message);
      if (user === store.me.id && unread !== undefined) one.unread = unread;
    }),
  "notification.created": (store, data) => (store.recount(), store.emit("notification", data)),
  "notification.updated": (store, data) => (store.recount(), store.emit("notification", data)),
  "notification.read": (store, data) => (store.countNotifications(data.unread), store.emit("notification", data)),
  "account.updated": (store, user) => {
    if (user.id === store.me.id) Object.assign(store.me, user);
    store.users.set(user.id, user);
    store.emit("me");
  },
  typing: (store, { conversation, user, typing }) => {
    if (user !== store.me.id) (typing ? store.startTyping : store.stopTyping).call(store, conversation, user);
  },
  presence: (store, { user, online }) => {
    store.online.set(user, online);
    store.emit("presence", user);
  },
};
