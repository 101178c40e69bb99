/** The menu of a conversation's level: of which messages the user is notified, and until when it is muted. */

import { toast, toastErrors } from "../shared/dom.js";
import { formatTime, formatUntil, titleOf } from "../shared/format.js";
import { openMenu } from "../shared/popover.js";
import { t } from "../shared/words.js";

const HOUR_MS = 3_600_000;
const MORNING_HOUR = 8;

/** Open the menu next to a button. */
export function chooseLevel(store, conversation, button) {
  const { level_until: until } = conversation;
  const current = store.levelOf(conversation);
  const isUntil = current === "none" && Boolean(until);
  const item = (name, level, end = null) => ({
    text: t(`level.choose.${name}`, { time: end && formatTime(end) }),
    run: () => save(store, conversation, level, end),
    checked: !end && level === current && !isUntil,
  });
  const tomorrow = new Date();
  tomorrow.setDate(tomorrow.getDate() + 1);
  tomorrow.setHours(MORNING_HOUR, 0, 0, 0);
  const items = [
    item("all", "all"),
    item("mentions", "mentions"),
    item("hour", "none", new Date(Date.now() + HOUR_MS)),
    item("morning", "none", tomorrow),
    item("none", "none"),
  ];
  const about = isUntil ? t("chat.muted-until", { time: formatUntil(until) }) : null;
  openMenu(button, t("level.choose"), items, { about });
}

function save(store, conversation, level, end) {
  return toastErrors(async () => {
    const until = end && end.toISOString();
    const saved = await store.bell.call("PUT", `/conversations/${conversation.id}/level`, { level, ...(until && { until }) });
    store.apply({ type: "level.updated", data: { conversation: conversation.id, ...saved } });
    const key = level === "none" && until ? "until" : level;
    toast(t(`level.saved.${key}`, { title: titleOf(conversation, store.me), time: until && formatUntil(until) }));
  });
}
