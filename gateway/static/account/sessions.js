/** The sessions of the user, and buttons to end them. */

import { View, errorText, fill, h } from "../shared/dom.js";
import { formatDateTime, formatShort } from "../shared/format.js";
import { t } from "../shared/words.js";

/** What the label of a browser's session contains, "Mozilla/5.0 (Linux) Firefox", and the key of the text. */
const SYSTEMS = [
  ["iPhone", "sessions.browser.iphone"],
  ["iPad", "sessions.browser.ipad"],
  ["Android", "sessions.browser.android"],
  ["Windows", "sessions.browser.windows"],
  ["CrOS", "sessions.browser.chromeos"],
  ["Mac OS X", "sessions.browser.mac"],
  ["Linux", "sessions.browser.linux"],
];

/** A short text for a session's label. That of a browser of an earlier version is the beginning of its User-Agent. */
export function deviceName(label) {
  if (!label.startsWith("Mozilla/")) return label || t("sessions.nameless");
  const browser = label.match(/^Mozilla\/5\.0 \(.*?\) ([A-Z][a-z]+( Internet)?)$/)?.[1] ?? t("sessions.browser");
  const [, key] = SYSTEMS.find(([mark]) => label.includes(mark)) ?? [];
  return key ? t(key, { browser }) : browser;
}

/** Create a time element that says when, and from which address, a session was last used, or else created. */
function useOf({ address, last_used_at, created_at }) {
  const at = last_used_at ?? created_at;
  const key = `sessions.${last_used_at ? "used" : "created"}${address ? "-from" : ""}`;
  const text = t(key, { address, time: formatShort(at) });
  return h("time", { datetime: at, title: formatDateTime(at) }, text);
}

/** Properties: `store`. */
class Sessions extends View {
  render() {
    this.list = h("ul.rows", { "aria-label": t("sessions.title") });
    this.problem = h("p.problem", { role: "alert" });
    const load = { type: "button", hidden: true, onclick: () => this.#load() };
    this.more = h("button.link", load, t("sessions.more"));
    const title = h("h2", { tabindex: "-1" }, t("sessions.title"));
    fill(this, h("section.sheet", {}, title, this.list, this.problem, this.more));
    this.#load();
  }

  async #load() {
    this.problem.textContent = "";
    try {
      const page = await this.store.bell.call("GET", "/me/sessions", null, { query: { page: this.next } });
      this.list.append(...page.items.map((session) => this.#row(session)));
      this.next = page.next;
      this.more.hidden = !page.next;
    } catch (error) {
      this.problem.textContent = errorText(error);
      this.more.hidden = false;
    }
  }

  #row(session) {
    const { label, created_at, current } = session;
    const name = deviceName(label);
    const endLabel = t("sessions.end-one", { name, time: formatDateTime(created_at) });
    const onclick = () => this.#end(session, row);
    const button = h("button", { type: "button", onclick, "aria-label": endLabel }, t("sessions.end"));
    const row = h(
      "li",
      {},
      h("div.grow", {}, h("span.title", { title: label }, name), h("small", {}, useOf(session))),
      current ? h("strong", {}, t("sessions.this-one")) : button,
    );
    return row;
  }

  async #end(session, row) {
    this.problem.textContent = "";
    try {
      await this.store.bell.call("DELETE", `/me/sessions/${session.id}`);
      row.remove();
      this.querySelector("h2").focus();
    } catch (error) {
      this.problem.textContent = errorText(error);
    }
  }
}

customElements.define("bw-sessions", Sessions);
