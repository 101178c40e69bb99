/** Tables, and lists from the server that are shown page by page. On phones each row is a card (admin.css). */

import { errorText, fill, h } from "../shared/dom.js";
import { t } from "../shared/words.js";

/**
 * Create a table. `heads` are the columns' names; "" is for a column without one. The roles keep it a table for screen
 * readers where its rows are shown as cards.
 */
export function table(label, heads, rows) {
  const head = heads.map((name) =>
    name ? h("th", { scope: "col", role: "columnheader" }, name) : h("td", { role: "cell" }),
  );
  const body = h("tbody", { role: "rowgroup" }, rows);
  const top = h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head));
  return h("div.table", {}, h("table", { role: "table", "aria-label": label }, top, body));
}

/** Create a table row with one cell for each of `heads`. */
export function tableRow(heads, cells) {
  const row = cells.map((cell, n) => h("td", { role: "cell", "data-label": heads[n] }, cell));
  return h("tr", { role: "row" }, row);
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
    this.table = table(label, heads, []);
    this.body = this.table.querySelector("tbody");
    this.status = h("p.quiet.grow", { role: "status", tabindex: "-1" });
    this.problem = h("p.problem", { role: "alert", hidden: true });
    const props = { type: "button", hidden: true, onclick: () => this.#showMore() };
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

  /** Load the next page. The focus moves to its first control, or to the status if there is none. */
  async #showMore() {
    const count = this.items.length;
    await this.#load();
    const first = this.items[count];
    if (first) this.#focusIn(this.rows.get(first.id));
  }

  #focusIn(row) {
    (row?.querySelector("a, button, input, summary") ?? this.status).focus();
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

  /** Remove an item. If the focus was in its row, it moves to the next row. */
  remove(id) {
    const row = this.rows.get(id);
    if (!row) return;
    const hadFocus = row.contains(document.activeElement);
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    this.rows.delete(id);
    this.items = this.items.filter((item) => item.id !== id);
    this.add([], "append");
    if (hadFocus) this.#focusIn(next);
  }

  /** Draw a changed item again. The focus stays on the control with the same `data-act`, or else in the row. */
  replace(item) {
    const old = this.rows.get(item.id);
    if (!old) return;
    const focused = old.contains(document.activeElement) && document.activeElement.dataset.act;
    const row = this.row(item);
    this.items = this.items.map((other) => (other.id === item.id ? item : other));
    this.rows.set(item.id, row);
    old.replaceWith(row);
    if (focused) (row.querySelector(`[data-act="${focused}"]`) ?? row.querySelector("[data-act]"))?.focus();
  }
}
