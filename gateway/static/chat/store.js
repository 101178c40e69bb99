/**
 * The state of the page, kept up to date by events. A view listens to the part that it shows: "conversations",
 * "thread", "presence", "typing", "people", "message", "notification", "notifications", "me", "posts", "removed",
 * "begun", "unread", "reset", "change", "blocks". `detail` is the id of the conversation or user, or the event.
 *
 * A chat with a person that nobody has written in yet is no conversation on the server. Here its id is the person's,
 * negated, until its first message makes it one.
 *
 * An event may arrive twice, when tabs open and close. Every change here is made by id, so applying it again changes
 * nothing.
 */

import { BellwireError, uniqueId } from "../client.js";
import { errorText } from "../shared/dom.js";
import { partnerOf } from "../shared/format.js";
import { load } from "../shared/load.js";
import { messageDraft, outboxEntry, outboxMessages } from "../shared/storage.js";
import { t } from "../shared/words.js";
import { PATIENT, Thread } from "./thread.js";

const TYPING_MS = 6000; // clients repeat their typing event every 3 s
const RECOUNT_AFTER_MS = 300;
const REFRESH_AFTER_MS = 300; // many members may join at once
const PRESENCE_WITHIN_MS = 3000; // not everybody's page at one moment
const PRESENCE_LOOK_MS = 5000; // how often a hidden page looks whether it is seen again
const RELOAD_AFTER_MS = 1000; // a long history is imported in many parts
const REFRESH_LARGE_WITHIN_MS = 3000; // not everybody's page at one moment
const MAX_REFRESHES = 5; // of a conversation that changes while it is loaded
const MAX_IDS = 200; // of people in one call
const MAX_CACHED_THREADS = 5; // besides the open one

export class Store extends EventTarget {
  /** `signal` ends the session of the user: nothing is sent after it. */
  constructor(bell, signal) {
    super();
    this.bell = bell;
    this.signal = signal;
    this.me = null;
    this.conversations = new Map();
    this.users = new Map();
    this.online = new Map();
    this.typing = new Map(); // conversation -> Map(user -> timer)
    this.unreadNotifications = 0;
    this.unreadMessageNotifications = 0; // of them, those about messages: their chats have badges of their own
    this.changes = new Map(); // conversation -> number of events that changed it
    this.refreshTimers = new Map(); // conversation -> timer
    this.reloadTimers = new Map(); // the same
    this.threads = new Map(); // conversation -> Thread, the last used last
    this.marks = new Map(); // conversation -> the user's own read mark, until an event tells that it has arrived
    this.unsentMarks = new Map(); // of them, those that no call has brought to the server yet
    this.outbox = new Map(); // client_id -> unsent message, in the order of writing
    this.sending = new Set(); // conversations whose outbox is being sent
    this.loading = new Map(); // user -> the promise of the call that loads them
    this.unknown = new Set(); // users to be loaded
    this.blocked = new Set(); // ids of users
    this.unfolded = new Set(); // ids of messages of theirs that are shown nevertheless
    this.begun = new Map(); // id of a chat with a person -> id of the conversation that it has become
    const onOnline = () => {
      this.sendAll();
      this.#sendMarks();
      for (const thread of this.threads.values()) thread.open(); // again, if that failed
      this.#renewPresence();
      for (const user of this.users.values()) if (isUnknown(user)) this.#requestUser(user.id);
    };
    bell.addEventListener("online", onOnline, { signal });
  }

  emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  // Updates from the server

  /** Replace everything with a new state. */
  reset(state) {
    const begun = [...this.conversations.values()].filter(({ id }) => id < 0);
    this.conversations = new Map(state.conversations.map((conversation) => [conversation.id, conversation]));
    this.online = new Map(presenceOf(state));
    this.blocked = new Set(state.blocked);
    this.unreadNotifications = state.notifications_unread;
    this.unreadMessageNotifications = state.notifications_unread_messages ?? 0;
    this.marks = new Map(this.unsentMarks);
    this.me = this.putUser(state.me);
    for (const conversation of state.conversations) {
      this.#prepare(conversation);
      this.#keepReadMark(conversation);
    }
    for (const chat of begun) this.conversations.set(chat.id, chat);
    for (const thread of this.threads.values()) thread.restart();
    for (const conversation of state.conversations) this.#begin(conversation);
    if (!this.outbox.size) this.#restoreOutbox();
    for (const name of ["me", "conversations", "presence", "notifications", "reset"]) this.emit(name);
    this.sendAll();
    this.#sendMarks();
  }

