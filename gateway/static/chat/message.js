/** One message of a conversation: its row in the list and its actions. */

import { avatar, h, iconButton, toastErrors } from "../shared/dom.js";
import { formatDateTime, formatDay, formatTime, nameOf, receiverOf } from "../shared/format.js";
import { load } from "../shared/load.js";
import { listed, t } from "../shared/words.js";
import { beginning, markupElements } from "./markup.js";

const EXCERPT_CHARACTERS = 120;
const MAX_REACTION_NAMES = 20;

/** Create the row of a message, after the changes of members and title before it. `shape` is described in messages.js. */
export function messageRow(store, thread, message, shape, changes = []) {
  const isOwn = message.sender === store.me.id;
  const sender = store.person(message.sender);
  const isStart = shape.includes("start");
  const priority = message.priority !== "normal" && message.priority;
  const classes = ["message", isOwn && "mine", isStart && "start", priority].filter(Boolean);
  const name = isOwn ? t("people.you") : nameOf(sender);
  const props = {
    "data-message": String(message.id),
    tabindex: "-1",
    "aria-label": t("message.label", { name, time: formatDateTime(message.created_at) }),
  };
  return h(
    `article.${classes.join(".")}`,
    props,
    shape.includes("new") && h("p.new-marker", {}, h("span", {}, t("message.new"))),
    shape.includes("day") && h("p.day", {}, h("span", {}, formatDay(message.created_at))),
    changes.map(changeLine),
    h(
      "div.line",
      {},
      !isOwn && (isStart ? avatar(nameOf(sender), sender.id) : h("span.avatar.none")),
      h(
        "div.bubble",
        { part: isOwn ? "own-bubble" : "bubble" },
        isStart && !isOwn && h("p.sender", { dir: "auto" }, nameOf(sender)),
        quote(store, thread, message),
        text(message),
        foot(store, thread, message, isOwn),
      ),
      !message.deleted_at && tools(store, message, isOwn),
    ),
    reactions(store, message),
  );
}

/** What a row shows besides its message, as a text: names as they are now, and the state of the message that it answers. */
export function surroundings(store, thread, { sender, reply_to, reactions }) {
  const original = reply_to ? thread.find(reply_to) : null;
  const users = Object.values(reactions ?? {}).flatMap((ids) => ids.slice(0, MAX_REACTION_NAMES));
  const names = [sender, ...(original ? [original.sender] : []), ...users].map((id) => nameOf(store.person(id)));
  return JSON.stringify([names, original?.edited_at, original?.deleted_at]);
}

function text(message) {
  if (message.deleted_at) return h("p.text.deleted", {}, t("message.deleted"));
  const label = t(message.priority === "urgent" ? "message.urgent" : "message.important");
  const priority = message.priority !== "normal" && h("p", {}, h("strong.priority", {}, label));
  return h("div.text", {}, priority, markupElements(message.body));
}

function foot(store, thread, message, isOwn) {
  const conversation = store.conversations.get(thread.conversation);
  const ticks = isOwn && !message.deleted_at && h("span.ticks", { "data-message": String(message.id) });
  if (ticks && conversation) drawTicks(ticks, store.readByAll(conversation) >= message.id);
  const { created_at: at } = message;
  const time = h("time", { datetime: at, title: formatDateTime(at) }, formatTime(at));
  const edited = message.edited_at && !message.deleted_at && [t("message.edited"), " · "];
  return h("p.foot", {}, edited, time, ticks);
}

/** Draw one tick for a message that is on the server, and two when all other members have read it. */
export function drawTicks(element, isRead) {
  const state = isRead ? "read" : "sent";
  if (element.dataset.state === state) return;
  element.dataset.state = state;
  const ticks = h("span", { "aria-hidden": "true" }, isRead ? "✓✓" : "✓");
  element.replaceChildren(ticks, h("span.hidden", {}, ` ${t(`message.${state}`)}`));
}

/** The beginning of the message that this one replies to. */
function quote(store, thread, message) {
  if (!message.reply_to || message.deleted_at) return null;
  const onclick = (event) => emit(event, "jump", message.reply_to);
  const props = { type: "button", dir: "auto", onclick, title: t("message.go-to-original") };
  return h("button.quote", props, quotedText(store, thread.find(message.reply_to)));
}

function quotedText(store, original) {
  if (!original) return t("message.original");
  const { body, deleted_at, sender } = original;
  const text = deleted_at ? t("message.original-deleted") : beginning(body, EXCERPT_CHARACTERS);
  return [h("strong", { dir: "auto" }, nameOf(store.person(sender))), " ", text];
}

