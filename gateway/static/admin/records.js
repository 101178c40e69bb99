/** What users did, and what admins did: one view for both, whose records have the same shape. */

import { field, fill, h } from "../shared/dom.js";
import { Download } from "./export.js";
import { Hours } from "./hours.js";
import { Listing, line } from "./list.js";
import { keepNames, named, whoField, whoIs } from "./user-names.js";
import { View } from "../shared/view.js";
import { exactly, wordsOf } from "../shared/format.js";

const HEADS = {
  activity: ["When", "User", "Action", "What", "By", "Site", "More"],
  audit: ["When", "Admin", "Action", "Path", "Outcome", "From", "More"],
};
const TITLES = { activity: "Activity", audit: "What admins did" };

class Records extends View {
  show() {
    const { area, store } = this;
    const path = `/admin/${area}`;
    this.actions = h("datalist", { id: "actions" });
    this.list = new Listing(store.bell, path, { label: TITLES[area], heads: HEADS[area], row: (record) => this.#row(record), empty: "Nothing is recorded like that.", drawn: (items) => this.#suggest(items) });
    this.download = new Download(this, path, `bellwire-${area}`, () => this.#query());
    this.hours = area === "activity" ? new Hours(store.bell) : null;
    fill(this, this.#filters(), this.actions, this.hours?.element, this.list.element);
    keepNames(this);
    this.#find();
  }

  #filters() {
    this.who = whoField(this.store, this.area === "audit" ? "Admin" : "User", "user");
    this.problem = h("p.problem", { role: "alert", hidden: true });
    this.filters = h(
      "form.filters",
      { role: "search", "aria-label": TITLES[this.area], onsubmit: (event) => (event.preventDefault(), this.#find()), onchange: () => this.#find() },
      this.who,
      field("Action", "action", { list: "actions", autocomplete: "off" }),
      field("Site", "site", { autocomplete: "off" }),
      field("Since", "since", { type: "datetime-local" }),
      field("Until", "until", { type: "datetime-local" }),
      h("div.row", {}, h("button.primary", {}, "Show"), this.download.element),
      this.problem,
    );
    return this.filters;
  }

  /** What is asked for, as the server takes it; times are the reader's own. */
  async #query() {
    const { user, action, site, since, until } = Object.fromEntries(new FormData(this.filters));
    const at = (text) => (text ? new Date(text).toISOString() : "");
    return { user: await whoIs(this.store, user, "user"), action: action.trim(), site: site.trim(), since: at(since), until: at(until) };
  }

  /** Enter in a field both changes it and sends the form: one question is asked. */
  async #find() {
    const asked = JSON.stringify([...new FormData(this.filters)]);
    if (asked === this.asking) return;
    this.asking = asked;
    this.problem.hidden = true;
    try {
      const query = await this.#query();
      if (asked !== this.asking) return;
      this.hours?.show(query);
      await this.list.show(query);
    } catch (error) {
      this.problem.hidden = false;
      this.problem.textContent = wordsOf(error);
    } finally {
      if (asked === this.asking) this.asking = null;
    }
  }

  #suggest(items) {
    fill(this.actions, [...new Set(items.map((record) => record.action))].map((value) => h("option", { value })));
  }

  #row(record) {
    const { store } = this;
    const { id, user, action, description, metadata, triggered_by, site, at, outcome, address, request_id } = record;
    const time = h("time", { datetime: at }, exactly(at));
    const start = [time, named(store, user), h("code", {}, action)];
    const request = request_id && { request: request_id, ...(site && { site }) };
    const more = details({ ...metadata, ...request }, `record ${id}`);
    if (this.area === "audit") return line(HEADS.audit, [...start, h("code", {}, description), outcome, address, more]);
    return line(HEADS.activity, [...start, description, triggered_by === user ? "" : named(store, triggered_by), site ?? "", more]);
  }
}

function details(data, what) {
  if (!Object.keys(data).length) return "";
  return h("details", {}, h("summary", { "aria-label": `Details of ${what}` }, "Details"), h("pre", {}, JSON.stringify(data, null, 2)));
}

customElements.define("bw-admin-records", Records);