  apply(event) {
    const [noun] = event.type.split(".");
    const { conversation } = event.data;
    if (conversation) this.changes.set(conversation, (this.changes.get(conversation) ?? 0) + 1);
    if (HANDLERS.has(event.type)) HANDLERS.get(event.type)(this, event.data);
    else if (noun === "post" || noun === "comment") this.emit("posts", event);
    if (CHANGES.has(event.type)) this.emit("change", event);
  }

  /** Remember a conversation's users, and the last message that its unread count includes. */
  #prepare(conversation) {
    conversation.lastCounted = conversation.last_message?.id ?? 0;
    for (const member of conversation.members) member.user = this.putUser(member.user);
  }

  /** Remember a user as they are now. There is one object for each, so a new name appears everywhere. */
  putUser(user) {
    const known = this.users.get(user.id);
    if (!known) this.users.set(user.id, user);
    return known ? Object.assign(known, user) : user;
  }

  /** Add or replace a conversation. What was written in it and not sent is sent now. */
  putConversation(conversation) {
    const isNew = !this.conversations.has(conversation.id);
    this.#prepare(conversation);
    this.#keepReadMark(conversation);
    this.conversations.set(conversation.id, conversation);
    for (const [user, online] of presenceOf(conversation)) this.online.set(user, online);
    if (isNew) for (const message of this.unsent(conversation.id)) this.retry(message);
    this.#begin(conversation);
    this.emit("presence");
    this.emit("conversations", conversation.id);
  }

  /** An answer may be older than the read mark that is on its way to the server. */
  #keepReadMark(conversation) {
    const isRead = this.marks.get(conversation.id) >= (conversation.last_message?.id ?? 0);
    if (isRead) setUnread(conversation, 0);
  }

  /**
   * Ask who is there: what changed while the connection was lost is not told again. Hidden pages wait until they are
   * looked at, and all some time, since those of a server that was restarted return together.
   */
  #renewPresence() {
    clearTimeout(this.presenceTimer);
    const delay = document.hidden ? PRESENCE_LOOK_MS : Math.random() * PRESENCE_WITHIN_MS;
    const run = () => (document.hidden ? this.#renewPresence() : this.#loadPresence());
    this.presenceTimer = setTimeout(() => this.signal.aborted || run(), delay);
  }

  async #loadPresence() {
    const before = new Map(this.online);
    const state = await this.bell.call("GET", "/state").catch(() => ({}));
    for (const [user, online] of presenceOf(state))
      if (this.online.get(user) === before.get(user)) this.online.set(user, online); // an event may have come meanwhile
    this.emit("presence");
  }

  /** Load a conversation, again if an event has changed it meanwhile: the answer may be older than that event. */
  async fetch(id) {
    try {
      for (let n = 0; n < MAX_REFRESHES; n++) {
        const changes = this.changes.get(id);
        const conversation = await this.bell.call("GET", `/conversations/${id}`, null, PATIENT);
        if (changes !== this.changes.get(id) && n < MAX_REFRESHES - 1) continue;
        this.putConversation(conversation);
        return;
      }
    } catch (error) {
      if (error.status === 404) this.removeConversation(id);
    }
  }

  /**
   * Load a conversation again soon, with its members, their number and their presence; a large one only if it was
   * opened here: others do that when they open it.
   */
  refresh(id) {
    const isLarge = Boolean(this.conversations.get(id)?.members_count);
    if (isLarge && !this.threads.has(id)) return;
    clearTimeout(this.refreshTimers.get(id));
    const run = () => this.conversations.has(id) && this.fetch(id);
    const delay = REFRESH_AFTER_MS + (isLarge ? Math.random() * REFRESH_LARGE_WITHIN_MS : 0);
    this.refreshTimers.set(id, setTimeout(run, delay));
  }

  /** Load a conversation and its messages again, when no more of them have been imported for a moment. */
  reload(id) {
    clearTimeout(this.reloadTimers.get(id));
    const run = () => {
      this.refresh(id);
      this.threads.get(id)?.restart();
    };
    this.reloadTimers.set(id, setTimeout(run, RELOAD_AFTER_MS));
  }

  removeConversation(id) {
    const removed = this.conversations.get(id);
    this.conversations.delete(id);
    this.threads.delete(id);
    if (removed) this.emit("removed", removed);
    this.emit("conversations", id);
  }

  // Chats with a person that are no conversations yet

  /** The chat with a person, if it is known. */
  chatWith(user) {
    const isWith = (conversation) => partnerOf(conversation, this.me)?.id === user;
    return [...this.conversations.values()].find(isWith);
  }

  /** Return the id of the chat with a user. Nothing is written to the server, or to them, before its first message. */
  withPerson(user) {
    const known = this.chatWith(user);
    if (known) return known.id;
    const members = [this.me, this.person(user)].map((member) => ({ user: member, role: "member", read: null }));
    const at = new Date().toISOString();
    const begun = { id: -user, kind: "direct", title: null, created_at: at, members, last_message: null, unread: 0 };
    this.conversations.set(-user, begun);
    return -user;
  }

  /** A chat with a person has become a conversation: what belongs to it gets the conversation's id. */
  #begin(conversation) {
    const before = -(partnerOf(conversation, this.me)?.id ?? 0);
    if (!before || !this.conversations.delete(before)) return;
    this.threads.delete(before);
    for (const message of this.unsent(before)) {
      message.conversation = conversation.id;
      outboxEntry(this.me.id, message.client_id).write(message);
    }
    const [from, to] = [before, conversation.id].map((id) => messageDraft(this.me.id, id));
    if (from.read()) to.write(from.read());
    from.remove();
    this.begun.set(before, conversation.id);
    if (!this.sending.has(before)) this.#sendFrom(conversation.id);
    this.emit("begun", { before, id: conversation.id });
  }

  /** Return USER, or a placeholder while the user is being loaded. */
  person(id) {
    const known = this.users.get(id);
    if (known) return known;
    const placeholder = { id, username: "", display_name: "" };
    this.users.set(id, placeholder);
    this.#requestUser(id);
    return placeholder;
  }

  #requestUser(id) {
    if (this.loading.has(id)) return;
    if (!this.unknown.size) this.loadingUnknown = Promise.resolve().then(() => this.#loadUnknown());
    this.unknown.add(id);
    this.loading.set(id, this.loadingUnknown);
  }

  /** Load the people of whom only the ids are known: those of a large group that is open by one call. */
  async #loadUnknown() {
    const ids = [...this.unknown];
    this.unknown.clear();
    const [found, others] = await this.#loadMembers(ids);
    const load = (id) =>
      this.bell.call("GET", `/users/${id}`, null, PATIENT).catch(({ status }) => {
        return status === 404 ? { id, display_name: t("people.former") } : null; // else it is repeated when online again
      });
    for (const user of [...found, ...(await Promise.all(others.map(load)))].filter(Boolean)) {
      this.putUser(user);
      this.emit("people", user.id);
    }
    this.emit("conversations");
    for (const id of ids) this.loading.delete(id);
  }

  /** Load those of some people who are members of the open conversation, if it is large. Return them, and the ids of the others. */
  async #loadMembers(ids) {
    const conversation = this.conversations.get([...this.threads.keys()].at(-1));
    if (ids.length < 2 || !conversation?.members_count) return [[], ids];
    const options = { ...PATIENT, query: { ids: ids.slice(0, MAX_IDS).join(), limit: MAX_IDS } };
    const path = `/conversations/${conversation.id}/members`;
    const { items } = await this.bell.call("GET", path, null, options).catch(() => ({ items: [] }));
    const found = new Map(items.map(({ user }) => [user.id, user]));
    return [[...found.values()], ids.filter((id) => !found.has(id))];
  }

  /** Return USER as soon as it is loaded, or the placeholder if it can't be. */
  async loadedPerson(id) {
    const user = this.person(id);
    await this.loading.get(id);
    return user;
  }

  // Derived values

  /** All conversations, newest activity first. A chat that has not begun is among them if something waits to be sent. */
  ordered() {
    const activity = (conversation) => conversation.last_message?.created_at ?? conversation.created_at;
    const compare = (a, b) => (activity(a) < activity(b) ? 1 : activity(a) > activity(b) ? -1 : b.id - a.id);
    const isListed = ({ id }) => id > 0 || this.unsent(id).length;
    return [...this.conversations.values()].filter(isListed).sort(compare);
  }

  /** The messages of a conversation that wait to be sent, in the order of writing. */
  unsent(conversation) {
    return [...this.outbox.values()].filter((message) => message.conversation === conversation);
  }

  /** The ids of conversations that the user is not in, and has unsent messages for. */
  get lost() {
    const ids = [...this.outbox.values()].map((message) => message.conversation);
    return [...new Set(ids)].filter((id) => !this.conversations.has(id));
  }

  /** The number of conversations with unread messages, without those that are muted. */
  get unread() {
    return [...this.conversations.values()].filter((one) => one.unread && this.levelOf(one) !== "none").length;
  }

  /** Of which messages the user is notified: "all", "mentions" or "none". */
  levelOf({ level, level_until, members_count }) {
    const isOver = level_until && Date.parse(level_until) <= Date.now();
    return (!isOver && level) || (members_count ? "mentions" : "all");
  }

  /** Whether a message of a group is folded, since the user has blocked its sender. */
  isFolded({ id, conversation, sender }) {
    const isGroup = this.conversations.get(conversation)?.kind === "group";
    return isGroup && this.blocked.has(sender) && !this.unfolded.has(id);
  }

  unfold({ id, conversation }) {
    this.unfolded.add(id);
    this.emit("thread", conversation);
  }

  setBlocked(user, isBlocked) {
    this.blocked[isBlocked ? "add" : "delete"](user);
    for (const name of ["blocks", "conversations"]) this.emit(name);
  }

  mentionsMe({ mentions, mentions_all, sender }) {
    return sender !== this.me.id && (mentions_all || mentions?.includes(this.me.id));
  }

  /** The number of unread notifications that have no badge elsewhere. */
  get unreadOthers() {
    return Math.max(0, this.unreadNotifications - this.unreadMessageNotifications);
  }

  /** The user's own read mark as the server says, or will say; 0 before the first. */
  readMark({ id, read }) {
    return Math.max(read ?? 0, this.marks.get(id) ?? 0);
  }

  /** The newest message that all other members have read, by id; 0 in a large group, whose read marks nobody is told. */
  readByAll(conversation) {
    if (conversation.members_count) return 0;
    const others = conversation.members.filter((member) => member.user.id !== this.me.id);
    return others.length ? Math.min(...others.map((member) => member.read ?? 0)) : 0;
  }

  /** The messages of a conversation: those that are loaded, or else around a message, or the newest. */
  thread(id, around) {
    if (!this.threads.has(id) && id > 0) queueMicrotask(() => this.refresh(id)); // names and members may have changed
    const thread = this.threads.get(id) ?? new Thread(this, id, around);
    this.threads.delete(id);
    this.threads.set(id, thread);
    for (const unused of [...this.threads.keys()].slice(0, -MAX_CACHED_THREADS - 1))
      this.threads.delete(unused);
    return thread;
  }

  // Actions of the user

  /** Move the user's read mark to a message that was seen. An event has the number of those that are still unread. */
  markRead(conversation, message) {
    this.marks.set(conversation.id, message);
    if (message >= (conversation.last_message?.id ?? 0)) setUnread(conversation, 0);
    this.emit("conversations", conversation.id);
    this.unsentMarks.set(conversation.id, message);
    this.#sendMark(conversation.id, message);
  }

  /** Send a read mark. Without a connection it waits for the next one. */
  async #sendMark(id, message) {
    const path = `/conversations/${id}/read`;
    try {
      await this.bell.call("POST", path, { message }, { ...PATIENT, retry: true, signal: this.signal });
    } catch (error) {
      if (!isRefusal(error)) return;
      if (this.marks.get(id) === message) this.marks.delete(id);
    }
    if (this.unsentMarks.get(id) === message) this.unsentMarks.delete(id);
  }

  #sendMarks() {
    for (const [id, message] of this.unsentMarks) this.#sendMark(id, message);
  }

  /** One's own mark goes back when messages are marked as unread, here or on another device. */
  setReadMark(conversation, message, unread = conversation.unread, mentions = conversation.mentions_unread) {
    const { id, read } = conversation;
    const isBack = message < (read ?? 0);
    for (const marks of [this.marks, this.unsentMarks])
      if (isBack || message >= marks.get(id)) marks.delete(id);
    conversation.read = message;
    setUnread(conversation, unread, mentions);
    if (isBack) this.emit("unread", { conversation: id, message });
  }

  /** Mark a message and those after it as unread. Only the user's own devices are told. */
  markUnread(conversation, message) {
    const path = `/conversations/${conversation.id}/read`;
    return this.bell.call("POST", path, { message, unread: true }, { retry: true });
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
    if (unsent?.conversation < 0) this.threads.get(unsent.conversation)?.add(message);
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
    if (message.files) this.#files().then((files) => files.remove(message.files), () => {});
    this.emit("thread", message.conversation);
    this.#sendFrom(message.conversation); // later messages may have waited for this one
  }

  /**
   * Send a conversation's messages one by one, so that they arrive in the order of writing. A failed message blocks the
   * later ones, unless the server refused it.
   */
  async #sendFrom(conversation) {
    if (this.sending.has(conversation) || this.signal.aborted) return;
    this.sending.add(conversation);
    const isNext = (message) => message.conversation === conversation && !message.refused;
    const next = () => [...this.outbox.values()].find(isNext);
    for (let message = next(); message && !message.failed && !this.signal.aborted; message = next()) {
      try {
        const { client_id, body, priority, reply_to } = message;
        const options = { ...(priority && { priority }), ...(reply_to && { reply_to }) };
        const receiver = conversation < 0 ? { to: -conversation } : { conversation };
        const send = (files) => this.bell.send({ ...receiver, client_id, body, ...options, ...(files && { files }) });
        this.arrived(await (message.files ? (await this.#files()).send(message.files, send) : send()));
      } catch (error) {
        message.failed = error.slug ? errorText(error) : t("message.no-connection");
        message.refused = isRefusal(error);
        this.emit("thread", conversation);
      }
    }
    this.sending.delete(conversation);
    if (this.begun.has(conversation)) this.#sendFrom(this.begun.get(conversation));
  }

  async #files() {
    return (await load("shared/attachments.js")).attachmentsOf(this);
  }

  #restoreOutbox() {
    for (const message of outboxMessages(this.me.id)) {
      this.outbox.set(message.client_id, { ...message, failed: null });
      if (message.conversation < 0) this.withPerson(-message.conversation);
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
      const options = { ...PATIENT, query: { limit: 1 } };
      const page = await this.bell.call("GET", "/notifications", null, options).catch(() => null);
      if (page) this.setUnreadNotifications(page.unread, page.unread_messages ?? 0);
    }, RECOUNT_AFTER_MS);
  }

  /** `ofMessages`: how many of the unread are about messages; they are counted again when it is not known. */
  setUnreadNotifications(unread, ofMessages) {
    this.unreadNotifications = unread;
    this.unreadMessageNotifications = Math.min(unread, ofMessages ?? this.unreadMessageNotifications);
    if (unread && ofMessages === undefined) this.recountNotifications();
    this.emit("notifications");
  }
}

