/** How much was done in each hour: counts, which stay when the records themselves are archived. Asked for when it is opened. */

import { h } from "../shared/dom.js";
import { Listing, line } from "./list.js";
import { exactly } from "../shared/format.js";

const HEADS = ["Hour", "Action", "Site", "How often"];

export class Hours {
  constructor(bell) {
    this.list = new Listing(bell, "/admin/activity/hourly", { label: "Activity by the hour", heads: HEADS, row, empty: "Nothing is counted like that.", drawn: () => this.#scale() });
    this.element = h("details.hours", { ontoggle: () => this.#load() }, h("summary", {}, "Counts by the hour"), this.list.element);
  }

  /** Of what the records are filtered by; there are no counts for single users. */
  show({ user, ...query }) {
    this.query = query;
    this.loaded = false;
    this.#load();
  }

  #load() {
    if (!this.element.open || this.loaded || !this.query) return;
    this.loaded = true;
    this.list.show(this.query);
  }

  /** The longest bar is that of the greatest count. */
  #scale() {
    const bars = [...this.element.querySelectorAll("[data-count]")];
    const most = Math.max(...bars.map((bar) => bar.dataset.count));
    for (const bar of bars) bar.style.width = `${(100 * bar.dataset.count) / most}%`;
  }
}

function row({ hour, action, site, count }) {
  const bar = h("span.scale", { "aria-hidden": "true" }, h("span", { "data-count": String(count) }));
  const at = h("time", { datetime: hour }, exactly(hour));
  return line(HEADS, [at, h("code", {}, action), site ?? "", h("div.counted", {}, h("span", {}, String(count)), bar)]);
}
