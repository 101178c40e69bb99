/**
 * The admin area: its header with tabs. Each area is a module of its own, loaded when it is opened; other users load
 * none of them.
 */

import { View, createView, fill, h, loadError } from "../shared/dom.js";
import { report } from "../shared/failures.js";
import { load } from "../shared/load.js";
import { t } from "../shared/words.js";

/** In order: the word in the address, the custom element, and the module that defines it. */
const AREAS = [
  ["users", "bw-admin-users", "admin/users.js"],
  ["reports", "bw-admin-reports", "admin/reports.js"],
  ["invitations", "bw-admin-invitations", "admin/invitations.js"],
  ["organisation", "bw-admin-organisation", "admin/organisation.js"],
  ["activity", "bw-admin-records", "admin/records.js"],
  ["audit", "bw-admin-records", "admin/records.js"],
  ["webhooks", "bw-admin-webhooks", "admin/webhooks.js"],
  ["hooks", "bw-admin-hooks", "admin/hooks.js"],
  ["jobs", "bw-admin-jobs", "admin/jobs.js"],
  ["announce", "bw-admin-announce", "admin/announce.js"],
  ["explain", "bw-admin-explain", "admin/explain.js"],
];
let focusTab = false; // each address creates this view again: after a click on a tab, its successor gets the focus

// Load the styles before anything is shown, so that the layout does not jump.
const styles = h("link", { rel: "stylesheet", href: "/static/admin/admin.css" });
const stylesLoaded = new Promise((resolve) => (styles.onload = styles.onerror = resolve));
document.head.append(styles);
await stylesLoaded;

/** Properties: `store`, `item` (the area's word from the address), `detail` and `more` (the words after it). */
class Admin extends View {
  render() {
    this.isAdmin = null;
    this.listen(this.store, "me", () => this.#draw());
    this.#draw();
  }

  /** Draw again only when the user's role has changed. */
  #draw() {
    const isAdmin = this.store.me.role === "admin";
    if (isAdmin === this.isAdmin) return;
    this.isAdmin = isAdmin;
    if (isAdmin) this.#showArea();
    else fill(this, h("p.empty", {}, t("admin.only-admins")));
  }

  async #showArea() {
    const { store, detail, more } = this;
    const [area, element, module] = AREAS.find(([word]) => word === this.item) ?? AREAS[0];
    const body = h("div.admin-body", {}, h("p.quiet", { role: "status" }, t("loading")));
    const title = t("admin.title");
    const tabs = h("nav.tabs", { "aria-label": title }, this.#tabs(area));
    fill(this, h("header.bar.admin-head", {}, h("h1", {}, title), tabs), body);
    const current = tabs.querySelector("[aria-current]");
    current.scrollIntoView({ block: "nearest", inline: "center" });
    if (focusTab) current.focus();
    focusTab = false;
    try {
      await load(module);
      const view = createView(element, { store, area, detail, more });
      fill(body, h("h2.hidden", {}, t(`admin.area.${area}`)), view);
    } catch (error) {
      this.#showFailure(body, error);
    }
  }

  /** Say why an area could not be loaded. When it fails again, a part of it does: only a new page loads that again. */
  #showFailure(body, error) {
    const retry = this.hasFailed ? () => location.reload() : () => this.#showArea();
    this.hasFailed = true;
    if (!(error instanceof TypeError)) report("area", error);
    fill(body, loadError(error, retry));
    this.dispatchEvent(new Event("load-failed", { bubbles: true }));
  }

  #tabs(area) {
    const onclick = () => (focusTab = true);
    return AREAS.map(([word]) => {
      const props = { href: `#/admin/${word}`, "aria-current": word === area && "page", onclick };
      return h("a", props, t(`admin.area.${word}`));
    });
  }
}

customElements.define("bw-admin", Admin);
