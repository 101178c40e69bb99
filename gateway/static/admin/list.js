/** Tables, and lists from the server that are shown page by page. On phones each row is a card (admin.css). */

import { errorText, fill, h } from "../shared/dom.js";
import { t } from "../shared/words.js";

/** Create a table. `heads` are the columns' names; "" is for a column without one. */
export function table(label, heads, rows) {
  const head = h(
    "tr",
    {},
    heads.map((name) => (name ? h("th", { scope: "col" }, name) : h("td"))),
  );
  const element = h("table", { "aria-label": label }, h("thead", {}, head), h("tbody", {}, rows));
  return h("div.table", {}, element);
}

/** Create a table row with one cell for each of `heads`. */
export function tableRow(heads, cells) {
  return h(
    "tr",
    {},
    cells.map((cell, n) => h("td", { "data-label": heads[n] }, cell)),
  );
}

/** Create a coloured label. `tone` is "good", "quiet", "warn" or "bad". */
export function pill(text, tone = "quiet") {
  return h(`span.pill.${tone}`, {}, text);
}

export class Listing {
  /** `row(item)` returns a `tr`; `onDraw(items)` is called with all shown items whenever they have changed. */
  constructor(bell, path, { label, heads, row, empty, onDraw = () => {} }) {
    Object.assign(this, { bell, path, row, empty, onDraw });
    this.items = [];
    this.rows = new Map(); // id -> tr
    this.body = h("tbody");
    this.table = table(label, heads, []);
    this.table.querySelector("tbody").replaceWith(this.body);
    this.status = h("p.quiet.grow", { role: "status" });
    this.problem = h("p.problem", { role: "alert", hidden: true });
    const props = { type: "button", hidden: true, onclick: () => this.#load() };
    this.button = h("button", props, t("admin.show-more"));
    const foot = h("div.row", {}, this.status, this.button);
    this.element = h("section.listing", { "aria-label": label }, this.table, this.problem, foot);
  }

  /** Show the first page for these filters. */
  show(query) {
    this.query = query;
    this.next = null;
    return this.#load({ replace: true });
  }

  async #load({ replace = false } = {}) {
    const request = (this.latestRequest = {}); // the answer to an earlier request is ignored
    this.status.textContent = t("loading");
    this.problem.hidden = true;
    try {
      const query = { ...this.query, page: this.next };
      const { items, next } = await this.bell.call("GET", this.path, null, { query });
      if (request !== this.latestRequest) return;
      if (replace) this.#clear();
      this.next = next;
      this.add(items, "append");
    } catch (error) {
      if (request === this.latestRequest) this.#showError(error);
    }
  }

  #clear() {
    this.items = [];
    this.rows.clear();
    fill(this.body);
  }

  #showError(error) {
    this.status.textContent = "";
    this.problem.hidden = false;
    this.problem.textContent = errorText(error);
    this.button.hidden = false;
    this.button.textContent = t("error.try-again");
  }

  /** Add items at the end ("append") or at the beginning ("prepend"). */
  add(items, position) {
    const rows = items.map((item) => this.row(item));
    items.forEach((item, n) => this.rows.set(item.id, rows[n]));
    this.items = position === "append" ? [...this.items, ...items] : [...items, ...this.items];
    this.body[position](...rows);
    this.table.hidden = !this.items.length;
    this.button.hidden = !this.next;
    this.button.textContent = t("admin.show-more");
    this.status.textContent = this.#statusText();
    this.onDraw(this.items);
  }

  #statusText() {
    if (!this.items.length) return this.empty;
    return t(this.next ? "admin.shown" : "admin.shown-all", { n: this.items.length });
  }

  /** Draw a changed item again. The focus stays on the control with the same `data-act`. */
  replace(item) {
    const old = this.rows.get(item.id);
    if (!old) return;
    const focused = old.contains(document.activeElement) && document.activeElement.dataset.act;
    const row = this.row(item);
    this.items = this.items.map((other) => (other.id === item.id ? item : other));
    this.rows.set(item.id, row);
    old.replaceWith(row);
    if (focused) row.querySelector(`[data-act="${focused}"]`)?.focus();
  }
}
