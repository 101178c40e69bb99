/** The decisions of the notification rules, the types of notifications, and the mails that followed, in words. */

import { hasWords, t } from "./words.js";

const TIME = /\d\d:\d\d/;

/** Return a decision of the API, such as "waiting for the digest of 09:00", in words; as it is if there are none yet. */
export function decisionText(decision) {
  const [time] = decision.match(TIME) ?? [];
  const rest = decision.replace(TIME, "");
  const n = Number(rest.match(/\d+/)?.[0]);
  const key = `decision.${rest.toLowerCase().match(/[a-z]+/g)?.join("-")}`;
  return hasWords(key) ? t(key, { time, n }) : decision;
}

/** Return the name of a type of notifications: `Order shipped` for order.shipped, which is of the host's. */
export function typeName(type) {
  const key = `preferences.type.${type}`;
  const text = type.replaceAll(/[._]/g, " ");
  return hasWords(key) ? t(key) : text[0].toUpperCase() + text.slice(1);
}

/** Return the kind of a mail in words. */
export function mailKind(kind) {
  return hasWords(`mail.kind.${kind}`) ? t(`mail.kind.${kind}`) : kind;
}
