/** One message of a conversation: its row in the list and its actions. */

import { avatar, h, iconButton, toastErrors } from "../shared/dom.js";
import { formatDateTime, formatDay, formatTime, nameOf } from "../shared/format.js";
import { load, loaded } from "../shared/load.js";
import { listed, t } from "../shared/words.js";
import { markupElements, summary } from "./markup.js";

const FILES = "shared/files.js";
const EXCERPT_CHARACTERS = 120;
const MAX_REACTION_NAMES = 20;

/**
 * Create the row of a message, after the changes of members and title before it. `shape` is described in messages.js, and
 * `before` is the row that showed it until now.
 */
export function messageRow(store, thread, message, shape, changes = [], before = null) {
  const isOwn = message.sender === store.me.id;
  const sender = store.person(message.sender);
  const isStart = shape.includes("start");
  const priority = message.priority !== "normal" && message.priority;
  const classes = ["message", isOwn && "mine", isStart && "start", priority].filter(Boolean);
  const isFolded = store.isFolded(message);
  const name = isOwn ? t("people.you") : isFolded ? t("message.blocked") : nameOf(sender);
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
      !isOwn && (isStart && !isFolded ? avatar(nameOf(sender), sender.id) : h("span.avatar.none")),
      h(
        "div.bubble",
        { part: isOwn ? "own-bubble" : "bubble" },
        isFolded
          ? fold(store, message)
          : [
              isStart && !isOwn && h("p.sender", { dir: "auto" }, nameOf(sender)),
              quote(store, thread, message),
              text(store, message),
              filesOf(store, thread, message, before),
            ],
        foot(store, thread, message, isOwn),
      ),
      !message.deleted_at && !isFolded && tools(store, message, isOwn),
    ),
    !isFolded && reactions(store, message),
  );
}

/** What stands in the place of a message of somebody whom the user has blocked. */
function fold(store, message) {
  const onclick = () => store.unfold(message);
  return h("p.text.deleted", {}, t("message.blocked"), " ", h("button.link", { type: "button", onclick }, t("message.show")));
}

/** What a row shows besides its message, as a text: names as they are now, and the state of the message that it answers. */
export function surroundings(store, thread, message) {
  const { sender, reply_to, reactions, mentions = [] } = message;
  const original = reply_to ? thread.find(reply_to) : null;
  const users = Object.values(reactions ?? {}).flatMap((ids) => ids.slice(0, MAX_REACTION_NAMES));
  const names = [sender, ...(original ? [original.sender] : []), ...users].map((id) => nameOf(store.person(id)));
  const handles = mentions.map((id) => store.person(id).username);
  const folded = [message, original].map((one) => one && store.isFolded(one));
  return JSON.stringify([names, handles, folded, original?.edited_at, original?.deleted_at, hasFiles(message) && !loaded(FILES)]);
}

const hasFiles = ({ files }) => files?.length > 0;

/** The files of a message. What shows them is loaded for the first message that has some. */
function filesOf(store, thread, message, before) {
  if (!hasFiles(message)) return null;
  const module = loaded(FILES);
  if (module) return module.messageFiles(store, thread, message, before);
  load(FILES).then(() => store.emit("thread", thread.conversation), () => {});
  return h("p", {}, summary({ ...message, body: "" }));
}

function text(store, message) {
  if (message.deleted_at) return h("p.text.deleted", {}, t("message.deleted"));
  const label = t(message.priority === "urgent" ? "message.urgent" : "message.important");
  const priority = message.priority !== "normal" && h("p", {}, h("strong.priority", {}, label));
  if (!message.body && !priority) return null;
  return h("div.text", {}, priority, message.body && markupElements(message.body, mentionsOf(store, message)));
}

/** The names that a message mentions, with their classes. */
function mentionsOf(store, { mentions = [], mentions_all, sender }) {
  const classOf = (isMine) => (isMine ? "mention.me" : "mention");
  const names = mentions.map((id) => [store.person(id).username.toLowerCase(), classOf(id === store.me.id)]);
  if (mentions_all) names.push(["all", classOf(sender !== store.me.id)]);
  return Object.fromEntries(names);
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
  if (store.isFolded(original)) return t("message.blocked");
  const { deleted_at, sender } = original;
  const text = deleted_at ? t("message.original-deleted") : summary(original, EXCERPT_CHARACTERS);
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
  const isAdmin = store.me.role === "admin";
  const [canDelete, canMore] = [isOwn || isAdmin, !isOwn || isAdmin];
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
    canMore && iconButton("more", t("message.more"), run("openMore"), { "aria-haspopup": "menu" }),
    canDelete && iconButton("delete", t("message.delete"), run("deleteMessage")),
  );
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
  const { failed, files } = message;
  const discard = h("button.link", { type: "button", onclick: () => store.discard(message) }, t("message.discard"));
  const retry = () => h("button.link", { type: "button", onclick: () => store.retry(message) }, t("error.try-again"));
  const parts = failed ? [h("span.problem", {}, failed, " "), retry(), " ", discard] : [t("message.sending"), files && [" ", discard]];
  const status = h("p.foot", { role: failed ? "alert" : "presentation" }, parts);
  const text = h("div.text", {}, markupElements(message.body));
  return h(
    `article.message.mine.start.echo${failed ? ".failed" : ""}`,
    { tabindex: "-1", "data-client": message.client_id },
    h("div.line", {}, h("div.bubble", {}, files && unsentFiles(store, files), text, status)),
  );
}

function unsentFiles(store, files) {
  const place = h("div.unsent-files");
  load("shared/tray.js").then(({ showUnsent }) => showUnsent(place, store, files)).catch(() => {});
  return place;
}
