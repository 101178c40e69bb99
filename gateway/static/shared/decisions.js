/** The decisions of the notification rules, and the mails that followed, in words. */

import { hasWords, t } from "./words.js";

const TIME = /\d\d:\d\d/;

/** Return a decision of the API, such as "waiting for the digest of 09:00", in words; as it is if there are none yet. */
export function decisionText(decision) {
  const [time] = decision.match(TIME) ?? [];
  const key = `decision.${decision.replace(TIME, "").toLowerCase().match(/[a-z]+/g)?.join("-")}`;
  return hasWords(key) ? t(key, { time }) : decision;
}

/** Return the kind of a mail in words. */
export function mailKind(kind) {
  return hasWords(`mail.kind.${kind}`) ? t(`mail.kind.${kind}`) : kind;
}
