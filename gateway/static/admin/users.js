/** Accounts: finding them, and activating or suspending many at once. Dialogs about one account are in accounts.js. */

import { View, avatar, field, fill, h, iconButton, openDialog, toastErrors } from "../shared/dom.js";
import { nameOf } from "../shared/format.js";
import { listed, t } from "../shared/words.js";
import { changeAccount, createAccount, createManyAccounts, createToken, revokeTokens } from "./accounts.js";
import { markFieldErrors } from "./form.js";
import { Listing, pill, tableRow } from "./list.js";
import { sentence } from "./sentence.js";

const SEARCH_AFTER_MS = 250;
const MAX_NAMES = 10; // in the report about a bulk action
const TIMEOUT_S = 120; // a thousand accounts take several transactions
const STATUS_TONES = { active: "good", pending: "warn", suspended: "bad" };
const STATUSES = ["active", "pending", "suspended"];
const ROLES = ["user", "admin"];
const NEW_STATUSES = { activate: "active", suspend: "suspended" }; // by action on many accounts

const heads = () => ["", t("users.name"), t("users.email"), t("users.role"), t("users.status"), ""];

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
    this.notice = h("div.notice-box", { role: "status", tabindex: "-1" });
    fill(this, this.#filters(), this.notice, this.#bulkBar(), this.list.element);
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
    const names = h("div", {}, h("strong", {}, name), h("small", {}, `@${user.username} · ${user.id}`));
    const role = t(`users.role.${user.role}`);
    return tableRow(heads(), [
      select,
      h("div.person", {}, avatar(name, user.id), names),
      user.email,
      user.role === "admin" ? pill(role, "good") : role,
      pill(t(`users.status.${user.status}`), STATUS_TONES[user.status]),
      this.#rowButtons(user),
    ]);
  }

  #rowButtons(user) {
    const { store } = this;
    const button = (act, onclick) => {
      const action = t(`users.${act}`);
      const label = t("users.action-on", { action, name: nameOf(user) });
      return h("button.link", { type: "button", "data-act": act, "aria-label": label, onclick }, action);
    };
    const change = async () => {
      const changed = await changeAccount(store, user);
      if (changed) this.list.replace({ ...user, ...changed });
    };
    const newToken = async () => {
      const token = await createToken(store, user);
      if (token) this.#showToken(user, token);
    };
    return h(
      "div.row",
      {},
      button("change", change),
      button("token", newToken),
      button("revoke", () => revokeTokens(store, user)),
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
    const status = NEW_STATUSES[verb];
    const ids = [...this.selected];
    const props = { rows: 2, maxlength: "500" };
    const reasonField = field(t("users.reason"), "reason", props, t(`users.${verb}.hint`));
    const submit = ({ reason: text }) => {
      const reason = text.replace(/\s+/g, " ").trim();
      const body = { ids, ...(reason && { reason }) };
      const options = { timeoutS: TIMEOUT_S };
      return markFieldErrors([reasonField], () =>
        this.store.bell.call("POST", `/admin/users/${verb}`, body, options),
      );
    };
    const title = t(`users.${verb}.title`, { n: ids.length });
    const options = { dangerous: verb === "suspend" };
    const outcome = await openDialog(title, [reasonField], t(`users.${verb}`), submit, options);
    if (!outcome) return;
    const users = new Map(this.list.items.map((user) => [user.id, user]));
    this.selected.clear();
    for (const id of ids) {
      const isChanged = outcome.changed.includes(id);
      if (users.has(id)) this.list.replace({ ...users.get(id), ...(isChanged && { status }) });
    }
    this.#updateBulk();
    this.#showOutcome(verb, outcome, users);
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
    this.#showNotice(h("ul", {}, rows));
  }

  #showToken(user, token) {
    const name = nameOf(user);
    const label = t("users.token.label", { name });
    const value = h("input", { readOnly: true, value: token, "aria-label": label });
    const copy = async () => {
      value.select();
      if (!navigator.clipboard) throw new Error(t("users.token.no-clipboard"));
      await navigator.clipboard.writeText(token);
      button.textContent = t("users.token.copied");
    };
    const props = { type: "button", onclick: () => toastErrors(copy) };
    const button = h("button.primary", props, t("users.token.copy"));
    const text = h("p", {}, sentence("users.token.shown", { name: h("strong", {}, name) }));
    this.#showNotice(text, h("div.row", {}, value, button));
  }

  #showNotice(...content) {
    const close = iconButton("close", t("users.close"), () => fill(this.notice));
    fill(this.notice, h("div.panel", {}, h("div.grow", {}, content), close));
    this.notice.focus();
    this.notice.scrollIntoView({ block: "nearest" });
  }
}

customElements.define("bw-admin-users", Users);
