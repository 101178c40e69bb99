/** The people whom the user has blocked, and buttons to unblock them. */

import { unblock } from "../chat/blocks.js";
import { View, avatar, errorText, fill, h } from "../shared/dom.js";
import { handleOf, nameOf } from "../shared/format.js";
import { t } from "../shared/words.js";

/** Properties: `store`. */
class Blocked extends View {
  render() {
    this.list = h("ul.rows", { "aria-label": t("blocked.title") });
    this.problem = h("p.problem", { role: "alert" });
    this.none = h("p.quiet", { hidden: true }, t("blocked.none"));
    const props = { type: "button", hidden: true, onclick: () => this.#load() };
    this.more = h("button.link", props, t("sessions.more"));
    const title = h("h2", { tabindex: "-1" }, t("blocked.title"));
    fill(this, h("section.sheet", {}, title, this.none, this.list, this.problem, this.more));
    this.listen(this.store, "blocks", () => this.#reload());
    this.#load();
  }

  /** Somebody was blocked or unblocked, here or on another device. */
  #reload() {
    this.next = null;
    this.#load({ replace: true });
  }

  async #load({ replace = false } = {}) {
    const request = (this.latest = {}); // the answer to an earlier one is ignored
    this.problem.textContent = "";
    try {
      const page = await this.store.bell.call("GET", "/me/blocks", null, { query: { page: this.next } });
      if (request !== this.latest) return;
      const hadFocus = replace && this.list.contains(document.activeElement);
      if (replace) fill(this.list);
      this.list.append(...page.items.map(({ user }) => this.#row(user)));
      this.next = page.next;
      this.more.hidden = !page.next;
      this.none.hidden = Boolean(this.list.children.length);
      if (hadFocus) this.querySelector("h2").focus();
    } catch (error) {
      this.problem.textContent = errorText(error);
      this.more.hidden = false;
    }
  }

  #row(user) {
    const name = nameOf(user);
    const props = { type: "button", onclick: () => unblock(this.store, user), "aria-label": t("block.undo-name", { name }) };
    const about = h("div.grow", {}, h("span.title", { dir: "auto" }, name), h("small", {}, handleOf(user)));
    return h("li", {}, avatar(name, user.id), about, h("button", props, t("block.undo")));
  }
}

customElements.define("bw-blocked", Blocked);