/** Whether of a user only the id is known. */
const isUnknown = ({ username, display_name }) => !username && !display_name;

/** Whether the server refused a call: another attempt would end in the same way. */
function isRefusal(error) {
  return error instanceof BellwireError && error.status < 500;
}

/** Call `change(conversation)` if the conversation is known, and announce the change. */
function changeConversation(store, id, change) {
  const conversation = store.conversations.get(id);
  if (!conversation) return;
  change(conversation);
  store.emit("conversations", id);
}

/** Without unread messages, none of them mentions the user. */
function setUnread(conversation, unread, mentions = 0) {
  conversation.unread = Math.max(0, unread);
  conversation.mentions_unread = unread > 0 ? Math.max(0, mentions || 0) : 0;
}

function replaceMessage(store, message) {
  store.threads.get(message.conversation)?.replace(message);
  changeConversation(store, message.conversation, (conversation) => {
    if (conversation.last_message?.id === message.id) conversation.last_message = message;
  });
}

/** A name appears everywhere as it is now. */
function applyUser(store, user) {
  store.putUser(user);
  store.emit(user.id === store.me.id ? "me" : "people", user.id);
  store.emit("conversations");
}

/** Pairs of user id and whether they are online. */
function presenceOf({ presence }) {
  return Object.entries(presence ?? {}).map(([id, online]) => [Number(id), online]);
}

