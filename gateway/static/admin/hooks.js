/** Incoming hooks: addresses by which programs write into group conversations. An address is shown once. */

import { field, fieldError, openDialog } from "../shared/dialog.js";
import { View, fill, h, toastErrors } from "../shared/dom.js";
import { timeElement, titleOf } from "../shared/format.js";
import { LIMITS } from "../shared/limits.js";
import { sentence } from "../shared/sentence.js";
import { t } from "../shared/words.js";
import { bounded } from "./form.js";
import { Listing, tableRow } from "./list.js";
import { Notice } from "./notice.js";
import { updateNames, userName } from "./user-names.js";

const MAX_OFFERED = 200; // conversations; any other is named by its number
const REFUSALS = { 404: "hooks.no-conversation", 409: "hooks.refused" };

const heads = () => [t("hooks.name"), t("hooks.writes-into"), t("hooks.by"), ""];
const pathOf = ({ conversation, id }) => `/admin/conversations/${conversation}/hooks/${id}`;

/** Properties: `store`. */
class IncomingHooks extends View {
  render() {
    const label = t("admin.area.hooks");
    const row = (hook) => this.#row(hook);
    this.list = new Listing(this.store.bell, "/admin/hooks", { label, heads: heads(), row, empty: t("hooks.none") });
    this.notice = new Notice();
    const make = { type: "button", onclick: () => toastErrors(() => this.#make()) };
    const head = h("div.row", {}, h("p.quiet.grow", {}, t("hooks.lead")), h("button.primary", make, t("hooks.new")));
    fill(this, head, this.notice.element, this.list.element);
    updateNames(this);
    this.list.show({});
  }

  async #make() {
    const props = { required: true, autocomplete: "off", dir: "auto", ...bounded(LIMITS.NewIncomingHook.label) };
    const name = field(t("hooks.name"), "label", props, t("hooks.name-hint"));
    const fields = [name, ...(await this.#conversationFields())];
    const create = ({ label, conversation, number }) => this.#create(label.trim(), conversation || number.trim());
    const made = await openDialog(t("hooks.new"), fields, t("hooks.create"), create);
    if (!made) return;
    if (!this.list.next) this.list.add([made], "append"); // otherwise it is on a later page
    this.#showUrl(made);
  }

  /** A choice among one's own groups, and a field for the number of another one. */
  async #conversationFields() {
    const { bell, me } = this.store;
    const { items } = await bell.call("GET", "/conversations", null, { query: { limit: MAX_OFFERED } });
    const groups = items.filter(({ kind }) => kind === "group");
    const own = groups.map((group) => [String(group.id), titleOf(group, me)]);
    const options = [...own, ["", t("hooks.other")]];
    const digits = { inputmode: "numeric", pattern: " *[1-9][0-9]{0,15} *", autocomplete: "off", dir: "ltr" };
    const number = field(t("hooks.number"), "number", digits, t("hooks.number-hint"));
    const show = (chosen) => {
      number.hidden = Boolean(chosen);
      number.querySelector("input").required = !chosen;
    };
    show(options[0][0]);
    const onchange = ({ target }) => show(target.value);
    return [field(t("hooks.writes-into"), "conversation", { options, onchange }), number];
  }

  #create(label, conversation) {
    return this.store.bell.call("POST", `/admin/conversations/${conversation}/hooks`, { label }).catch((error) => {
      throw REFUSALS[error.status] ? fieldError("number", t(REFUSALS[error.status])) : error;
    });
  }

  #showUrl({ label, url }) {
    const text = h("p", {}, sentence("hooks.url-shown", { name: h("strong", {}, h("bdi", {}, label)) }));
    this.notice.showSecret(text, t("hooks.url", { name: label }), url);
  }

  #row(hook) {
    const { label, conversation, title, created_by, created_at } = hook;
    const known = this.store.conversations.get(conversation);
    const place = title ?? (known ? titleOf(known, this.store.me) : t("hooks.conversation", { id: conversation }));
    return tableRow(heads(), [
      h("bdi.wide", {}, label),
      h("bdi", {}, place),
      h("div.row", {}, userName(this.store, created_by), timeElement(created_at)),
      h("div.row", {}, this.#button(hook, "rotate"), this.#button(hook, "delete")),
    ]);
  }

  #button(hook, act) {
    const run = { rotate: () => this.#rotate(hook), delete: () => this.#delete(hook) }[act];
    const label = `${t(`hooks.${act}`)}: ${hook.label}`;
    const props = { type: "button", "data-act": act, "aria-label": label, onclick: () => toastErrors(run) };
    return h(`button.link${act === "delete" ? ".dangerous" : ""}`, props, t(`hooks.${act}`));
  }

  async #rotate(hook) {
    const fields = [h("p", {}, h("bdi", {}, hook.label)), h("p", {}, t("hooks.rotate-hint"))];
    const rotate = () => this.store.bell.call("PATCH", pathOf(hook), { rotate: true });
    const changed = await openDialog(t("hooks.rotate"), fields, t("hooks.rotate"), rotate, { dangerous: true });
    if (changed) this.#showUrl(changed);
  }

  async #delete(hook) {
    const fields = [h("p", {}, h("bdi", {}, hook.label)), h("p", {}, t("hooks.delete-hint"))];
    const remove = async () => {
      await this.store.bell.call("DELETE", pathOf(hook)).catch((error) => {
        if (error.status !== 404) throw error; // another admin was faster
      });
      return true;
    };
    const isDeleted = await openDialog(t("hooks.delete"), fields, t("hooks.delete"), remove, { dangerous: true });
    if (isDeleted) this.list.remove(hook.id);
  }
}

customElements.define("bw-admin-hooks", IncomingHooks);
