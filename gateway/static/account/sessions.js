/** Where one is signed in, and ending that. */

import { fill, h } from "../shared/dom.js";
import { View } from "../shared/view.js";
import { exactly, shortly, wordsOf } from "../shared/format.js";

const SYSTEMS = [["iPhone", "an iPhone"], ["iPad", "an iPad"], ["Android", "Android"], ["Windows", "Windows"], ["Mac OS X", "a Mac"], ["Linux", "Linux"]];

/** A session's label in words: browsers give theirs, at length. */
function deviceOf(label) {
  if (!label.startsWith("Mozilla/")) return label || "Without a name";
  const [, system] = SYSTEMS.find(([mark]) => label.includes(mark)) ?? [];
  return system ? `A browser on ${system}` : "A browser";
}

class Sessions extends View {
  show() {
    this.list = h("ul.rows", { "aria-label": "Sessions" });
    this.problem = h("p.problem", { role: "alert" });
    this.more = h("button.link", { type: "button", hidden: true, onclick: () => this.#load() }, "Show more");
    fill(this, h("section.sheet", {}, h("h2", { tabindex: "-1" }, "Sessions"), this.list, this.problem, this.more));
    this.#load();
  }

  async #load() {
    this.problem.textContent = "";
    try {
      const page = await this.store.bell.call("GET", "/me/sessions", null, { query: { page: this.next } });
      this.list.append(...page.items.map((session) => this.#row(session)));
      this.next = page.next;
      this.more.hidden = !page.next;
    } catch (error) {
      this.#say(error);
      this.more.hidden = false;
    }
  }

  #row(session) {
    const name = deviceOf(session.label);
    const used = session.last_used_at ?? session.created_at;
    const time = h("time", { datetime: used, title: exactly(used) }, shortly(used));
    const end = async () => {
      this.problem.textContent = "";
      try {
        await this.store.bell.call("DELETE", `/me/sessions/${session.id}`);
        row.remove();
        this.querySelector("h2").focus();
      } catch (error) {
        this.#say(error);
      }
    };
    const button = session.current ? h("strong", {}, "This one") : h("button", { type: "button", onclick: end, "aria-label": `End the session “${name}” of ${exactly(session.created_at)}` }, "End");
    const row = h("li", {}, h("div.grow", {}, h("span.title", { title: session.label }, name), h("small", {}, session.address && `${session.address}, `, session.last_used_at ? "used " : "made ", time)), button);
    return row;
  }

  #say(error) {
    this.problem.textContent = wordsOf(error);
  }
}

customElements.define("bw-sessions", Sessions);
