/** One message, as it is shown, and what one can do with it. */

import { ask, avatar, h, iconButton, linked, trying } from "../shared/dom.js";
import { dayOf, exactly, nameOf, timeOf } from "../shared/format.js";

const EMOJI = ["👍", "❤️", "😂", "🎉", "😮", "😢"];

/** `shape`: see Messages. */
export function row(store, thread, message, shape) {
  const mine = message.sender === store.me.id;
  const sender = store.person(message.sender);
  const start = shape.includes("start");
  const classes = ["message", mine && "mine", start && "start", message.priority !== "normal" && message.priority].filter(Boolean);
  return h(
    `article.${classes.join(".")}`,
    { "data-message": String(message.id), tabindex: "-1", "aria-label": `${mine ? "You" : nameOf(sender)}, ${exactly(message.created_at)}`, "data-unknown": !sender.username && !mine },
    shape.includes("new") && h("p.new-marker", {}, h("span", {}, "New messages")),
    shape.includes("day") && h("p.day", {}, h("span", {}, dayOf(message.created_at))),
    h(
      "div.line",
      {},
      !mine && (start ? avatar(nameOf(sender), sender.id) : h("span.avatar.none")),
      h("div.bubble", {}, start && !mine && h("p.sender", {}, nameOf(sender)), quote(store, thread, message), text(message), foot(store, thread, message, mine)),
      !message.deleted_at && tools(store, message, mine),
    ),
    reactions(store, message),
  );
}

function text(message) {
  if (message.deleted_at) return h("p.text.deleted", {}, "This message was deleted");
  const urgent = message.priority !== "normal" && h("strong.priority", {}, message.priority === "urgent" ? "Urgent" : "Important");
  return h("p.text", {}, urgent, urgent && " ", linked(message.body));
}

function foot(store, thread, message, mine) {
  const conversation = store.conversations.get(thread.conversation);
  const mark = mine && !message.deleted_at && h("span.ticks", { "data-of": String(message.id) });
  if (mark && conversation) ticks(mark, store.readByAll(conversation) >= message.id);
  return h("p.foot", {}, message.edited_at && !message.deleted_at && "edited · ", h("time", { datetime: message.created_at, title: exactly(message.created_at) }, timeOf(message.created_at)), mark);
}

/** One: it is on the server. Two: everybody has read it. */
export function ticks(element, read) {
  const word = read ? "read" : "sent";
  if (element.dataset.word === word) return;
  element.dataset.word = word;
  element.replaceChildren(h("span", { "aria-hidden": "true" }, read ? "✓✓" : "✓"), h("span.hidden", {}, ` ${word}`));
}

function quote(store, thread, message) {
  if (!message.reply_to || message.deleted_at) return null;
  const jump = (event) => event.target.dispatchEvent(new CustomEvent("jump", { bubbles: true, detail: message.reply_to }));
  const original = thread.find(message.reply_to);
  const words = original ? [h("strong", {}, nameOf(store.person(original.sender))), " ", original.deleted_at ? "deleted" : original.body.slice(0, 120)] : "An earlier message";
  return h("button.quote", { type: "button", onclick: jump, "aria-label": "Go to the message that this one answers" }, words);
}

function reactions(store, message) {
  const given = Object.entries(message.reactions ?? {});
  if (!given.length || message.deleted_at) return null;
  const buttons = given.map(([emoji, users]) => {
    const mine = users.includes(store.me.id);
    const names = users.slice(0, 20).map((id) => (id === store.me.id ? "You" : nameOf(store.person(id)))).join(", ");
    const toggle = () => trying(() => react(store, message, emoji, !mine));
    return h("button.reaction", { type: "button", onclick: toggle, "aria-pressed": String(mine), title: names, "aria-label": `${emoji} by ${names}` }, `${emoji} ${users.length}`);
  });
  return h("div.reactions", {}, buttons);
}

function react(store, message, emoji, on) {
  return store.bell.call(on ? "PUT" : "DELETE", `/messages/${message.id}/reactions/${encodeURIComponent(emoji)}`);
}

/** Buttons, seen when one points at the message or is in it. */
function tools(store, message, mine) {
  const tell = (what) => (event) => event.target.dispatchEvent(new CustomEvent(what, { bubbles: true, detail: message }));
  const mayDelete = mine || store.me.role === "admin";
  return h(
    "div.tools",
    { role: "group", "aria-label": "Actions" },
    iconButton("smile", "React", (event) => pick(store, message, event.currentTarget)),
    iconButton("reply", "Reply", tell("reply")),
    mine && iconButton("edit", "Edit", tell("edit")),
    mayDelete && iconButton("delete", "Delete", () => remove(store, message)),
  );
}

/** A few emoji to choose from; they go when one is chosen, or the focus leaves. */
function pick(store, message, button) {
  const choose = (emoji) => () => {
    button.focus(); // and the picker is left
    trying(() => react(store, message, emoji, !(message.reactions[emoji] ?? []).includes(store.me.id)));
  };
  const keys = (event) => {
    const all = [...picker.children];
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") button.focus();
    if (step) all.at((all.indexOf(document.activeElement) + step) % all.length).focus();
  };
  const left = (event) => !picker.contains(event.relatedTarget) && picker.remove();
  const buttons = EMOJI.map((emoji) => h("button", { type: "button", "aria-label": `React with ${emoji}`, onclick: choose(emoji) }, emoji));
  const picker = h("div.picker.emoji", { role: "group", "aria-label": "Reactions", onkeydown: keys, onfocusout: left }, buttons);
  button.after(picker);
  picker.firstChild.focus();
}

function remove(store, message) {
  const what = h("p", {}, "Its text is gone then, for everybody.");
  return ask("Delete this message?", [what], "Delete", () => store.bell.call("DELETE", `/messages/${message.id}`), { dangerous: true });
}

/** What is being sent: there at once, and marked until it has arrived. */
export function echo(store, out) {
  const failed = out.failed && [
    h("span.problem", {}, `${out.failed}. `),
    h("button.link", { type: "button", onclick: () => store.again(out) }, "Try again"),
    " ",
    h("button.link", { type: "button", onclick: () => store.discard(out) }, "Discard"),
  ];
  return h(
    `article.message.mine.start.echo${failed ? ".failed" : ""}`,
    { tabindex: "-1", "data-client": out.client_id },
    h("div.line", {}, h("div.bubble", {}, h("p.text", {}, linked(out.body)), h("p.foot", { role: failed ? "alert" : "presentation" }, failed || "Sending…"))),
  );
}
