/**
 * Records of what users did (activity) and of what admins did (audit). Both have the same fields, so one view shows
 * either.
 */

import { field } from "../shared/dialog.js";
import { View, errorText, fill, h } from "../shared/dom.js";
import { formatDateTime } from "../shared/format.js";
import { t } from "../shared/words.js";
import { Download } from "./export.js";
import { HourlyCounts } from "./hours.js";
import { Listing, tableRow } from "./list.js";
import { resolveUser, updateNames, userField, userName } from "./user-names.js";

const COLUMNS = {
  activity: ["time", "user", "action", "description", "by", "site", "more"],
  audit: ["time", "user", "action", "path", "outcome", "address", "more"],
};

const heads = (area) => COLUMNS[area].map((column) => t(`${area}.column.${column}`));

/** Properties: `store`, `area` ("activity" or "audit"). */
class Records extends View {
  render() {
    const { area, store } = this;
    const path = `/admin/${area}`;
    this.actions = h("datalist", { id: "actions" });
    this.list = new Listing(store.bell, path, {
      label: t(`${area}.title`),
      heads: heads(area),
      row: (record) => this.#row(record),
      empty: t("admin.no-records"),
      onDraw: (records) => this.#suggestActions(records),
    });
    this.download = new Download(this, path, `bellwire-${area}`, () => this.#query());
    this.hours = area === "activity" ? new HourlyCounts(store.bell) : null;
    fill(this, this.#filters(), this.actions, this.hours?.element, this.list.element);
    updateNames(this);
    this.#find();
  }

  #filters() {
    const user = userField(this.store, t(`${this.area}.column.user`), "user");
    this.problem = h("p.problem", { role: "alert", hidden: true });
    const onsubmit = (event) => {
      event.preventDefault();
      this.#find();
    };
    this.filters = h(
      "form.filters",
      { role: "search", "aria-label": t(`${this.area}.title`), onsubmit, onchange: () => this.#find() },
      user,
      field(t("admin.filter.action"), "action", { list: "actions", autocomplete: "off" }),
      field(t("admin.filter.site"), "site", { autocomplete: "off" }),
      field(t("admin.filter.since"), "since", { type: "datetime-local" }),
      field(t("admin.filter.until"), "until", { type: "datetime-local" }),
      h("div.row", {}, h("button.primary", {}, t("admin.filter.show")), this.download.element),
      this.problem,
    );
    return this.filters;
  }

  /** The query for the server. Times in the form are local times. */
  async #query() {
    const { user, action, site, since, until } = Object.fromEntries(new FormData(this.filters));
    const utc = (text) => (text ? new Date(text).toISOString() : "");
    return {
      user: await resolveUser(this.store, user, "user"),
      action: action.trim(),
      site: site.trim(),
      since: utc(since),
      until: utc(until),
    };
  }

  /**
   * Load the records. Enter in a field both changes it and submits the form; the second call for the same values does
   * nothing.
   */
  async #find() {
    const values = JSON.stringify([...new FormData(this.filters)]);
    if (values === this.loadingValues) return;
    this.loadingValues = values;
    this.problem.hidden = true;
    try {
      const query = await this.#query();
      if (values !== this.loadingValues) return;
      this.hours?.show(query);
      await this.list.show(query);
    } catch (error) {
      this.problem.hidden = false;
      this.problem.textContent = errorText(error);
    } finally {
      if (values === this.loadingValues) this.loadingValues = null;
    }
  }

  #suggestActions(records) {
    const actions = new Set(records.map((record) => record.action));
    fill(
      this.actions,
      [...actions].map((value) => h("option", { value })),
    );
  }

  #row(record) {
    const { store } = this;
    const { id, user, action, description, metadata, triggered_by, site, at, outcome, address, request_id } =
      record;
    const time = h("time", { datetime: at }, formatDateTime(at));
    const start = [time, userName(store, user), h("code", {}, action)];
    const request = request_id && { request: request_id, ...(site && { site }) };
    const more = details({ ...metadata, ...request }, id);
    if (this.area === "audit") {
      const outcomeText = t(`audit.outcome.${outcome}`);
      return tableRow(heads("audit"), [...start, h("code", {}, description), outcomeText, address, more]);
    }
    const author = triggered_by === user ? "" : userName(store, triggered_by);
    return tableRow(heads("activity"), [...start, description, author, site ?? "", more]);
  }
}

function details(data, id) {
  if (!Object.keys(data).length) return "";
  const summary = h("summary", { "aria-label": t("admin.details.label", { id }) }, t("admin.details"));
  return h("details", {}, summary, h("pre", { tabindex: "0", dir: "ltr" }, JSON.stringify(data, null, 2)));
}

customElements.define("bw-admin-records", Records);
