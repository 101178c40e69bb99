/** Tells a person why they have a notification, and which e-mails were sent about it. */

import { openDialog } from "../shared/dialog.js";
import { h, toastErrors } from "../shared/dom.js";
import { decisionText, mailKind, typeName } from "../shared/decisions.js";
import { formatDateTime } from "../shared/format.js";
import { goTo } from "../shared/load.js";
import { hasWords, t } from "../shared/words.js";

/** Open a dialog with the reasons for a notification. Its button leads to the preferences. */
export async function explainNotification(bell, { id, title, type, data }) {
  const explanation = await toastErrors(() => bell.call("GET", `/notifications/${id}/explain`));
  if (!explanation) return;
  const { rules, mails, mail_due_at } = explanation;
  const decisions = rules.flatMap(({ decided }) => decided.map(decisionText));
  const sent = mails.map(({ kind, state, queued_at, ended_at }) => {
    const time = formatDateTime(ended_at ?? queued_at);
    return t(`why.mail.${state}`, { kind: mailKind(kind), time });
  });
  const due = mail_due_at ? [t("explain.mail-due", { time: formatDateTime(mail_due_at) })] : [];
  const watched = `preferences.watch.${type === "admin" && data?.action}`;
  const cause = hasWords(watched) ? t("why.watched", { event: t(watched) }) : t("why.no-rule");
  const reasons = decisions.length ? decisions : [cause, ...due]; // a decision names the mail that is due
  const list = h(
    "ul.reasons",
    {},
    [...reasons, ...sent].map((text) => h("li", {}, text)),
  );
  const about = h("p", { dir: "auto" }, h("strong", {}, title));
  const choice = h("p.quiet", {}, t("why.type", { type: typeName(type) }));
  const fields = [about, list, choice];
  const isChosen = await openDialog(t("why.title"), fields, t("why.preferences"), () => true, { isAnswer: true });
  if (isChosen) goTo("#/notifications/preferences");
}
