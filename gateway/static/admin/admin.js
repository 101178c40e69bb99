/** The admin area: its frame and tabs. Each part is a file of its own, loaded when somebody goes there; who is no admin loads none. */

import { fill, h } from "../shared/dom.js";
import { View, part } from "../shared/view.js";

/** In order: the word in the address, what it is called, the element that shows it, and where that comes from. */
const AREAS = [
  ["users", "Users", "bw-admin-users", () => import("./users.js")],
  ["activity", "Activity", "bw-admin-records", () => import("./records.js")],
  ["audit", "Audit", "bw-admin-records", () => import("./records.js")],
  ["jobs", "Jobs", "bw-admin-jobs", () => import("./jobs.js")],
  ["announce", "Announce", "bw-admin-announce", () => import("./announce.js")],
  ["explain", "Explain", "bw-admin-explain", () => import("./explain.js")],
];
let byTab = false; // each address makes this element anew: who goes by a tab finds the focus on it again

const style = h("link", { rel: "stylesheet", href: "/static/admin/admin.css" });
const styled = new Promise((resolve) => (style.onload = style.onerror = resolve));
document.head.append(style);
await styled; // nothing is shown in between that would jump

class Admin extends View {
  show() {
    this.isAdmin = null;
    this.on(this.store, "me", () => this.#draw());
    this.#draw();
  }

  /** Again when the role has changed while it is shown. */
  #draw() {
    const isAdmin = this.store.me.role === "admin";
    if (isAdmin === this.isAdmin) return;
    this.isAdmin = isAdmin;
    if (isAdmin) this.#area();
    else fill(this, h("p.empty", {}, "There is nothing here for you."));
  }

  async #area() {
    const [where, title, name, load] = AREAS.find(([word]) => word === this.item) ?? AREAS[0];
    const links = AREAS.map(([word, label]) => h("a", { href: `#/admin/${word}`, "aria-current": word === where && "page", onclick: () => (byTab = true) }, label));
    const body = h("div.admin-body", {}, h("p.quiet", { role: "status" }, "Loading…"));
    fill(this, h("header.bar.admin-head", {}, h("h1", {}, "Administration"), h("nav.tabs", { "aria-label": "Administration" }, links)), body);
    const current = links.find((link) => link.hasAttribute("aria-current"));
    current.scrollIntoView({ block: "nearest", inline: "center" });
    if (byTab) current.focus();
    byTab = false;
    try {
      await load();
      fill(body, h("h2.hidden", {}, title), part(name, { store: this.store, area: where, more: this.more }));
    } catch {
      fill(body, h("p.problem", { role: "alert" }, "This part could not be loaded: there is no connection to the server."));
    }
  }
}

customElements.define("bw-admin", Admin);
