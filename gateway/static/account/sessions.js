/** The sessions of the user, and buttons to end them. */

import { View, errorText, fill, h } from "../shared/dom.js";
import { formatDateTime, timeElement } from "../shared/format.js";

const SYSTEMS = [
  ["iPhone", "an iPhone"],
  ["iPad", "an iPad"],
  ["Android", "Android"],
  ["Windows", "Windows"],
  ["Mac OS X", "a Mac"],
  ["Linux", "Linux"],
];

/** A short text for a session's label, which for browsers is their long User-Agent. */
function deviceName(label) {
  if (!label.startsWith("Mozilla/")) return label || "No name";
  const [, system] = SYSTEMS.find(([mark]) => label.includes(mark)) ?? [];
  return system ? `A browser on ${system}` : "A browser";
}

/** Properties: `store`. */
class Sessions extends View {
  render() {
    this.list = h("ul.rows", { "aria-label": "Sessions" });
    this.problem = h("p.problem", { role: "alert" });
    const load = { type: "button", hidden: true, onclick: () => this.#load() };
    this.more = h("button.link", load, "Show more");
    const title = h("h2", { tabindex: "-1" }, "Sessions");
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
    const { label, address, last_used_at, created_at, current } = session;
    const name = deviceName(label);
    const verb = last_used_at ? "used " : "created ";
    const details = h("small", {}, address && `${address}, `, verb, timeElement(last_used_at ?? created_at));
    const endLabel = `End the session “${name}” of ${formatDateTime(created_at)}`;
    const onclick = () => this.#end(session, row);
    const button = h("button", { type: "button", onclick, "aria-label": endLabel }, "End");
    const row = h(
      "li",
      {},
      h("div.grow", {}, h("span.title", { title: label }, name), details),
      current ? h("strong", {}, "This one") : button,
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
