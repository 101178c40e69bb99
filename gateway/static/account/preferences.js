/** Notification preferences, saved as they are changed. Admins also choose the events of which they are notified. */

import { View, errorText, fill, h, loadError, toast } from "../shared/dom.js";

const TYPES = {
  message: ["Messages", "Messages that you have not seen"],
  community: ["Community", "Likes, comments and replies; new members of your groups"],
  account: ["Your account", "Changes of your account, such as a new password"],
  admin: ["Administration", "Notices from the admins; for admins, also the events that they watch"],
  system: ["Bellwire", "News about the service itself"],
};
const EMAIL = { off: "No e-mail", instant: "At once", hourly: "Each hour", daily: "Each day" };
const WATCHES = {
  "user.created": "Somebody signed up",
  "user.status": "An account was activated or suspended",
  "message.sent": "Messages were sent",
  "user.activity": "Activity in the connected application",
};

/** Properties: `store`. */
class Preferences extends View {
  async render() {
    const { bell, me } = this.store;
    try {
      const [preferences, watches] = await Promise.all([
        bell.call("GET", "/notification-preferences"),
        me.role === "admin" && bell.call("GET", "/admin/watches"),
      ]);
      fill(this, this.#table(preferences), watches && this.#watches(watches));
    } catch (error) {
      fill(
        this,
        loadError(error, () => this.render()),
      );
    }
  }

  #table(preferences) {
    const types = Object.keys(TYPES).filter((type) => preferences[type]);
    const heads = ["Notification", "Here", "By e-mail"].map((text) => h("th", { scope: "col" }, text));
    const rows = types.map((type) => this.#row(type, preferences[type]));
    const table = h("table.choices", {}, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, rows));
    return h("section.sheet", {}, h("h2", {}, "Your notifications"), table);
  }

  #row(type, preference) {
    const [name, description] = TYPES[type];
    const save = async (change) => (await this.#put("/notification-preferences", { [type]: change }))[type];
    const inApp = h("input", {
      type: "checkbox",
      "aria-label": `${name}: show here`,
      checked: preference.in_app,
    });
    saveOnChange(inApp, "checked", {
      save: async (in_app) => (await save({ in_app })).in_app,
      describe: (isShown) => `${name}: ${isShown ? "shown" : "not shown"} here`,
    });
    const options = Object.entries(EMAIL).map(([value, text]) => {
      return h("option", { value, selected: value === preference.email }, text);
    });
    const email = h("select", { "aria-label": `${name}: by e-mail` }, options);
    saveOnChange(email, "value", {
      save: async (value) => (await save({ email: value })).email,
      describe: (value) => `${name}, by e-mail: ${EMAIL[value].toLowerCase()}`,
    });
    const head = h("th", { scope: "row" }, name, h("small", {}, description));
    return h("tr", {}, head, h("td", {}, inApp), h("td", {}, email));
  }

  #watches(watches) {
    const rows = Object.entries(WATCHES).map(([watch, name]) => {
      const box = h("input", { type: "checkbox", checked: watches[watch] });
      saveOnChange(box, "checked", {
        save: async (isWatched) => (await this.#put("/admin/watches", { [watch]: isWatched }))[watch],
        describe: (isWatched) => `${name}: ${isWatched ? "watched" : "not watched"}`,
      });
      return h("li", {}, h("label.row", {}, box, name));
    });
    return h("section.sheet", {}, h("h2", {}, "Events that you watch as an admin"), h("ul", {}, rows));
  }

  #put(path, body) {
    return this.store.bell.call("PUT", path, body);
  }
}

/**
 * Save an input's value when it changes, and confirm it with a toast. If the server refuses, show the error and the
 * saved value. `save(value)` resolves to the saved value; `describe(value)` returns its text.
 */
function saveOnChange(input, property, { save, describe }) {
  let saved = input[property];
  input.addEventListener("change", async () => {
    input.parentElement.querySelector(".problem")?.remove();
    try {
      saved = await save(input[property]);
      toast(`Saved. ${describe(saved)}.`);
    } catch (error) {
      input[property] = saved;
      input.after(h("small.problem", { role: "alert" }, errorText(error)));
    }
  });
}

customElements.define("bw-preferences", Preferences);
