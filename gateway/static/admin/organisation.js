/** The organisation: its name, and a mail that shows whether mail arrives. */

import { field } from "../shared/dialog.js";
import { View, errorText, fill, h, loadError } from "../shared/dom.js";
import { form } from "../shared/form.js";
import { LIMITS } from "../shared/limits.js";
import { t } from "../shared/words.js";
import { bounded } from "./form.js";
import { pill } from "./list.js";
import { repeatWhileVisible } from "./live.js";

const REFRESH_MS = 1000; // until the mail has left or its first attempt has failed
const TONES = { queued: "quiet", sent: "good", dead: "bad", dropped: "bad", failing: "warn" };

/** Properties: `store`. */
class Organisation extends View {
  async render() {
    this.outcome = h("div.answer", { role: "status" });
    fill(this, h("p.quiet", { role: "status" }, t("loading")));
    try {
      const { organisation, mail } = await this.store.bell.call("GET", "/instance");
      fill(this, this.#nameForm(organisation ?? ""), mail ? this.#mailPanel() : noMailPanel());
    } catch (error) {
      const retry = () => this.render();
      fill(this, loadError(error, retry));
    }
  }

  #nameForm(value) {
    const props = { value, required: true, autocomplete: "organization", dir: "auto" };
    const bounds = bounded(LIMITS.OrganisationName.organisation);
    const name = field(t("organisation.name"), "organisation", { ...props, ...bounds }, t("organisation.name.hint"));
    const save = async ({ organisation }) => {
      await this.store.bell.call("PATCH", "/admin/instance", { organisation: organisation.trim() });
      return t("organisation.saved");
    };
    const element = form([name], t("organisation.save"), save);
    element.classList.add("panel");
    return element;
  }

  #mailPanel() {
    const element = form([h("p.quiet", {}, t("organisation.mail.lead"))], t("organisation.mail.send"), async () => {
      await this.store.bell.call("POST", "/admin/test-mail", null);
      this.#follow();
    });
    element.classList.add("panel");
    element.setAttribute("aria-label", t("organisation.mail"));
    element.prepend(h("h3", {}, t("organisation.mail")));
    element.append(this.outcome);
    return element;
  }

  /** Show what becomes of the newest test mail, until it has left or can't be sent. */
  #follow() {
    this.shown = null;
    if (this.isFollowing) return;
    this.isFollowing = true;
    const refresh = async () => {
      const isDone = await this.#refresh();
      this.isFollowing = !isDone;
      return isDone;
    };
    repeatWhileVisible(this, () => REFRESH_MS, refresh);
  }

  /** Return whether the mail has ended. */
  async #refresh() {
    const options = { retry: false, signal: this.lifetime.signal };
    try {
      const mail = await this.store.bell.call("GET", "/admin/test-mail", null, options);
      this.#show(mail);
      return mail.state !== "queued";
    } catch (error) {
      fill(this.outcome, h("p.problem", {}, errorText(error)));
      return false;
    }
  }

  #show({ to, state, error }) {
    const word = state === "queued" && error ? "failing" : state;
    const text = t(`organisation.mail.${word}`, { address: to });
    const version = JSON.stringify([word, to, error]);
    if (version === this.shown) return; // screen readers read it once
    this.shown = version;
    const jobs = h("a", { href: "#/admin/jobs" }, t("admin.area.jobs"));
    fill(
      this.outcome,
      h("p.row", {}, pill(t(`organisation.mail-state.${word}`), TONES[word]), h("span", {}, text)),
      error && h("p.problem", {}, error),
      error && h("p", {}, jobs),
    );
  }
}

function noMailPanel() {
  const title = t("organisation.mail");
  return h("section.panel", { "aria-label": title }, h("h3", {}, title), h("p", {}, t("organisation.mail.none")));
}

customElements.define("bw-admin-organisation", Organisation);
