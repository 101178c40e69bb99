/** The priority of a message that is being written: its menu, and what is asked before a group is mailed. */

import { openDialog } from "../shared/dialog.js";
import { h } from "../shared/dom.js";
import { titleOf } from "../shared/format.js";
import { openMenu } from "../shared/popover.js";
import { t } from "../shared/words.js";

const PRIORITIES = ["normal", "important", "urgent"];

/** Let the user choose a priority: `choose(priority)` is called after the menu has closed. */
export function choosePriority(button, current, choose) {
  const items = PRIORITIES.map((priority) => ({
    text: t(`composer.priority.${priority}`),
    run: () => choose(priority),
    checked: priority === current,
    "data-priority": priority,
  }));
  openMenu(button, t("composer.choose-priority"), items);
}

/** A message to a group that is mailed to all of it is confirmed. Resolves to whether it is to be sent. */
export async function confirmPriority({ conversations, me }, conversation, priority) {
  const details = conversations.get(conversation);
  if (details?.kind !== "group") return true;
  const n = (details.members_count ?? details.members.length) - 1;
  const warning = h("p", {}, t(`composer.confirm.${priority}`, { n, title: titleOf(details, me) }));
  return (await openDialog(t("composer.confirm-title"), [warning], t("composer.send"), () => true)) === true;
}
