/** Accounts: finding them, and actions on one or many. The dialogs are in accounts.js. */

import { field } from "../shared/dialog.js";
import { View, avatar, fill, h, toast, toastErrors } from "../shared/dom.js";
import { handleOf, nameOf } from "../shared/format.js";
import { sentence } from "../shared/sentence.js";
import { listed, t } from "../shared/words.js";
import {
  changeAccount,
  changeStatus,
  createAccount,
  createManyAccounts,
  createToken,
  deleteAccount,
  postStatus,
  revokeTokens,
} from "./accounts.js";
import { Listing, pill, tableRow } from "./list.js";
import { Notice } from "./notice.js";

const SEARCH_AFTER_MS = 250;
const MAX_NAMES = 10; // in the report about a bulk action
const STATUS_TONES = { active: "good", pending: "warn", suspended: "bad", deleted: "bad" };
const STATUSES = ["active", "pending", "suspended", "deleted"];
const ROLES = ["user", "admin"];
const NEW_STATUSES = { activate: "active", suspend: "suspended" }; // by action

const heads = () => ["", t("users.name"), t("users.email"), t("users.role"), t("users.status"), ""];

/** An account that is being deleted, as the server has it by then. */
const deleted = ({ id }) => ({
  id,
  username: `deleted-${id}`,
  display_name: "Deleted user",
  email: null,
  role: "user",
  status: "deleted",
});

function filterOptions(filter, values) {
  return [["", t("users.any")], ...values.map((value) => [value, t(`users.${filter}.${value}`)])];
}

/** Properties: `store`. */
class Users extends View {
  render() {
    this.selected = new Set(); // ids
    this.list = new Listing(this.store.bell, "/admin/users", {
      label: t("users.title"),
      heads: heads(),
      row: (user) => this.#row(user),
      empty: t("users.none"),
      onDraw: () => this.#updateBulk(),
    });
    this.notice = new Notice();
    fill(this, this.#filters(), this.notice.element, this.#bulkBar(), this.list.element);
    this.#find();
  }

  #filters() {
    const find = () => this.#find();
    const findLater = () => {
      clearTimeout(this.searchTimer);
      this.searchTimer = setTimeout(find, SEARCH_AFTER_MS);
    };
    const add = async (create) => this.list.add((await create(this.store)) ?? [], "prepend");
    const onsubmit = (event) => {
      event.preventDefault();
      this.#find();
    };
    const search = {
      type: "search",
      placeholder: t("users.search.example"),
      autocomplete: "off",
      oninput: findLater,
    };
    const createOne = { type: "button", onclick: () => add(createAccount) };
    const createMany = { type: "button", onclick: () => add(createManyAccounts) };
    this.filters = h(
      "form.filters",
      { role: "search", "aria-label": t("users.title"), onsubmit },
      field(t("users.search"), "q", search),
      field(t("users.status"), "status", { options: filterOptions("status", STATUSES), onchange: find }),
      field(t("users.role"), "role", { options: filterOptions("role", ROLES), onchange: find }),
      h(
        "div.row",
        {},
        h("button.primary", createOne, t("users.create")),
        h("button", createMany, t("users.create-many")),
      ),
    );
    return this.filters;
  }

  #bulkBar() {
    this.selectAll = h("input", { type: "checkbox", onchange: () => this.#selectAll() });
    this.selectedCount = h("span", { role: "status" });
    const buttons = Object.keys(NEW_STATUSES).map((verb) => {
      const selector = `button${verb === "suspend" ? ".dangerous" : ""}`;
      return h(selector, { type: "button", onclick: () => this.#runBulkAction(verb) }, t(`users.${verb}`));
    });
    this.bulkButtons = h("span.row", { hidden: true }, buttons);
    const label = h("label.row", {}, this.selectAll, t("users.select-all"));
    const group = { role: "group", "aria-label": t("users.selection") };
    return h("div.bulk", group, label, this.selectedCount, this.bulkButtons);
  }

  /** Load the first page for the filters. The selection is cleared, so that nobody is suspended who is not shown. */
  #find() {
    clearTimeout(this.searchTimer);
    this.selected.clear();
    const { q, ...filters } = Object.fromEntries(new FormData(this.filters));
    return this.list.show({ q: q.trim(), ...filters });
  }

  #row(user) {
    const name = nameOf(user);
    const select = h("input", {
      type: "checkbox",
      "aria-label": t("users.select", { name }),
      "data-act": "select",
      checked: this.selected.has(user.id),
      onchange: (event) => this.#select(user.id, event.target.checked),
    });
    const names = h("div", {}, h("strong", {}, name), h("small", {}, `${handleOf(user)} · ${user.id}`));
    const role = t(`users.role.${user.role}`);
    return tableRow(heads(), [
      h("label.tick", {}, select),
      h("div.person", {}, avatar(name, user.id), names),
      user.email,
      user.role === "admin" ? pill(role, "good") : role,
      pill(t(`users.status.${user.status}`), STATUS_TONES[user.status]),
      this.#rowButtons(user),
    ]);
  }

  #rowButtons(user) {
    const { store } = this;
    const button = (verb, onclick, act = verb) => {
      const action = t(`users.${verb}`);
      const label = t("users.action-on", { action, name: nameOf(user) });
      const props = { type: "button", "data-act": act, "aria-label": label, onclick };
      return h(`button.link${["suspend", "delete"].includes(verb) ? ".dangerous" : ""}`, props, action);
    };
    const change = async () => {
      const changed = await changeAccount(store, user);
      if (changed) this.list.replace({ ...user, ...changed });
    };
    const newToken = async () => {
      const token = await createToken(store, user);
      if (token) this.#showToken(user, token);
    };
    const remove = async () => {
      if (await deleteAccount(store, user)) this.list.replace(deleted(user));
    };
    if (user.status === "deleted") return h("div.row");
    const statusVerb = user.status === "active" ? "suspend" : "activate";
    return h(
      "div.row",
      {},
      button("change", change),
      user.status === "active" && button("token", newToken),
      button("revoke", () => revokeTokens(store, user)),
      user.id !== store.me.id && button(statusVerb, () => this.#changeOne(statusVerb, user), "status"),
      user.id !== store.me.id && button("delete", remove),
    );
  }

  #select(id, isSelected) {
    if (isSelected) this.selected.add(id);
    else this.selected.delete(id);
    this.#updateBulk();
  }

