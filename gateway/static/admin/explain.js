/**
 * Explains why a user was notified of a message or of another event, or was not: each rule for this type of event, and
 * its decisions.
 */

import { field } from "../shared/dialog.js";
import { View, errorText, fill, h } from "../shared/dom.js";
import { decisionText, mailKind, typeName } from "../shared/decisions.js";
import { formatDateTime, nameOf } from "../shared/format.js";
import { form } from "../shared/form.js";
import { hasWords, t } from "../shared/words.js";
import { pill, table, tableRow } from "./list.js";
import { resolveUser, userField } from "./user-names.js";

// decisions, by their first word, by which the user was notified
const POSITIVE = ["notified", "merged", "mailed", "counted"];
const MAIL_COLUMNS = ["mail", "state", "queued", "ended", "error"];
const SUBJECTS = ["message", "notification", "event"];

/**
 * Properties: `store`; from the address `detail` ("12" or "message-12", "notification-12", "event-12") and `more` (a
 * user's id), if any. With both, the answer is shown at once.
 */
class Explain extends View {
  render() {
    const { store } = this;
    const [, subject = "message", id = ""] = /^(?:([a-z]+)-)?(\d+)$/.exec(this.detail ?? "") ?? [];
    const user = /^\d+$/.test(this.more ?? "") ? Number(this.more) : null;
    const options = SUBJECTS.map((name) => [name, t(`explain.subject.${name}`)]);
    const number = { required: true, autocomplete: "off", value: id, dir: "ltr" };
    const userProps = { value: user ? String(user) : store.me.username };
    const fields = [
      h(
        "div.sides",
        {},
        field(t("explain.subject"), "subject", { options, value: subject }),
        field(t("explain.number"), "number", number),
      ),
      h("p.quiet", {}, t("explain.number.hint")),
      userField(store, t("explain.user"), "user", userProps),
    ];
    this.answer = h("div.answer", { "aria-live": "polite" });
    const element = form(fields, t("explain.submit"), (values) => this.#onSubmit(values));
    element.classList.add("panel");
    fill(this, element, this.answer);
    if (id && (user || subject === "notification")) this.#showAtOnce({ [subject]: id, user });
  }

  async #onSubmit({ subject, number, user }) {
    const id = subject === "event" ? await this.#cursor(number.trim()) : number.trim();
    await this.#explain({ [subject]: id, user: await resolveUser(this.store, user, "user") }).catch((error) => {
      const message = error.fields?.[subject];
      throw message ? Object.assign(error, { fields: { number: message } }) : error;
    });
  }

  /** Answer the question of the address. */
  async #showAtOnce({ event, ...query }) {
    try {
      await this.#explain({ ...query, event: event && (await this.#cursor(event)) });
    } catch (error) {
      fill(this.answer, h("p.problem", { role: "alert" }, errorText(error)));
    }
  }

  /** `query` has `message`, `notification` or `event`, and `user`. */
  async #explain(query) {
    fill(this.answer);
    const explanation = await this.store.bell.call("GET", "/admin/explain", null, { query }).catch((error) => {
      throw error.status === 404 ? new Error(t("explain.not-found")) : error;
    });
    const { event, type, at, user, rules } = explanation;
    const key = `explain.type.${type}`;
    const title = t("explain.title", { type: hasWords(key) ? t(key) : type, name: nameOf(user) });
    const heading = h("h3", { tabindex: "-1" }, title);
    this.querySelector('[name="user"]').value = user.username;
    fill(
      this.answer,
      heading,
      h("p.quiet", {}, t("explain.about", { event, time: formatDateTime(at) })),
      rules.length ? rules.map(rulePanel) : h("p", {}, t("explain.no-rule")),
    );
    heading.focus();
  }

  /** Make a cursor from an event's number, as in the list of jobs: the newest cursor with its number replaced. */
  async #cursor(text) {
    if (!/^\d+$/.test(text)) return text;
    const { cursor } = await this.store.bell.call("GET", "/events");
    return cursor.replace(/\d+$/, text);
  }
}

/** The name of a rule, or of what an admin watches. */
function ruleName(rule) {
  const key = rule.startsWith("watch ") ? `preferences.watch.${rule.slice(6)}` : `explain.rule-name.${rule}`;
  return hasWords(key) ? t(key) : rule;
}

function rulePanel({ rule, type, decided, notification, mails = [], mail_due_at }) {
  const isPositive = POSITIVE.includes(decided[0].split(":")[0]);
  const decisions = decided.map((text, n) =>
    h("li", {}, pill(decisionText(text), isPositive && n === 0 ? "good" : "quiet")),
  );
  const name = ruleName(rule);
  const typeText = t("explain.rule.type", { type: typeName(type) });
  return h(
    "section.panel",
    { "aria-label": t("explain.rule", { rule: name }) },
    h("h3", {}, name, h("small", {}, ` ${typeText}`)),
    h("ul.decided", {}, decisions),
    notification && notificationQuote(notification),
    mail_due_at && h("p", {}, t("explain.mail-due", { time: formatDateTime(mail_due_at) })),
    mails.length > 0 && mailTable(mails),
  );
}

function notificationQuote({ title, body, created_at, read_at }) {
  const times = { created: formatDateTime(created_at), read: read_at && formatDateTime(read_at) };
  const text = t(read_at ? "explain.notified-read" : "explain.notified-unread", times);
  return h("blockquote", { dir: "auto" }, h("strong", {}, title), h("p", {}, body), h("small", {}, text));
}

function mailTable(mails) {
  const heads = MAIL_COLUMNS.map((column) => t(`explain.column.${column}`));
  const rows = mails.map(({ kind, state, queued_at, ended_at, error }) => {
    const ended = ended_at ? formatDateTime(ended_at) : "";
    const stateText = t(`explain.mail-state.${state}`);
    return tableRow(heads, [mailKind(kind), stateText, formatDateTime(queued_at), ended, error ?? ""]);
  });
  return table(t("explain.mails"), heads, rows);
}

customElements.define("bw-admin-explain", Explain);
