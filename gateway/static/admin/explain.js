/** Explains why a user was notified of an event, or was not: each rule for this type of event, and its decisions. */

import { View, field, fill, h } from "../shared/dom.js";
import { formatDateTime, nameOf } from "../shared/format.js";
import { form } from "../shared/form.js";
import { pill, table, tableRow } from "./list.js";
import { resolveUser, userField } from "./user-names.js";

// decisions, by their first word, by which the user was notified
const POSITIVE = ["notified", "merged", "mailed", "counted"];
const MAIL_HEADS = ["Mail", "State", "Queued", "Ended", "Error"];

/** Properties: `store`, `detail` (the event from the address, if any). */
class Explain extends View {
  render() {
    const { store } = this;
    const hint = "The cursor of the event (its id), or only its number";
    const fields = [
      field("Event", "event", { required: true, autocomplete: "off", value: this.detail ?? "" }, hint),
      userField(store, "User", "user", { required: true, value: store.me.username }),
    ];
    this.answer = h("div.answer", { "aria-live": "polite" });
    const element = form(fields, "Explain", (values) => this.#explain(values));
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
    const none = "No rule applies to this type of event: it notifies nobody.";
    fill(
      this.answer,
      h("h3", {}, h("code", {}, explanation.type), ` for ${nameOf(explanation.user)}`),
      h("p.quiet", {}, `Event ${explanation.event}, ${formatDateTime(explanation.at)}`),
      explanation.rules.length ? explanation.rules.map(rulePanel) : h("p", {}, none),
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
    { "aria-label": `Rule ${rule}` },
    h("h3", {}, `Rule “${rule}”`, h("small", {}, ` notifications of the type ${type}`)),
    h("ul.decided", {}, decisions),
    notification && notificationQuote(notification),
    mail_due_at && h("p", {}, `An e-mail is due at ${formatDateTime(mail_due_at)}.`),
    mails.length > 0 && mailTable(mails),
  );
}

function notificationQuote({ title, body, created_at, read_at }) {
  const read = read_at ? `read ${formatDateTime(read_at)}` : "unread";
  const times = h("small", {}, `${formatDateTime(created_at)}, ${read}`);
  return h("blockquote", {}, h("strong", {}, title), h("p", {}, body), times);
}

function mailTable(mails) {
  const rows = mails.map(({ kind, state, queued_at, ended_at, error }) => {
    const ended = ended_at ? formatDateTime(ended_at) : "";
    return tableRow(MAIL_HEADS, [kind, state, formatDateTime(queued_at), ended, error ?? ""]);
  });
  return table("E-mails about it", MAIL_HEADS, rows);
}

customElements.define("bw-admin-explain", Explain);
