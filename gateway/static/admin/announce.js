/**
 * Announcements to many users: the form, and the progress of those that were sent. The draft is kept until the server
 * accepts it.
 */

import { field, openDialog } from "../shared/dialog.js";
import { View, errorText, fill, h } from "../shared/dom.js";
import { nameOf } from "../shared/format.js";
import { form } from "../shared/form.js";
import { LIMITS } from "../shared/limits.js";
import { PeoplePicker } from "../shared/people-picker.js";
import { announcementDraft } from "../shared/storage.js";
import { listed, t } from "../shared/words.js";
import { bounded } from "./form.js";
import { progress, repeatWhileVisible } from "./live.js";

const REFRESH_MS = 1000;
const MAX_NAMES = 3; // in the question before sending
const TYPES = ["system", "account", "admin", "community", "message"];
const AUDIENCES = ["user", "admin", "chosen"];

/** Properties: `store`. */
class Announce extends View {
  render() {
    this.draft = announcementDraft(this.store.me.id);
    this.picker = new PeoplePicker(this.store, []);
    const audiences = AUDIENCES.map((audience) => [audience, t(`announce.audience.${audience}`)]);
    const types = TYPES.map((type) => [type, t(`announce.type.${type}`)]);
    const { title, body } = LIMITS.NewAnnouncement;
    const fields = [
      field(t("announce.to"), "whom", { options: audiences, onchange: () => this.#updatePicker() }),
      this.picker.element,
      field(t("announce.type"), "type", { options: types }, t("announce.type.hint")),
      field(t("announce.title"), "title", { required: true, autocomplete: "off", dir: "auto", ...bounded(title) }),
      field(t("announce.text"), "body", { rows: 5, dir: "auto", ...bounded(body) }),
    ];
    this.form = form(fields, t("announce.ask"), (values) => this.#send(values));
    this.form.classList.add("panel");
    this.form.addEventListener("input", () => this.draft.write(Object.fromEntries(new FormData(this.form))));
    this.sent = h("div.sent", { "aria-live": "polite" });
    fill(this, this.form, this.sent);
    this.#restoreDraft();
  }

  #restoreDraft() {
    for (const [name, value] of Object.entries(this.draft.read() ?? {})) {
      if (this.form.elements[name]) this.form.elements[name].value = value;
    }
    this.#updatePicker();
  }

  #updatePicker() {
    this.picker.element.hidden = this.form.elements.whom.value !== "chosen";
  }

  async #send({ whom, type, title, body }) {
    const people = [...this.picker.chosen.values()];
    if (whom === "chosen" && !people.length) throw new Error(t("announce.nobody"));
    const to = whom === "chosen" ? { user_ids: people.map((user) => user.id) } : { role: whom };
    const announcement = { ...to, type, title: title.trim(), body: body.trim() };
    if (!(await this.#confirm(whom, people, announcement))) return;
    const { job } = await this.store.bell
      .call("POST", "/admin/notifications", announcement)
      .catch((error) => {
        throw error.status ? error : new Error(t("announce.uncertain", { problem: errorText(error) }));
      });
    this.draft.remove();
    for (const name of ["title", "body"]) this.form.elements[name].value = "";
    this.#followJob(job, announcement.title);
  }

  /** Ask before sending: an announcement cannot be undone, and Enter in the title field submits the form. */
  #confirm(whom, people, { title, body }) {
    const isMany = whom === "chosen" && people.length > MAX_NAMES;
    const values = { n: people.length, names: listed(people.map(nameOf)) };
    const question = t(`announce.question.${isMany ? "many" : whom}`, values);
    const preview = h("blockquote", { dir: "auto" }, h("strong", {}, title), h("p", {}, body));
    return openDialog(question, [preview], t("announce.send"), () => true);
  }

  /** Show the progress of an announcement until it is done. */
  #followJob(job, title) {
    const bar = progress({ title, state: "running", done: 0, total: null });
    const panel = h("section.panel", { "aria-label": title, tabindex: "-1" }, h("h3", {}, title), bar);
    const { signal } = this.lifetime;
    this.sent.prepend(panel);
    panel.focus();
    const refresh = async () => {
      const options = { retry: false, signal };
      const jobs = await this.store.bell
        .call("GET", "/admin/jobs", null, options)
        .catch(() => ({ fanouts: [] }));
      const announcement = jobs.fanouts.find((fanout) => fanout.job === job);
      if (announcement) panel.lastChild.replaceWith(progress(announcement));
      return announcement?.state === "done";
    };
    repeatWhileVisible(this, () => REFRESH_MS, refresh);
  }
}

customElements.define("bw-admin-announce", Announce);
