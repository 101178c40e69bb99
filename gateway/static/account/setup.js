/** The first steps of an admin: the organisation's name, a mail that shows whether mail arrives, and the first invitation. */

import { field } from "../shared/dialog.js";
import { View, errorText, fill, h, loadError } from "../shared/dom.js";
import { form } from "../shared/form.js";
import { t } from "../shared/words.js";
import { invitePeople } from "./invite.js";

/** Properties: `store`. */
class Setup extends View {
  async render() {
    const { bell, me } = this.store;
    const header = h("header.bar", {}, h("h1", {}, t("setup.title")));
    if (me.role !== "admin") return fill(this, header, h("p.empty", {}, t("admin.only-admins")));
    try {
      const { organisation, mail } = await bell.call("GET", "/instance");
      const start = h("a", { href: "#/conversations" }, t("setup.start"));
      const sheets = [this.#organisation(organisation), this.#mail(mail), this.#invite()];
      return fill(this, header, h("div.column", {}, sheets, h("p", {}, start)));
    } catch (error) {
      return fill(this, header, loadError(error, () => this.render()));
    }
  }

  #organisation(name) {
    const props = { value: name ?? "", required: true, autocomplete: "organization", dir: "auto" };
    const nameField = field(t("setup.organisation"), "organisation", props, t("setup.organisation-hint"));
    const save = async (changes) => {
      await this.store.bell.call("PATCH", "/admin/instance", changes);
      return t("settings.saved");
    };
    return this.#sheet(t("setup.your-bellwire"), form([nameField], t("settings.save"), save));
  }

  #mail(isSent) {
    if (!isSent) return this.#sheet(t("setup.mail"), h("p.quiet", {}, t("organisation.mail.none")));
    const send = async () => {
      const { to } = await this.store.bell.call("POST", "/admin/test-mail", {});
      return t("setup.mail-sent", { email: to });
    };
    const about = h("p.quiet", {}, t("setup.mail-about"));
    return this.#sheet(t("setup.mail"), form([about], t("setup.mail-test"), send));
  }

  #invite() {
    const problem = h("p.problem", { role: "alert" });
    const onclick = async () => {
      await invitePeople(this.store).catch((error) => (problem.textContent = errorText(error)));
    };
    const button = h("button.primary", { type: "button", onclick }, t("invite.people"));
    const about = h("p.quiet", {}, t("setup.invite-about"));
    return this.#sheet(t("setup.invite"), about, problem, button);
  }

  #sheet(title, ...contents) {
    return h("section.sheet", {}, h("h2", {}, title), contents);
  }
}

/** An invitation that somebody opens who is signed in. Properties: `store`. */
class Invitation extends View {
  render() {
    const text = t("invitation.signed-in", { name: this.store.me.display_name });
    const header = h("header.bar", {}, h("h1", {}, t("invitation.title")));
    fill(this, header, h("div.column", {}, h("p", {}, text)));
  }
}

customElements.define("bw-setup", Setup);
customElements.define("bw-invitation", Invitation);
