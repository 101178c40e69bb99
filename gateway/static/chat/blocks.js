/** Blocking people, and unblocking them. */

import { openDialog } from "../shared/dialog.js";
import { closeDialogs, h, toast, toastErrors } from "../shared/dom.js";
import { nameOf } from "../shared/format.js";
import { t } from "../shared/words.js";

const EFFECTS = ["writes", "notices", "presence", "groups", "secret"];

/** Block a USER, once that is confirmed. */
export async function block(store, user) {
  const name = nameOf(user);
  const effects = h("ul.reasons", {}, EFFECTS.map((effect) => h("li", {}, t(`block.effect.${effect}`))));
  const run = async () => {
    await store.bell.call("PUT", `/me/blocks/${user.id}`);
    return true;
  };
  const isBlocked = await openDialog(t("block.question", { name }), [effects], t("block.do"), run, { dangerous: true });
  if (!isBlocked) return;
  store.setBlocked(user.id, true);
  closeDialogs();
  toast(t("block.done", { name }), [t("block.undo"), () => unblock(store, user)]);
}

/** Unblock a USER. Resolves to whether that was done. */
export async function unblock(store, user) {
  return toastErrors(async () => {
    await store.bell.call("DELETE", `/me/blocks/${user.id}`);
    store.setBlocked(user.id, false);
    toast(t("block.undone", { name: nameOf(user) }));
    return true;
  });
}

/** A button that blocks a USER, or unblocks them. */
export function blockButton(store, user) {
  const isBlocked = store.blocked.has(user.id);
  const onclick = async () => {
    if (!isBlocked) return block(store, user);
    if (await unblock(store, user)) closeDialogs();
  };
  const text = t(isBlocked ? "block.undo-name" : "block.ask", { name: nameOf(user) });
  return h("button.link.dangerous", { type: "button", onclick }, text);
}
