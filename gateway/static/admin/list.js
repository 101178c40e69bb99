/** Tables, and lists of the server's that are shown a page at a time. On a phone each row is a card (admin.css). */

import { fill, h } from "../shared/dom.js";
import { plural, wordsOf } from "../shared/format.js";

/** `heads` names the columns; an empty name is one that needs none. */
export function table(label, heads, rows) {
  const head = h("tr", {}, heads.map((name) => (name ? h("th", { scope: "col" }, name) : h("td"))));
  return h("div.table", {}, h("table", { "aria-label": label }, h("thead", {}, head), h("tbody", {}, rows)));
}

/** A row of a table: what its cells hold, in the order of `heads`. */
export function line(heads, cells, props = {}) {
  return h("tr", props, cells.map((cell, n) => h("td", { "data-label": heads[n] }, cell)));
}

/** A state in a word, coloured: `kind` is good, quiet, warn or bad. */
export function pill(word, kind = "quiet") {
  return h(`span.pill.${kind}`, {}, word);
}

export class Listing {
  /** `row(item)` makes a `tr`; `drawn(items)` hears of all that are shown whenever there are more, or others. */
  constructor(bell, path, { label, heads, row, empty, drawn = () => {} }) {
    Object.assign(this, { bell, path, row, empty, drawn });
    this.items = [];
    this.rows = new Map(); // id -> tr
    this.body = h("tbody");
    this.table = table(label, heads, []);
    this.table.querySelector("tbody").replaceWith(this.body);
    this.word = h("p.quiet.grow", { role: "status" });
    this.problem = h("p.problem", { role: "alert", hidden: true });
    this.button = h("button", { type: "button", hidden: true, onclick: () => this.#load() }, "Show more");
    this.element = h("section.listing", { "aria-label": label }, this.table, this.problem, h("div.row", {}, this.word, this.button));
  }

  /** Begins anew, with what is asked for. */
  show(query) {
    this.query = query;
    this.next = null;
    return this.#load(true);
  }

  async #load(anew = false) {
    const asked = (this.asked = {}); // an answer that comes after another question is dropped
    this.word.textContent = "Loading…";
    this.problem.hidden = true;
    try {
      const { items, next } = await this.bell.call("GET", this.path, null, { query: { ...this.query, page: this.next } });
      if (asked !== this.asked) return;
      if (anew) this.#clear();
      this.next = next;
      this.add(items, "append");
    } catch (error) {
      if (asked === this.asked) this.#failed(error);
    }
  }

  #clear() {
    this.items = [];
    this.rows.clear();
    fill(this.body);
  }

  #failed(error) {
    this.word.textContent = "";
    this.problem.hidden = false;
    this.problem.textContent = wordsOf(error);
    this.button.hidden = false;
    this.button.textContent = "Try again";
  }

  /** `where`: at the end ("append"), or the beginning ("prepend"). */
  add(items, where) {
    const made = items.map((item) => this.row(item));
    items.forEach((item, n) => this.rows.set(item.id, made[n]));
    this.items = where === "append" ? [...this.items, ...items] : [...items, ...this.items];
    this.body[where](...made);
    this.table.hidden = !this.items.length;
    this.button.hidden = !this.next;
    this.button.textContent = "Show more";
    this.word.textContent = this.items.length ? `${plural(this.items.length, "entry", "entries")} shown${this.next ? "" : ", and there are no more"}` : this.empty;
    this.drawn(this.items);
  }

  /** Shows an item as it is now; the focus stays where it was in it (`data-act` names what has it). */
  replace(item) {
    const old = this.rows.get(item.id);
    if (!old) return;
    const act = old.contains(document.activeElement) && document.activeElement.dataset.act;
    const row = this.row(item);
    this.items = this.items.map((each) => (each.id === item.id ? item : each));
    this.rows.set(item.id, row);
    old.replaceWith(row);
    if (act) row.querySelector(`[data-act="${act}"]`)?.focus();
  }
}
