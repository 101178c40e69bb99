/** Settings: the profile, quiet hours, the password, the appearance, the sessions, and signing out. */

import { forget } from "../device/push.js";
import { field } from "../shared/dialog.js";
import { View, createView, errorText, fill, h, loadError } from "../shared/dom.js";
import { form } from "../shared/form.js";
import { eraseTexts, theme } from "../shared/storage.js";
import { language, languageOf, languages, t } from "../shared/words.js";
import { useLanguage } from "./adoption.js";
import "./blocked.js";
import "./device.js";
import "./password.js";
import "./quiet-hours.js";
import "./sessions.js";

const THEMES = ["", "light", "dark"]; // "" is that of the system

/** Properties: `store`, `leave` (shows the sign-in). */
class Settings extends View {
  async render() {
    const { store } = this;
    fill(this, h("p.empty", { role: "status" }, t("loading")));
    try {
      this.me = await store.bell.call("GET", "/me");
    } catch (error) {
      fill(
        this,
        loadError(error, () => this.render()),
      );
      return;
    }
    const change = (changes) => this.#change(changes);
    this.quiet = createView("bw-quiet-hours", { store, me: this.me, change });
    const sections = [
      this.#profile(),
      this.quiet,
      createView("bw-password", { store, me: this.me, change }),
      this.#appearance(),
      createView("bw-device", { store }),
      createView("bw-sessions", { store }),
      createView("bw-blocked", { store }),
      this.#export(),
      this.#signOut(),
    ];
    fill(this, h("header.bar", {}, h("h1", {}, t("section.settings"))), h("div.column", {}, sections));
  }

  async #change(changes) {
    this.me = await this.store.bell.call("PATCH", "/me", changes);
    const { id, username, display_name, role, status, profile, quiet } = this.me;
    Object.assign(this.store.me, { id, username, display_name, role, status, profile, quiet });
    this.quiet.update(this.me);
  }

  #export() {
    const link = h("a.grow", { href: "/api/v1/me/export", download: "" }, t("settings.export"));
    const hint = h("p.quiet", {}, t("settings.export.hint"));
    return h("section.sheet", {}, h("h2", {}, t("settings.data")), hint, h("p.row", {}, link));
  }

  #profile() {
    const { display_name, username, email } = this.me;
    const nameProps = { value: display_name, required: true, autocomplete: "name", dir: "auto" };
    const name = field(t("settings.display-name"), "display_name", nameProps);
    const fields = [name, this.#timeZone(), this.#language()];
    const save = async ({ locale, ...changes }) => {
      const isOther = locale !== (languageOf(this.me.profile.locale) ?? language());
      await this.#change(isOther ? { ...changes, locale } : changes);
      if (locale !== language()) useLanguage(locale);
      return t("settings.saved");
    };
    const account = h("p.quiet", {}, h("bdi", {}, `@${username}, ${email}`));
    const title = h("h2", {}, t("settings.profile"));
    return h("section.sheet", {}, title, account, form(fields, t("settings.save"), save));
  }

  #timeZone() {
    const { timezone } = this.me.profile;
    const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const names = new Set([timezone, own, ...Intl.supportedValuesOf("timeZone"), "UTC"].filter(Boolean));
    const options = [...names].sort().map((name) => [name, name.replaceAll("_", " ")]);
    const hint = t("settings.time-zone-hint");
    const label = field(t("settings.time-zone"), "timezone", { value: timezone, options }, hint);
    const onclick = () => (label.querySelector("select").value = own);
    const useOwn = h("button.link", { type: "button", onclick }, t("settings.use-own-zone", { zone: own }));
    return h("div.field", {}, label, own && own !== timezone && useOwn);
  }

  #language() {
    const props = { value: language(), options: languages() };
    return field(t("settings.language"), "locale", props, t("settings.language-hint"));
  }

  #appearance() {
    const chosen = theme.read();
    const choices = THEMES.map((value) => {
      const onchange = () => setTheme(value);
      const radio = h("input", { type: "radio", name: "theme", value, checked: value === chosen, onchange });
      return h("label.row", {}, radio, t(`settings.theme.${value || "system"}`));
    });
    const legend = h("legend", {}, t("settings.appearance"));
    return h("fieldset.sheet", {}, legend, h("div.row.choice", {}, choices));
  }

  #signOut() {
    const problem = h("p.problem", { role: "alert" });
    const onclick = async () => {
      problem.textContent = "";
      try {
        await this.store.bell.logout();
        forget(this.store.me.id).catch(() => {}); // a browser may have no notifications
        this.leave("");
        eraseTexts();
      } catch (error) {
        problem.textContent = errorText(error);
      }
    };
    const button = h("button.dangerous", { type: "button", onclick }, t("settings.sign-out"));
    const docs = h("a.grow", { href: "/api/docs" }, t("settings.api-docs"));
    return h("section.sheet", {}, h("p.row", {}, docs, button), problem);
  }
}

function setTheme(value) {
  theme.write(value);
  document.documentElement.dataset.theme = value; // also where nothing can be stored
}

customElements.define("bw-settings", Settings);
