/** What one wants to hear of, and how: saved as it is changed. Admins also choose what they watch. */

import { fill, h, toast } from "../shared/dom.js";
import { View } from "../shared/view.js";
import { wordsOf } from "../shared/format.js";

const TYPES = {
  message: ["Messages", "What others write to you while you are not looking"],
  community: ["Community", "Likes, comments and answers, who joins your groups"],
  account: ["Your account", "Changes to it, such as a new password"],
  admin: ["Administration", "What admins tell you, and what you watch as one"],
  system: ["Bellwire", "News of the service itself"],
};
const EMAIL = { off: "No e-mail", instant: "At once", hourly: "Each hour", daily: "Each day" };
const WATCHES = {
  "user.created": "Somebody signed up",
  "user.status": "An account was activated or suspended",
  "message.sent": "Messages were sent",
  "user.activity": "Activity of the application around Bellwire",
};

class Preferences extends View {
  async show() {
    const { bell, me } = this.store;
    try {
      const [chosen, watched] = await Promise.all([bell.call("GET", "/notification-preferences"), me.role === "admin" && bell.call("GET", "/admin/watches")]);
      fill(this, this.#table(chosen), watched && this.#watches(watched));
    } catch (error) {
      fill(this, h("p.problem", { role: "alert" }, wordsOf(error), " ", h("button", { type: "button", onclick: () => this.show() }, "Try again")));
    }
  }

  #table(chosen) {
    const known = Object.keys(TYPES).filter((type) => chosen[type]);
    const head = h("thead", {}, h("tr", {}, ["What", "Here", "By e-mail"].map((text) => h("th", { scope: "col" }, text))));
    const rows = h("tbody", {}, known.map((type) => this.#row(type, chosen[type])));
    return h("section.sheet", {}, h("h2", {}, "What you hear of"), h("table.choices", {}, head, rows));
  }

  #row(type, chosen) {
    const [name, about] = TYPES[type];
    const save = (change) => this.#put("/notification-preferences", { [type]: change }).then((all) => all[type]);
    const here = this.#switch(`${name}: show here`, chosen.in_app, async (in_app) => (await save({ in_app })).in_app, (is) => `${name}: ${is ? "shown" : "not shown"} here`);
    const choices = Object.entries(EMAIL).map(([value, text]) => h("option", { value, selected: value === chosen.email }, text));
    const mail = h("select", { "aria-label": `${name}: by e-mail` }, choices);
    this.#saving(mail, "value", async (email) => (await save({ email })).email, (is) => `${name}, by e-mail: ${EMAIL[is].toLowerCase()}`);
    return h("tr", {}, h("th", { scope: "row" }, name, h("small", {}, about)), h("td", {}, here), h("td", {}, mail));
  }

  #watches(watched) {
    const rows = Object.entries(WATCHES).map(([watch, name]) => {
      const save = async (is) => (await this.#put("/admin/watches", { [watch]: is }))[watch];
      return h("li", {}, h("label.row", {}, this.#switch(null, watched[watch], save, (is) => `${name}: ${is ? "watched" : "not watched"}`), name));
    });
    return h("section.sheet", {}, h("h2", {}, "What you watch as an admin"), h("ul", {}, rows));
  }

  #put(path, body) {
    return this.store.bell.call("PUT", path, body);
  }

  #switch(label, checked, save, words) {
    const box = h("input", { type: "checkbox", "aria-label": label, checked });
    this.#saving(box, "checked", save, words);
    return box;
  }

  /** Saves what a field says when it is changed, and says so; if that is refused, the field says again what holds. */
  #saving(input, property, save, words) {
    let holds = input[property];
    input.addEventListener("change", async () => {
      const problem = input.parentElement.querySelector(".problem");
      problem?.remove();
      try {
        holds = await save(input[property]);
        toast(`Saved. ${words(holds)}.`);
      } catch (error) {
        input[property] = holds;
        input.after(h("small.problem", { role: "alert" }, wordsOf(error)));
      }
    });
  }
}

customElements.define("bw-preferences", Preferences);
