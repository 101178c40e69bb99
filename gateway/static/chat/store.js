/**
 * The state of the page, kept up to date by events. A view listens to the part that it shows: "conversations",
 * "thread", "presence", "typing", "people", "message", "notification", "notifications", "me", "posts". `detail` is the
 * id of the conversation or user, or the event.
 *
 * An event may arrive twice, when tabs open and close. Every change here is made by id, so applying it again changes
 * nothing.
 */

import { BellwireError, uniqueId } from "../client.js";
import { outboxEntry, outboxMessages } from "../shared/storage.js";
import { t } from "../shared/words.js";
import { Thread } from "./thread.js";

const TYPING_MS = 6000; // clients repeat their typing event every 3 s
const RECOUNT_AFTER_MS = 300;
const MAX_CACHED_THREADS = 5; // besides the open one

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
    this.threads = new Map(); // conversation -> Thread, the last used last
    this.outbox = new Map(); // client_id -> unsent message, in the order of writing
    this.sending = new Set(); // conversations whose outbox is being sent
    bell.addEventListener("online", () => this.sendAll());
  }

  emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  // Updates from the server

  /** Replace everything with a new state. */
  reset(state) {
    this.me = state.me;
    this.conversations = new Map(state.conversations.map((conversation) => [conversation.id, conversation]));
    this.online = new Map(Object.entries(state.presence).map(([id, online]) => [Number(id), online]));
    this.unreadNotifications = state.notifications_unread;
    this.users.set(state.me.id, state.me);
    for (const conversation of state.conversations) this.#prepare(conversation);
    for (const thread of this.threads.values()) thread.restart();
    if (!this.outbox.size) this.#restoreOutbox();
    for (const name of ["me", "conversations", "presence", "notifications"]) this.emit(name);
    this.sendAll();
  }

  apply(event) {
    const [noun] = event.type.split(".");
    const handle = HANDLERS[event.type];
    if (handle) handle(this, event.data);
    else if (noun === "post" || noun === "comment") this.emit("posts", event);
  }

  /** Remember a conversation's users, and the last message that its unread count includes. */
  #prepare(conversation) {
    conversation.lastCounted = conversation.last_message?.id ?? 0;
    for (const { user } of conversation.members) this.users.set(user.id, user);
  }

  /** Add or replace a conversation. */
  putConversation(conversation) {
    this.#prepare(conversation);
    this.conversations.set(conversation.id, conversation);
    this.emit("conversations", conversation.id);
  }

  /** Load a conversation that is unknown or incomplete. */
  async fetch(id) {
    try {
      this.putConversation(await this.bell.call("GET", `/conversations/${id}`));
    } catch (error) {
      if (error.status === 404) this.removeConversation(id);
    }
  }

  removeConversation(id) {
    this.conversations.delete(id);
    this.threads.delete(id);
    this.emit("conversations", id);
  }

  /** Return USER, or a placeholder while the user is being loaded. */
  person(id) {
    const known = this.users.get(id);
    if (known) return known;
    const placeholder = { id, username: "", display_name: t("people.former") };
    this.users.set(id, placeholder);
    const loaded = (user) => {
      this.users.set(id, user);
      this.emit("conversations");
      this.emit("people", id);
    };
    this.bell.call("GET", `/users/${id}`).then(loaded, () => {});
    return placeholder;
  }

  // Derived values

  /** All conversations, newest activity first. */
  ordered() {
    const activity = (conversation) => conversation.last_message?.created_at ?? conversation.created_at;
    const compare = (a, b) => (activity(a) < activity(b) ? 1 : activity(a) > activity(b) ? -1 : b.id - a.id);
    return [...this.conversations.values()].sort(compare);
  }

  /** The number of conversations with unread messages. */
  get unread() {
    return [...this.conversations.values()].filter((conversation) => conversation.unread).length;
  }

  /** The newest message that all other members have read, by id. */
  readByAll(conversation) {
    const others = conversation.members.filter((member) => member.user.id !== this.me.id);
    return others.length ? Math.min(...others.map((member) => member.read ?? 0)) : 0;
  }

  thread(id) {
    const thread = this.threads.get(id) ?? new Thread(this, id);
    this.threads.delete(id);
    this.threads.set(id, thread);
    for (const unused of [...this.threads.keys()].slice(0, -MAX_CACHED_THREADS - 1))
      this.threads.delete(unused);
    return thread;
  }

  // Actions of the user

  async markRead(conversation, message) {
    const own = conversation.members.find((member) => member.user.id === this.me.id);
    if (own && (own.read ?? 0) >= message && !conversation.unread) return;
    if (own) own.read = Math.max(own.read ?? 0, message);
    conversation.unread = 0;
    this.emit("conversations", conversation.id);
    const path = `/conversations/${conversation.id}/read`;
    await this.bell.call("POST", path, { message }, { retry: true }).catch(() => {});
  }

  /** Put a message into the outbox, which survives a reload, and start sending it. */
  post(conversation, body, options = {}) {
    const message = { client_id: uniqueId(), conversation, body, ...options, at: new Date().toISOString() };
    this.outbox.set(message.client_id, message);
    outboxEntry(this.me.id, message.client_id).write(message);
    this.emit("thread", conversation);
    this.#sendFrom(conversation);
  }

  /** A message is on the server: either its send was answered, or its event arrived. */
  arrived(message) {
    const unsent = message.sender === this.me.id && this.outbox.get(message.client_id);
    this.threads.get(message.conversation)?.add(message);
    if (unsent) this.discard(unsent);
    const conversation = this.conversations.get(message.conversation);
    if (!conversation) this.fetch(message.conversation);
    else if (message.id > (conversation.last_message?.id ?? 0)) conversation.last_message = message;
    this.emit("conversations", message.conversation);
  }

  sendAll() {
    for (const message of this.outbox.values()) {
      if (!message.refused) message.failed = null;
      this.#sendFrom(message.conversation);
    }
  }

  retry(message) {
    message.failed = message.refused = null;
    this.emit("thread", message.conversation);
    this.#sendFrom(message.conversation);
  }

  discard(message) {
    this.outbox.delete(message.client_id);
    outboxEntry(this.me.id, message.client_id).remove();
    this.emit("thread", message.conversation);
    this.#sendFrom(message.conversation); // later messages may have waited for this one
  }

  /**
   * Send a conversation's messages one by one, so that they arrive in the order of writing. A failed message blocks the
   * later ones, unless the server refused it.
   */
  async #sendFrom(conversation) {
    if (this.sending.has(conversation)) return;
    this.sending.add(conversation);
    const isNext = (message) => message.conversation === conversation && !message.refused;
    const next = () => [...this.outbox.values()].find(isNext);
    for (let message = next(); message && !message.failed; message = next()) {
      try {
        const { client_id, body, priority, reply_to } = message;
        const options = { ...(priority && { priority }), ...(reply_to && { reply_to }) };
        this.arrived(await this.bell.send({ conversation, client_id, body, ...options }));
      } catch (error) {
        message.failed = error instanceof BellwireError ? error.message : t("message.no-connection");
        message.refused = error instanceof BellwireError && error.status < 500;
        this.emit("thread", conversation);
      }
    }
    this.sending.delete(conversation);
  }

  #restoreOutbox() {
    for (const message of outboxMessages(this.me.id)) {
      this.outbox.set(message.client_id, { ...message, failed: null });
    }
  }

  startTyping(conversation, user) {
    const timers = this.typing.get(conversation) ?? new Map();
    clearTimeout(timers.get(user));
    timers.set(
      user,
      setTimeout(() => this.stopTyping(conversation, user), TYPING_MS),
    );
    this.typing.set(conversation, timers);
    this.emit("typing", conversation);
  }

  stopTyping(conversation, user) {
    const timers = this.typing.get(conversation);
    if (!timers?.has(user)) return;
    clearTimeout(timers.get(user));
    timers.delete(user);
    this.emit("typing", conversation);
  }

  /** Load the number of unread notifications. Counting events would count a repeated event twice. */
  recountNotifications() {
    clearTimeout(this.recountTimer);
    this.recountTimer = setTimeout(async () => {
      const page = await this.bell
        .call("GET", "/notifications", null, { query: { limit: 1 } })
        .catch(() => null);
      if (page) this.setUnreadNotifications(page.unread);
    }, RECOUNT_AFTER_MS);
  }

  setUnreadNotifications(unread) {
    this.unreadNotifications = unread;
    this.emit("notifications");
  }
}