/** Types of events that a conversation shows among its messages. */
const CHANGES = new Set(["member.joined", "member.left", "conversation.updated"]);

/** The change of the store for each type of event. */
const HANDLERS = new Map(Object.entries({
  "message.created": (store, message) => {
    const conversation = store.conversations.get(message.conversation);
    store.stopTyping(message.conversation, message.sender);
    if (conversation && message.id > conversation.lastCounted) {
      conversation.lastCounted = message.id;
      const mentions = conversation.mentions_unread + Number(Boolean(store.mentionsMe(message)));
      if (message.sender !== store.me.id) setUnread(conversation, conversation.unread + 1, mentions);
    }
    store.arrived(message);
    store.emit("message", message);
  },
  "message.updated": (store, { mentions_added, mentions_all_added, ...message }) => {
    replaceMessage(store, message);
    if (mentions_added?.includes(store.me.id) || mentions_all_added) store.refresh(message.conversation);
  },
  "message.deleted": (store, message) => {
    replaceMessage(store, message);
    changeConversation(store, message.conversation, (conversation) => {
      const wasUnread = message.id > store.readMark(conversation) && message.sender !== store.me.id;
      if (wasUnread) setUnread(conversation, conversation.unread - 1, conversation.mentions_unread);
      if (conversation.mentions_unread) store.refresh(conversation.id); // it may have been one of them
    });
  },
  "message.reacted": (store, { message, conversation, user, emoji, added }) => {
    store.threads.get(conversation)?.change(message, (old) => {
      const users = Object.hasOwn(old.reactions, emoji) ? old.reactions[emoji] : [];
      const others = users.filter((id) => id !== user);
      const reactions = { ...old.reactions, [emoji]: added ? [...others, user] : others };
      if (!reactions[emoji].length) delete reactions[emoji];
      return { ...old, reactions };
    });
  },
  "conversation.created": (store, { id }) => store.fetch(id),
  "conversation.updated": (store, { id, title }) =>
    changeConversation(store, id, (conversation) => (conversation.title = title)),
  "member.joined": (store, { conversation: id, user }) => {
    const joined = store.putUser(user);
    changeConversation(store, id, ({ members, members_count }) => {
      const isMember = members.some((member) => member.user.id === user.id);
      if (!isMember && !members_count) members.push({ user: joined, role: "member", read: null });
    });
    store.refresh(id);
  },
  "member.left": (store, { conversation: id, user }) => {
    if (user.id === store.me.id) {
      store.removeConversation(id);
      return;
    }
    changeConversation(store, id, (conversation) => {
      conversation.members = conversation.members.filter((member) => member.user.id !== user.id);
    });
    store.refresh(id); // of a large one the number, and the member who is the fiftieth now
  },
  "read.updated": (store, { conversation: id, user, message, unread, mentions_unread }) =>
    changeConversation(store, id, (conversation) => {
      const reader = conversation.members.find((member) => member.user.id === user);
      const isOwn = user === store.me.id;
      if (reader) reader.read = isOwn ? message : Math.max(reader.read ?? 0, message);
      if (isOwn) store.setReadMark(conversation, message, unread, mentions_unread);
    }),
  "level.updated": (store, { conversation: id, level, until }) =>
    changeConversation(store, id, (conversation) => Object.assign(conversation, { level, level_until: until })),
  "block.added": (store, { user }) => store.setBlocked(user, true),
  "block.removed": (store, { user }) => store.setBlocked(user, false),
  "history.imported": (store, { conversation }) => store.reload(conversation),
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
  "account.updated": applyUser,
  "user.updated": (store, user) => store.users.has(user.id) && applyUser(store, user),
  typing: (store, { conversation, user, typing }) => {
    if (user === store.me.id) return;
    if (typing) store.startTyping(conversation, user);
    else store.stopTyping(conversation, user);
  },
  presence: (store, { user, online }) => {
    store.online.set(user, online);
    store.emit("presence", user);
  },
}));