  #selectAll() {
    const { checked } = this.selectAll;
    for (const { id } of this.list.items) {
      if (checked) this.selected.add(id);
      else this.selected.delete(id);
    }
    for (const box of this.list.element.querySelectorAll('[data-act="select"]')) box.checked = checked;
    this.#updateBulk();
  }

  #updateBulk() {
    const { size } = this.selected;
    this.selectAll.checked = size > 0 && size === this.list.items.length;
    this.selectAll.indeterminate = size > 0 && !this.selectAll.checked;
    this.selectedCount.textContent = size ? t("users.selected", { n: size }) : "";
    this.bulkButtons.hidden = !size;
  }

  async #runBulkAction(verb) {
    const users = new Map(this.list.items.map((user) => [user.id, user]));
    const chosen = [...this.selected].map((id) => users.get(id) ?? { id });
    const outcome = await changeStatus(this.store, verb, chosen);
    if (!outcome) return;
    this.selected.clear();
    for (const user of chosen) this.#draw(verb, outcome, user);
    this.#updateBulk();
    this.#showOutcome(verb, outcome, users);
  }

  /** Suspend or activate one account at once. Those that were suspended by mistake are activated by the toast's button. */
  async #changeOne(verb, user) {
    const outcome = await toastErrors(() => postStatus(this.store, verb, [user]));
    if (!outcome) return;
    this.#draw(verb, outcome, user);
    this.list.rows.get(user.id)?.querySelector('[data-act="status"]').focus(); // the row may have been loaded anew
    const isChanged = outcome.changed.length > 0;
    const text = t(isChanged ? `users.${verb}.done-one` : "users.not-changed", { name: nameOf(user) });
    const undo = () => this.#changeOne("activate", { ...user, status: NEW_STATUSES.suspend });
    toast(text, isChanged && verb === "suspend" ? [t("users.undo"), undo] : null);
  }

  /** Draw an account after an action on it. */
  #draw(verb, { changed }, user) {
    const isChanged = changed.includes(user.id);
    this.list.replace({ ...user, ...(isChanged && { status: NEW_STATUSES[verb] }) });
  }

  /** Report the accounts that were changed, unchanged and missing. */
  #showOutcome(verb, { changed, unchanged, missing }, users) {
    const name = (id) => (users.has(id) ? nameOf(users.get(id)) : String(id));
    const names = (ids) => {
      const hidden = ids.length - MAX_NAMES;
      const more = hidden > 0 ? [t("users.more", { n: hidden })] : [];
      return listed([...ids.slice(0, MAX_NAMES).map(name), ...more]);
    };
    const row = (ids, countKey, key) => {
      const count = h("strong", {}, t(countKey, { n: ids.length }));
      return h("li", {}, ids.length ? sentence(key, { count, names: names(ids) }) : count);
    };
    const rows = [
      row(changed, `users.${verb}.done`, "users.outcome"),
      row(unchanged, "users.unchanged", `users.${verb}.unchanged`),
      row(missing, "users.missing", "users.outcome.missing"),
    ];
    this.notice.show(h("ul", {}, rows));
  }

  #showToken(user, token) {
    const name = nameOf(user);
    const text = h("p", {}, sentence("users.token.shown", { name: h("strong", {}, name) }));
    this.notice.showSecret(text, t("users.token.label", { name }), token);
  }
}

customElements.define("bw-admin-users", Users);
