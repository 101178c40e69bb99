/** What the buttons of a message open: it is loaded when one of them is pressed. */

import { openDialog } from "../shared/dialog.js";
import { avatar, h, toastErrors } from "../shared/dom.js";
import { nameOf, receiverOf } from "../shared/format.js";
import { load } from "../shared/load.js";
import { openMenu } from "../shared/popover.js";
import { reportMessage } from "../shared/reporting.js";
import { t } from "../shared/words.js";
import { block, unblock } from "./blocks.js";
import { openEmojiPicker } from "./emoji.js";
import { react } from "./message.js";

/** Let the user choose an emoji. The message may be drawn anew meanwhile: the focus goes back to what is there then. */
export function chooseReaction(store, message, button) {
  const choose = (emoji) => {
    const current = store.threads.get(message.conversation)?.find(message.id) ?? message;
    const users = Object.entries(current.reactions ?? {}).find(([name]) => name === emoji)?.[1] ?? [];
    toastErrors(() => react(store, message, emoji, !users.includes(store.me.id)));
  };
  openEmojiPicker(button, { user: store.me.id, label: "message.react-with", choose, closed: backTo(button, message) });
}

/** A function that gives the focus back to a button of a message, or to what is in its place. */
function backTo(button, message) {
  const root = button.getRootNode();
  return () => {
    root.querySelector(`article[data-message="${message.id}"]`)?.focus();
    if (button.isConnected) button.focus();
  };
}

/** Open the menu of what is rarely done with a message. */
export function openMore(store, message, button) {
  const { me, blocked } = store;
  const sender = store.person(message.sender);
  const isBlocked = blocked.has(sender.id);
  const about = { name: nameOf(sender) };
  const isOther = sender.id !== me.id;
  const items = [
    isOther && { text: t("report.message"), run: () => reportMessage(store, message) },
    isOther && { text: t(isBlocked ? "block.undo-name" : "block.ask", about), run: () => (isBlocked ? unblock : block)(store, sender) },
    me.role === "admin" && { text: whyNotText(store, message), run: () => askWhyNot(store, message) },
  ];
  openMenu(button, t("message.more"), items.filter(Boolean), { closed: backTo(button, message) });
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

/** Show who has read a message, in a group whose read marks are known. */
export function showReaders(store, message) {
  const { members } = store.conversations.get(message.conversation);
  const others = members.filter(({ user }) => user.id !== store.me.id);
  const [read, unread] = [true, false].map((isRead) =>
    others.filter((member) => (member.read ?? 0) >= message.id === isRead),
  );
  const people = (key, some) => {
    if (!some.length) return null;
    const rows = some.map(({ user }) =>
      h("li", {}, avatar(nameOf(user), user.id), h("span.title", { dir: "auto" }, nameOf(user))),
    );
    return [h("h3", {}, t(key, { n: some.length })), h("ul.people", { "aria-label": t(key, { n: some.length }) }, rows)];
  };
  const lists = [people("message.read-by", read), people("message.unread-by", unread)];
  openDialog(t("message.readers"), lists, t("dialog.close"), () => true, { isNotice: true });
}

/** Delete a message, once that is confirmed. */
export function deleteMessage(store, message) {
  const warning = h("p", {}, t("message.delete-warning"));
  const run = () => store.bell.call("DELETE", `/messages/${message.id}`);
  return openDialog(t("message.delete-title"), [warning], t("message.delete"), run, { dangerous: true });
}
