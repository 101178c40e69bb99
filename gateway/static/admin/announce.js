/** Telling many people at once: what, to whom, and how far it is. What is written is kept until it is on its way. */

import { ask, field, fill, h } from "../shared/dom.js";
import { progress, whileSeen } from "./live.js";
import { form } from "../shared/form.js";
import { Picker } from "../chat/people.js";
import { View } from "../shared/view.js";
import { nameOf, plural, wordsOf } from "../shared/format.js";

const EVERY_MS = 1000;
const TYPES = [["system", "System"], ["account", "Account"], ["admin", "Administration"], ["community", "Community"], ["message", "Messages"]];
const WHOM = [["user", "All users"], ["admin", "All admins"], ["chosen", "People whom I choose"]];
const UNSURE = "No answer came, so it may be under way: look at the jobs before you announce it again.";

class Announce extends View {
  show() {
    this.key = `bellwire:draft:${this.store.me.id}:announcement`;
    this.picker = new Picker(this.store, []);
    this.picker.element.hidden = true;
    const fields = [
      field("To", "whom", { options: WHOM, onchange: () => this.#whom() }),
      this.picker.element,
      field("Type", "type", { options: TYPES }, "Their preferences for this type decide whether it is mailed, too"),
      field("Title", "title", { required: true, maxlength: "200", autocomplete: "off" }),
      field("Text", "body", { rows: 5, maxlength: "2000" }),
    ];
    this.form = form(fields, "Announce…", (given) => this.#send(given));
    this.form.classList.add("panel");
    this.form.addEventListener("input", () => localStorage.setItem(this.key, JSON.stringify(Object.fromEntries(new FormData(this.form)))));
    this.sent = h("div.sent", { "aria-live": "polite" });
    fill(this, this.form, this.sent);
    this.#restore(JSON.parse(localStorage.getItem(this.key) ?? "{}"));
  }

  #restore(draft) {
    for (const [name, value] of Object.entries(draft)) if (this.form.elements[name]) this.form.elements[name].value = value;
    this.#whom();
  }

  #whom() {
    this.picker.element.hidden = this.form.elements.whom.value !== "chosen";
  }

  async #send({ whom, type, title, body }) {
    const people = [...this.picker.chosen.values()];
    if (whom === "chosen" && !people.length) throw new Error("Choose somebody first.");
    const to = whom === "chosen" ? { user_ids: people.map((user) => user.id) } : { role: whom };
    const whole = { ...to, type, title: title.trim(), body: body.trim() };
    if (!(await this.#isSure(whom, people, whole))) return;
    const { job } = await this.store.bell.call("POST", "/admin/notifications", whole).catch((error) => {
      throw error.status ? error : new Error(`${wordsOf(error)} ${UNSURE}`);
    });
    localStorage.removeItem(this.key);
    for (const name of ["title", "body"]) this.form.elements[name].value = "";
    this.#follow(job, whole.title);
  }

  /** It can't be taken back, and Enter in the title is soon pressed. */
  #isSure(whom, people, { title, body }) {
    const names = people.length > 3 ? plural(people.length, "person", "people") : people.map(nameOf).join(", ");
    const to = whom === "chosen" ? names : whom === "admin" ? "all admins" : "all users";
    return ask(`Announce to ${to}?`, [h("blockquote", {}, h("strong", {}, title), h("p", {}, body))], "Announce", () => true);
  }

  /** Shows how far it is, to the end. */
  #follow(job, title) {
    const place = h("section.panel", { "aria-label": title, tabindex: "-1" }, h("h3", {}, title), progress({ title, state: "running", done: 0, total: null }));
    this.sent.prepend(place);
    place.focus();
    whileSeen(this, () => EVERY_MS, async () => {
      const { fanouts } = await this.store.bell.call("GET", "/admin/jobs", null, { again: false, signal: this.ended.signal }).catch(() => ({ fanouts: [] }));
      const one = fanouts.find((each) => each.job === job);
      if (one) place.lastChild.replaceWith(progress(one));
      return one?.state === "done";
    });
  }
}

customElements.define("bw-admin-announce", Announce);