/** Call `change(conversation)` if the conversation is known, and announce the change. */
function changeConversation(store, id, change) {
  const conversation = store.conversations.get(id);
  if (!conversation) return;
  change(conversation);
  store.emit("conversations", id);
}

function replaceMessage(store, message) {
  store.threads.get(message.conversation)?.replace(message);
  changeConversation(store, message.conversation, (conversation) => {
    if (conversation.last_message?.id === message.id) conversation.last_message = message;
  });
}

/** The change of the store for each type of event. */
const HANDLERS = {
  "message.created": (store, message) => {
    const conversation = store.conversations.get(message.conversation);
    store.stopTyping(message.conversation, message.sender);
    if (conversation && message.id > conversation.lastCounted) {
      conversation.lastCounted = message.id;
      if (message.sender !== store.me.id) conversation.unread += 1;
    }
    store.arrived(message);
    store.emit("message", message);
  },
  "message.updated": replaceMessage,
  "message.deleted": (store, message) => {
    replaceMessage(store, message);
    changeConversation(store, message.conversation, (conversation) => {
      const read = conversation.members.find((member) => member.user.id === store.me.id)?.read ?? 0;
      const wasUnread = message.id > read && message.sender !== store.me.id;
      if (wasUnread) conversation.unread = Math.max(0, conversation.unread - 1);
    });
  },
  "message.reacted": (store, { message, conversation, user, emoji, added }) => {
    store.threads.get(conversation)?.change(message, (old) => {
      const others = (old.reactions[emoji] ?? []).filter((id) => id !== user);
      const reactions = { ...old.reactions, [emoji]: added ? [...others, user] : others };
      if (!reactions[emoji].length) delete reactions[emoji];
      return { ...old, reactions };
    });
  },
  "conversation.created": (store, { id }) => store.fetch(id),
  "conversation.updated": (store, { id, title }) =>
    changeConversation(store, id, (conversation) => (conversation.title = title)),
  "member.joined": (store, { conversation: id, user }) => {
    store.users.set(user.id, user);
    changeConversation(store, id, ({ members }) => {
      const isMember = members.some((member) => member.user.id === user.id);
      if (!isMember) members.push({ user, role: "member", read: null });
    });
  },
  "member.left": (store, { conversation: id, user }) => {
    if (user.id === store.me.id) {
      store.removeConversation(id);
      return;
    }
    changeConversation(store, id, (conversation) => {
      conversation.members = conversation.members.filter((member) => member.user.id !== user.id);
    });
  },
  "read.updated": (store, { conversation: id, user, message, unread }) =>
    changeConversation(store, id, (conversation) => {
      const reader = conversation.members.find((member) => member.user.id === user);
      if (reader) reader.read = Math.max(reader.read ?? 0, message);
      if (user === store.me.id && unread !== undefined) conversation.unread = unread;
    }),
  "notification.created": (store, data) => {
    store.recountNotifications();
    store.emit("notification", data);
  },
  "notification.updated": (store, data) => {
    store.recountNotifications();
    store.emit("notification", data);
  },
  "notification.read": (store, data) => {
    store.setUnreadNotifications(data.unread);
    store.emit("notification", data);
  },
  "account.updated": (store, user) => {
    if (user.id === store.me.id) Object.assign(store.me, user);
    store.users.set(user.id, user);
    store.emit("me");
  },
  typing: (store, { conversation, user, typing }) => {
    if (user === store.me.id) return;
    if (typing) store.startTyping(conversation, user);
    else store.stopTyping(conversation, user);
  },
  presence: (store, { user, online }) => {
    store.online.set(user, online);
    store.emit("presence", user);
  },
};
