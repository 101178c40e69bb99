/** Notification preferences, saved as they are changed. Admins also choose the events of which they are notified. */

import { View, errorText, fill, h, loadError, toast } from "../shared/dom.js";
import { typeName } from "../shared/decisions.js";
import { hasWords, t } from "../shared/words.js";
import { OWN_TYPES } from "./notices.js";

const EMAIL = ["off", "instant", "hourly", "daily"];
const WATCHES = ["user.created", "user.status", "report.created", "message.sent", "user.activity"];

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
    const types = [...OWN_TYPES, ...Object.keys(preferences).filter((type) => !OWN_TYPES.includes(type))];
    const headKeys = ["preferences.notification", "preferences.here", "preferences.by-push", "preferences.by-email"];
    const heads = headKeys.map((key) => h("th", { scope: "col" }, t(key)));
    const rows = types.map((type) => this.#row(type, preferences[type]));
    const table = h("table.choices", {}, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, rows));
    return h("section.sheet", {}, h("h2", {}, t("preferences.title")), table);
  }

  #row(type, preference) {
    const name = typeName(type);
    const about = `preferences.about.${type}`;
    const save = async (change) => (await this.#put("/notification-preferences", { [type]: change }))[type];
    const inApp = box(t("preferences.show-here", { name }), preference.in_app, {
      save: async (in_app) => (await save({ in_app })).in_app,
      describe: (isShown) => t(isShown ? "preferences.saved-shown" : "preferences.saved-hidden", { name }),
    });
    const push = box(t("preferences.push-one", { name }), preference.push, {
      save: async (isPushed) => (await save({ push: isPushed })).push,
      describe: (isPushed) => t(isPushed ? "preferences.saved-pushed" : "preferences.saved-unpushed", { name }),
    });
    const options = EMAIL.map((value) => {
      return h("option", { value, selected: value === preference.email }, t(`preferences.email.${value}`));
    });
    const email = h("select", { "aria-label": t("preferences.send-by-email", { name }) }, options);
    saveOnChange(email, "value", {
      save: async (value) => (await save({ email: value })).email,
      describe: (value) => t(`preferences.saved-email.${value}`, { name }),
    });
    const head = h("th", { scope: "row" }, name, hasWords(about) && h("small", {}, t(about)));
    return h("tr", {}, head, h("td", {}, inApp), h("td", {}, push), h("td", {}, email));
  }

  #watches(watches) {
    const rows = WATCHES.map((watch) => {
      const name = t(`preferences.watch.${watch}`);
      const box = h("input", { type: "checkbox", checked: watches[watch] });
      saveOnChange(box, "checked", {
        save: async (isWatched) => (await this.#put("/admin/watches", { [watch]: isWatched }))[watch],
        describe: (isWatched) => {
          return t(isWatched ? "preferences.saved-watched" : "preferences.saved-unwatched", { name });
        },
      });
      return h("li", {}, h("label.row", {}, box, h("span.grow", {}, name)));
    });
    return h("section.sheet", {}, h("h2", {}, t("preferences.watches")), h("ul", {}, rows));
  }

  #put(path, body) {
    return this.store.bell.call("PUT", path, body);
  }
}

/** A labelled box of the table, which is saved when it is changed. */
function box(label, checked, saving) {
  const input = h("input", { type: "checkbox", "aria-label": label, checked });
  saveOnChange(input, "checked", saving);
  return h("label.tick", {}, input);
}

/**
 * Save an input's value when it changes, and confirm it with a toast. If the server refuses, show the error and the
 * saved value. `save(value)` resolves to the saved value; `describe(value)` returns the text that confirms it.
 */
function saveOnChange(input, property, { save, describe }) {
  let saved = input[property];
  input.addEventListener("change", async () => {
    input.parentElement.querySelector(".problem")?.remove();
    try {
      saved = await save(input[property]);
      toast(describe(saved));
    } catch (error) {
      input[property] = saved;
      input.after(h("small.problem", { role: "alert" }, errorText(error)));
    }
  });
}

customElements.define("bw-preferences", Preferences);
