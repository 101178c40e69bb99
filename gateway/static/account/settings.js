/** Settings: who one is, how one signs in, how the page looks, and where one is signed in. */

import { field, fill, h } from "../shared/dom.js";
import { form } from "../shared/form.js";
import { View, part } from "../shared/view.js";
import { wordsOf } from "../shared/format.js";
import "./password.js";
import "./sessions.js";

const THEME = "bellwire:theme";
const THEMES = [["", "As the system"], ["light", "Light"], ["dark", "Dark"]];
const LANGUAGES = ["ar", "bg", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "he", "hi", "hr", "hu", "id", "it", "ja", "ko", "lt", "lv", "nb", "nl", "pl", "pt", "pt-BR", "ro", "ru", "sk", "sl", "sr", "sv", "th", "tr", "uk", "vi", "zh"];

class Settings extends View {
  async show() {
    const { store } = this;
    fill(this, h("p.empty", { role: "status" }, "Loading…"));
    try {
      this.me = await store.bell.call("GET", "/me");
    } catch (error) {
      fill(this, h("p.empty.problem", { role: "alert" }, wordsOf(error), h("button", { type: "button", onclick: () => this.show() }, "Try again")));
      return;
    }
    const sections = [this.#profile(), part("bw-password", { store, me: this.me, change: (changes) => this.#change(changes) }), this.#theme(), part("bw-sessions", { store }), this.#rest()];
    fill(this, h("header.bar", {}, h("h1", {}, "Settings")), h("div.column", {}, sections));
  }

  async #change(changes) {
    this.me = await this.store.bell.call("PATCH", "/me", changes);
    const { id, username, display_name, role, status } = this.me;
    Object.assign(this.store.me, { id, username, display_name, role, status });
  }

  #profile() {
    const { display_name, username, email, profile } = this.me;
    const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const names = new Set([profile.timezone, own, ...Intl.supportedValuesOf("timeZone"), "UTC"].filter(Boolean));
    const zone = field("Time zone", "timezone", { value: profile.timezone, options: [...names].sort().map((name) => [name, name.replaceAll("_", " ")]) }, "Mails that gather what happened come by its clock");
    const choose = h("button.link", { type: "button", onclick: () => (zone.querySelector("select").value = own) }, `Use that of this device: ${own}`);
    const languages = [...new Set([...LANGUAGES, navigator.language, profile.locale])].map((tag) => [tag, named(tag)]).sort(([, a], [, b]) => a.localeCompare(b));
    const fields = [
      field("Display name", "display_name", { value: display_name, maxlength: 80, required: true, autocomplete: "name" }),
      h("div.field", {}, zone, own && own !== profile.timezone && choose),
      field("Language", "locale", { value: profile.locale, options: languages }, "For applications that ask for it: this page is in English"),
    ];
    const save = form(fields, "Save", async (changes) => {
      await this.#change(changes);
      return "Saved.";
    });
    return h("section.sheet", {}, h("h2", {}, "Profile"), h("p.quiet", {}, `@${username}, ${email}`), save);
  }

  #theme() {
    const chosen = localStorage.getItem(THEME) ?? "";
    const choices = THEMES.map(([value, text]) => h("label.row", {}, h("input", { type: "radio", name: "theme", value, checked: value === chosen, onchange: () => wear(value) }), text));
    return h("fieldset.sheet", {}, h("legend", {}, "Appearance"), h("div.row.choice", {}, choices));
  }

  #rest() {
    const problem = h("p.problem", { role: "alert" });
    const out = async () => {
      problem.textContent = "";
      try {
        await this.store.bell.logout();
        this.leave("");
      } catch (error) {
        problem.textContent = wordsOf(error);
      }
    };
    const button = h("button.dangerous", { type: "button", onclick: out }, "Sign out");
    return h("section.sheet", {}, h("p.row", {}, h("a.grow", { href: "/api/docs" }, "The API’s documentation"), button), problem);
  }
}

function wear(theme) {
  if (theme) localStorage.setItem(THEME, theme);
  else localStorage.removeItem(THEME);
  document.documentElement.dataset.theme = theme;
}

/** A language in its own words. */
function named(tag) {
  try {
    return new Intl.DisplayNames([tag], { type: "language" }).of(tag);
  } catch {
    return tag; // not one that the browser knows
  }
}

customElements.define("bw-settings", Settings);