function reactions(store, message) {
  const usersByEmoji = Object.entries(message.reactions ?? {}).sort(byEmoji); // also for those who saw them come
  if (!usersByEmoji.length || message.deleted_at) return null;
  const buttons = usersByEmoji.map(([emoji, users]) => reactionButton(store, message, emoji, users));
  return h("div.reactions", {}, buttons);
}

const byEmoji = ([one], [other]) => (one < other ? -1 : 1);

function reactionButton(store, message, emoji, users) {
  const isOwn = users.includes(store.me.id);
  const name = (id) => (id === store.me.id ? t("people.you") : nameOf(store.person(id)));
  const names = listed(users.slice(0, MAX_REACTION_NAMES).map(name));
  const props = {
    type: "button",
    onclick: () => toastErrors(() => react(store, message, emoji, !isOwn)),
    "aria-pressed": String(isOwn),
    title: names,
    "aria-label": t("message.reaction-by", { emoji, names }),
  };
  return h("button.reaction", props, `${emoji} ${users.length}`);
}

/** Add or remove the user's reaction. */
export function react(store, message, emoji, isAdded) {
  const path = `/messages/${message.id}/reactions/${encodeURIComponent(emoji)}`;
  return store.bell.call(isAdded ? "PUT" : "DELETE", path);
}

/** The buttons of a message. They are visible while the pointer or the focus is on it. */
function tools(store, message, isOwn) {
  const canDelete = isOwn || store.me.role === "admin";
  const { members = [], members_count } = store.conversations.get(message.conversation) ?? {};
  const isKnown = members.length > 2 && !members_count; // who has read it; nobody is told that of a large group
  /** Run a function of message-actions.js with the button that was pressed. */
  const run = (name) => ({ currentTarget }) =>
    toastErrors(async () => (await load("chat/message-actions.js"))[name](store, message, currentTarget));
  return h(
    "div.tools",
    { role: "group", "aria-label": t("message.actions") },
    iconButton("smile", t("message.react"), run("chooseReaction")),
    iconButton("reply", t("message.reply"), (event) => emit(event, "reply", message)),
    !isOwn && iconButton("unread", t("message.mark-unread"), (event) => emit(event, "mark-unread", message)),
    isOwn && isKnown && iconButton("eye", t("message.readers"), run("showReaders")),
    isOwn && iconButton("edit", t("message.edit"), (event) => emit(event, "edit", message)),
    store.me.role === "admin" && iconButton("help", whyNotText(store, message), () => askWhyNot(store, message)),
    canDelete && iconButton("delete", t("message.delete"), run("deleteMessage")),
  );
}

/** "Why did Ben not get this?", where there is one receiver. */
function whyNotText({ me, conversations }, { conversation, sender }) {
  const details = conversations.get(conversation);
  const receiver = details && receiverOf(details, me, sender);
  if (!receiver) return t("message.why-not-group");
  return receiver === me ? t("message.why-not-me") : t("message.why-not", { name: nameOf(receiver) });
}

function askWhyNot(store, message) {
  return toastErrors(async () => (await load("chat/people.js")).askWhyNot(store, message));
}

function emit(event, name, detail) {
  event.target.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));
}

/** Say what an event changed: "Ana added Ben", with the names that they have now. */
export function changeText({ users }, { type, data: { user, by, title } }) {
  if (type === "conversation.updated") return t("chat.change.renamed", { title });
  const isOther = by !== undefined && by.id !== user.id;
  const [name, actor] = [user, by].map((person) => nameOf(users.get(person?.id) ?? person));
  const values = { name, actor };
  const kinds = type === "member.joined" ? ["joined", "added"] : ["left", "removed"];
  return t(`chat.change.${kinds[Number(isOther)]}`, values);
}

export function changeLine({ at, text }) {
  return h("p.change", { dir: "auto", title: formatDateTime(at) }, text);
}

/** Create the row of a message in the outbox: "Sending…", or the error with buttons. */
export function unsentRow(store, message) {
  const failed = message.failed && [
    h("span.problem", {}, message.failed, " "),
    h("button.link", { type: "button", onclick: () => store.retry(message) }, t("error.try-again")),
    " ",
    h("button.link", { type: "button", onclick: () => store.discard(message) }, t("message.discard")),
  ];
  const status = h("p.foot", { role: failed ? "alert" : "presentation" }, failed || t("message.sending"));
  return h(
    `article.message.mine.start.echo${failed ? ".failed" : ""}`,
    { tabindex: "-1", "data-client": message.client_id },
    h("div.line", {}, h("div.bubble", {}, h("div.text", {}, markupElements(message.body)), status)),
  );
}
