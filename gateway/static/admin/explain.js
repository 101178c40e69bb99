/** Explains why a user was notified of an event, or was not: each rule for this type of event, and its decisions. */

import { View, field, fill, h } from "../shared/dom.js";
import { formatDateTime, nameOf } from "../shared/format.js";
import { form } from "../shared/form.js";
import { t } from "../shared/words.js";
import { pill, table, tableRow } from "./list.js";
import { sentence } from "./sentence.js";
import { resolveUser, userField } from "./user-names.js";

// decisions, by their first word, by which the user was notified
const POSITIVE = ["notified", "merged", "mailed", "counted"];
const MAIL_COLUMNS = ["mail", "state", "queued", "ended", "error"];

/** Properties: `store`, `detail` (the event from the address, if any). */
class Explain extends View {
  render() {
    const { store } = this;
    const event = { required: true, autocomplete: "off", value: this.detail ?? "" };
    const fields = [
      field(t("explain.event"), "event", event, t("explain.event.hint")),
      userField(store, t("explain.user"), "user", { required: true, value: store.me.username }),
    ];
    this.answer = h("div.answer", { "aria-live": "polite" });
    const element = form(fields, t("explain.submit"), (values) => this.#explain(values));
    element.classList.add("panel");
    fill(this, element, this.answer);
  }

  async #explain({ event, user }) {
    fill(this.answer);
    const query = {
      event: await this.#cursor(event.trim()),
      user: await resolveUser(this.store, user, "user"),
    };
    const explanation = await this.store.bell.call("GET", "/admin/explain", null, { query });
    const title = { type: h("code", {}, explanation.type), name: nameOf(explanation.user) };
    const about = { event: explanation.event, time: formatDateTime(explanation.at) };
    fill(
      this.answer,
      h("h3", {}, sentence("explain.title", title)),
      h("p.quiet", {}, t("explain.about", about)),
      explanation.rules.length ? explanation.rules.map(rulePanel) : h("p", {}, t("explain.no-rule")),
    );
  }

  /** Make a cursor from an event's number, as in the list of jobs: the newest cursor with its number replaced. */
  async #cursor(text) {
    if (!/^\d+$/.test(text)) return text;
    const { cursor } = await this.store.bell.call("GET", "/events");
    return cursor.replace(/\d+$/, text);
  }
}

function rulePanel({ rule, type, decided, notification, mails = [], mail_due_at }) {
  const isPositive = POSITIVE.includes(decided[0].split(":")[0]);
  const decisions = decided.map((text, n) =>
    h("li", {}, pill(text, isPositive && n === 0 ? "good" : "quiet")),
  );
  return h(
    "section.panel",
    { "aria-label": t("explain.rule", { rule }) },
    h("h3", {}, t("explain.rule.title", { rule }), h("small", {}, ` ${t("explain.rule.type", { type })}`)),
    h("ul.decided", {}, decisions),
    notification && notificationQuote(notification),
    mail_due_at && h("p", {}, t("explain.mail-due", { time: formatDateTime(mail_due_at) })),
    mails.length > 0 && mailTable(mails),
  );
}

function notificationQuote({ title, body, created_at, read_at }) {
  const times = { created: formatDateTime(created_at), read: read_at && formatDateTime(read_at) };
  const text = t(read_at ? "explain.notified-read" : "explain.notified-unread", times);
  return h("blockquote", {}, h("strong", {}, title), h("p", {}, body), h("small", {}, text));
}

function mailTable(mails) {
  const heads = MAIL_COLUMNS.map((column) => t(`explain.column.${column}`));
  const rows = mails.map(({ kind, state, queued_at, ended_at, error }) => {
    const ended = ended_at ? formatDateTime(ended_at) : "";
    const stateText = t(`explain.mail-state.${state}`);
    return tableRow(heads, [kind, stateText, formatDateTime(queued_at), ended, error ?? ""]);
  });
  return table(t("explain.mails"), heads, rows);
}

customElements.define("bw-admin-explain", Explain);
