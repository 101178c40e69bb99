/**
 * Counts of activity by the hour, which stay when the records themselves are archived. They are loaded when the section
 * is opened.
 */

import { h } from "../shared/dom.js";
import { formatDateTime } from "../shared/format.js";
import { number, t } from "../shared/words.js";
import { Listing, tableRow } from "./list.js";

const COLUMNS = ["hour", "action", "site", "count"];

const heads = () => COLUMNS.map((column) => t(`hours.column.${column}`));

export class HourlyCounts {
  constructor(bell) {
    this.list = new Listing(bell, "/admin/activity/hourly", {
      label: t("hours.title"),
      heads: heads(),
      row: hourRow,
      empty: t("hours.empty"),
      onDraw: () => this.#scaleBars(),
    });
    const summary = h("summary", {}, t("hours.open"));
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
  const counted = h("div.counted", {}, h("span", {}, number(count)), bar);
  return tableRow(heads(), [time, h("code", {}, action), site ?? "", counted]);
}
