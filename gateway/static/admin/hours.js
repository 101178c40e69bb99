/**
 * Counts of activity by the hour, which stay when the records themselves are archived. They are loaded when the section
 * is opened.
 */

import { h } from "../shared/dom.js";
import { formatDateTime } from "../shared/format.js";
import { Listing, tableRow } from "./list.js";

const HEADS = ["Hour", "Action", "Site", "Count"];

export class HourlyCounts {
  constructor(bell) {
    this.list = new Listing(bell, "/admin/activity/hourly", {
      label: "Activity by the hour",
      heads: HEADS,
      row: hourRow,
      empty: "Nothing was counted for these filters.",
      onDraw: () => this.#scaleBars(),
    });
    const summary = h("summary", {}, "Counts by the hour");
    this.element = h("details.hours", { ontoggle: () => this.#load() }, summary, this.list.element);
  }

  /** Set the filters. Counts are not kept per user, so `user` is ignored. */
  show({ user, ...query }) {
    this.query = query;
    this.isLoaded = false;
    this.#load();
  }

  #load() {
    if (!this.element.open || this.isLoaded || !this.query) return;
    this.isLoaded = true;
    this.list.show(this.query);
  }

  /** Make the bar of the greatest count the longest one. */
  #scaleBars() {
    const bars = [...this.element.querySelectorAll("[data-count]")];
    const greatest = Math.max(...bars.map((bar) => bar.dataset.count));
    for (const bar of bars) bar.style.width = `${(100 * bar.dataset.count) / greatest}%`;
  }
}

function hourRow({ hour, action, site, count }) {
  const bar = h("span.scale", { "aria-hidden": "true" }, h("span", { "data-count": String(count) }));
  const time = h("time", { datetime: hour }, formatDateTime(hour));
  const counted = h("div.counted", {}, h("span", {}, String(count)), bar);
  return tableRow(HEADS, [time, h("code", {}, action), site ?? "", counted]);
}
