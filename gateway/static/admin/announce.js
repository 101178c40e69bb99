/**
 * Announcements to many users: the form, and the progress of those that were sent. The draft is kept until the server
 * accepts it.
 */

import { View, errorText, field, fill, h, openDialog } from "../shared/dom.js";
import { nameOf, plural } from "../shared/format.js";
import { form } from "../shared/form.js";
import { PeoplePicker } from "../shared/people-picker.js";
import { announcementDraft } from "../shared/storage.js";
import { progress, repeatWhileVisible } from "./live.js";

const REFRESH_MS = 1000;
const TYPES = [
  ["system", "System"],
  ["account", "Account"],
  ["admin", "Administration"],
  ["community", "Community"],
  ["message", "Messages"],
];
const AUDIENCES = [
  ["user", "All users"],
  ["admin", "All admins"],
  ["chosen", "People whom I choose"],
];
const UNCERTAIN = "There was no answer, so it may have been sent: look at the jobs before you send it again.";

/** Properties: `store`. */
class Announce extends View {
  render() {
    this.draft = announcementDraft(this.store.me.id);
    this.picker = new PeoplePicker(this.store, []);
    const typeHint = "The users’ preferences for this type decide whether it is also e-mailed";
    const fields = [
      field("To", "whom", { options: AUDIENCES, onchange: () => this.#updatePicker() }),
      this.picker.element,
      field("Type", "type", { options: TYPES }, typeHint),
      field("Title", "title", { required: true, maxlength: "200", autocomplete: "off" }),
      field("Text", "body", { rows: 5, maxlength: "2000" }),
    ];
    this.form = form(fields, "Announce…", (values) => this.#send(values));
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
    if (whom === "chosen" && !people.length) throw new Error("Choose somebody first.");
    const to = whom === "chosen" ? { user_ids: people.map((user) => user.id) } : { role: whom };
    const announcement = { ...to, type, title: title.trim(), body: body.trim() };
    if (!(await this.#confirm(whom, people, announcement))) return;
    const { job } = await this.store.bell
      .call("POST", "/admin/notifications", announcement)
      .catch((error) => {
        throw error.status ? error : new Error(`${errorText(error)} ${UNCERTAIN}`);
      });
    this.draft.remove();
    for (const name of ["title", "body"]) this.form.elements[name].value = "";
    this.#followJob(job, announcement.title);
  }

  /** Ask before sending: an announcement cannot be undone, and Enter in the title field submits the form. */
  #confirm(whom, people, { title, body }) {
    const names =
      people.length > 3 ? plural(people.length, "person", "people") : people.map(nameOf).join(", ");
    const to = { chosen: names, admin: "all admins", user: "all users" }[whom];
    const preview = h("blockquote", {}, h("strong", {}, title), h("p", {}, body));
    return openDialog(`Announce to ${to}?`, [preview], "Announce", () => true);
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
