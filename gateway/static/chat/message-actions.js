/** What the buttons of a message open: it is loaded when one of them is pressed. */

import { openDialog } from "../shared/dialog.js";
import { avatar, h, toastErrors } from "../shared/dom.js";
import { nameOf } from "../shared/format.js";
import { t } from "../shared/words.js";
import { openEmojiPicker } from "./emoji.js";
import { react } from "./message.js";

/** Let the user choose an emoji. The message may be drawn anew meanwhile: the focus goes back to what is there then. */
export function chooseReaction(store, message, button) {
  const choose = (emoji) => {
    const current = store.threads.get(message.conversation)?.find(message.id) ?? message;
    const users = Object.entries(current.reactions ?? {}).find(([name]) => name === emoji)?.[1] ?? [];
    toastErrors(() => react(store, message, emoji, !users.includes(store.me.id)));
  };
  const root = button.getRootNode();
  const closed = () => {
    root.querySelector(`article[data-message="${message.id}"]`)?.focus();
    if (button.isConnected) button.focus();
  };
  openEmojiPicker(button, { user: store.me.id, label: "message.react-with", choose, closed });
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
