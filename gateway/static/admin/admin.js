/**
 * The admin area: its header with tabs. Each area is a module of its own, loaded when it is opened; other users load
 * none of them.
 */

import { View, createView, fill, h } from "../shared/dom.js";

/** In order: the word in the address, the tab's text, the custom element, and the module that defines it. */
const AREAS = [
  ["users", "Users", "bw-admin-users", () => import("./users.js")],
  ["activity", "Activity", "bw-admin-records", () => import("./records.js")],
  ["audit", "Audit", "bw-admin-records", () => import("./records.js")],
  ["jobs", "Jobs", "bw-admin-jobs", () => import("./jobs.js")],
  ["announce", "Announce", "bw-admin-announce", () => import("./announce.js")],
  ["explain", "Explain", "bw-admin-explain", () => import("./explain.js")],
];
let focusTab = false; // each address creates this view again: after a click on a tab, its successor gets the focus

// Load the styles before anything is shown, so that the layout does not jump.
const styles = h("link", { rel: "stylesheet", href: "/static/admin/admin.css" });
const stylesLoaded = new Promise((resolve) => (styles.onload = styles.onerror = resolve));
document.head.append(styles);
await stylesLoaded;

/** Properties: `store`, `item` (the area's word from the address) and `detail` (the word after it). */
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
    else fill(this, h("p.empty", {}, "This area is for administrators only."));
  }

  async #showArea() {
    const [area, title, element, load] = AREAS.find(([word]) => word === this.item) ?? AREAS[0];
    const body = h("div.admin-body", {}, h("p.quiet", { role: "status" }, "Loading…"));
    const tabs = h("nav.tabs", { "aria-label": "Administration" }, this.#tabs(area));
    fill(this, h("header.bar.admin-head", {}, h("h1", {}, "Administration"), tabs), body);
    const current = tabs.querySelector("[aria-current]");
    current.scrollIntoView({ block: "nearest", inline: "center" });
    if (focusTab) current.focus();
    focusTab = false;
    try {
      await load();
      const view = createView(element, { store: this.store, area, detail: this.detail });
      fill(body, h("h2.hidden", {}, title), view);
    } catch {
      const text = "This area could not be loaded: there is no connection to the server.";
      fill(body, h("p.problem", { role: "alert" }, text));
    }
  }

  #tabs(area) {
    const onclick = () => (focusTab = true);
    return AREAS.map(([word, text]) => {
      return h("a", { href: `#/admin/${word}`, "aria-current": word === area && "page", onclick }, text);
    });
  }
}

customElements.define("bw-admin", Admin);
