/** Why somebody heard of an event, or did not: each rule that looked at it, and what it decided. */

import { field, fill, h } from "../shared/dom.js";
import { line, pill, table } from "./list.js";
import { whoField, whoIs } from "./user-names.js";
import { form } from "../shared/form.js";
import { View } from "../shared/view.js";
import { exactly, nameOf } from "../shared/format.js";

const HEARD = ["notified", "merged", "mailed", "counted"]; // the first word of a decision: they heard of it

class Explain extends View {
  show() {
    const { store } = this;
    const fields = [
      field("Event", "event", { required: true, autocomplete: "off", value: this.more ?? "" }, "Its cursor, the id of an event; or its number alone"),
      whoField(store, "User", "user", { required: true, value: store.me.username }),
    ];
    this.answer = h("div.answer", { "aria-live": "polite" });
    const asking = form(fields, "Explain", (given) => this.#explain(given));
    asking.classList.add("panel");
    fill(this, asking, this.answer);
  }

  async #explain({ event, user }) {
    fill(this.answer);
    const query = { event: await this.#cursor(event.trim()), user: await whoIs(this.store, user, "user") };
    const found = await this.store.bell.call("GET", "/admin/explain", null, { query });
    fill(
      this.answer,
      h("h3", {}, h("code", {}, found.type), ` for ${nameOf(found.user)}`),
      h("p.quiet", {}, `Event ${found.event}, ${exactly(found.at)}`),
      found.rules.length ? found.rules.map(ruled) : h("p", {}, "No rule looks at such events: nobody is notified of them."),
    );
  }

  /** The list of jobs has events by number: its cursor is that of now, with this number in the place of the newest event's. */
  async #cursor(text) {
    if (!/^\d+$/.test(text)) return text;
    const { cursor } = await this.store.bell.call("GET", "/events");
    return cursor.replace(/\d+$/, text);
  }
}

function ruled({ rule, type, decided, notification, mails = [], mail_due_at }) {
  const heard = HEARD.includes(decided[0].split(":")[0]);
  return h(
    "section.panel",
    { "aria-label": `Rule ${rule}` },
    h("h3", {}, `Rule “${rule}”`, h("small", {}, ` notifications of the type ${type}`)),
    h("ul.decided", {}, decided.map((one, n) => h("li", {}, pill(one, heard && !n ? "good" : "quiet")))),
    notification && h("blockquote", {}, h("strong", {}, notification.title), h("p", {}, notification.body), h("small", {}, `${exactly(notification.created_at)}, ${notification.read_at ? `read ${exactly(notification.read_at)}` : "unread"}`)),
    mail_due_at && h("p", {}, `A mail waits until ${exactly(mail_due_at)}.`),
    mails.length > 0 && posted(mails),
  );
}

function posted(mails) {
  const heads = ["Mail", "State", "Queued", "Ended", "Error"];
  const rows = mails.map((one) => line(heads, [one.kind, one.state, exactly(one.queued_at), one.ended_at ? exactly(one.ended_at) : "", one.error ?? ""]));
  return table("Mails about it", heads, rows);
}

customElements.define("bw-admin-explain", Explain);
