/** Accounts: finding them, and activating or suspending many at once. Dialogs about one account are in accounts.js. */

import { View, avatar, field, fill, h, iconButton, openDialog, toastErrors } from "../shared/dom.js";
import { nameOf, plural } from "../shared/format.js";
import { changeAccount, createAccount, createManyAccounts, createToken, revokeTokens } from "./accounts.js";
import { markFieldErrors } from "./form.js";
import { Listing, pill, tableRow } from "./list.js";

const SEARCH_AFTER_MS = 250;
const MAX_NAMES = 10; // in the report about a bulk action
const TIMEOUT_S = 120; // a thousand accounts take several transactions
const HEADS = ["", "Name", "E-mail", "Role", "Status", ""];
const STATUS_TONES = { active: "good", pending: "warn", suspended: "bad" };
const ANY = ["", "Any"];
const STATUSES = [ANY, ["active", "Active"], ["pending", "Pending"], ["suspended", "Suspended"]];
const ROLES = [ANY, ["user", "User"], ["admin", "Admin"]];
/** Actions on many accounts: the button's text, the word in the report, the new status, and a hint at the reason. */
const BULK_ACTIONS = {
  activate: {
    label: "Activate",
    done: "activated",
    status: "active",
    hint: "The users can sign in again. They are told the reason.",
  },
  suspend: {
    label: "Suspend",
    done: "suspended",
    status: "suspended",
    hint: "The users are signed out everywhere at once. They are told the reason.",
  },
};

/** Properties: `store`. */
class Users extends View {
  render() {
    this.selected = new Set(); // ids
    this.list = new Listing(this.store.bell, "/admin/users", {
      label: "Accounts",
      heads: HEADS,
      row: (user) => this.#row(user),
      empty: "No account was found.",
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
      placeholder: "Beginning of a name",
      autocomplete: "off",
      oninput: findLater,
    };
    const createOne = { type: "button", onclick: () => add(createAccount) };
    const createMany = { type: "button", onclick: () => add(createManyAccounts) };
    this.filters = h(
      "form.filters",
      { role: "search", "aria-label": "Accounts", onsubmit },
      field("Name or e-mail", "q", search),
      field("Status", "status", { options: STATUSES, onchange: find }),
      field("Role", "role", { options: ROLES, onchange: find }),
      h(
        "div.row",
        {},
        h("button.primary", createOne, "Create an account"),
        h("button", createMany, "Create many"),
      ),
    );
    return this.filters;
  }

  #bulkBar() {
    this.selectAll = h("input", { type: "checkbox", onchange: () => this.#selectAll() });
    this.selectedCount = h("span", { role: "status" });
    const buttons = Object.entries(BULK_ACTIONS).map(([verb, { label }]) => {
      const selector = `button${verb === "suspend" ? ".dangerous" : ""}`;
      return h(selector, { type: "button", onclick: () => this.#runBulkAction(verb) }, label);
    });
    this.bulkButtons = h("span.row", { hidden: true }, buttons);
    const label = h("label.row", {}, this.selectAll, "Select all shown");
    const group = { role: "group", "aria-label": "Selected accounts" };
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
      "aria-label": `Select ${name}`,
      "data-act": "select",
      checked: this.selected.has(user.id),
      onchange: (event) => this.#select(user.id, event.target.checked),
    });
    const names = h("div", {}, h("strong", {}, name), h("small", {}, `@${user.username} · ${user.id}`));
    const status = user.status[0].toUpperCase() + user.status.slice(1);
    return tableRow(HEADS, [
      select,
      h("div.person", {}, avatar(name, user.id), names),
      user.email,
      user.role === "admin" ? pill("Admin", "good") : "User",
      pill(status, STATUS_TONES[user.status]),
      this.#rowButtons(user),
    ]);
  }

  #rowButtons(user) {
    const { store } = this;
    const button = (act, text, onclick) => {
      const props = { type: "button", "data-act": act, "aria-label": `${text}: ${nameOf(user)}`, onclick };
      return h("button.link", props, text);
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
      button("change", "Change", change),
      button("token", "Create token", newToken),
      button("revoke", "Revoke tokens", () => revokeTokens(store, user)),
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
    this.selectedCount.textContent = size ? `${size} selected` : "";
    this.bulkButtons.hidden = !size;
  }

  async #runBulkAction(verb) {
    const { label, status, hint } = BULK_ACTIONS[verb];
    const ids = [...this.selected];
    const reasonField = field("Reason", "reason", { rows: 2, maxlength: "500" }, hint);
    const submit = ({ reason: text }) => {
      const reason = text.replace(/\s+/g, " ").trim();
      const body = { ids, ...(reason && { reason }) };
      const options = { timeoutS: TIMEOUT_S };
      return markFieldErrors([reasonField], () =>
        this.store.bell.call("POST", `/admin/users/${verb}`, body, options),
      );
    };
    const title = `${label} ${plural(ids.length, "account")}?`;
    const outcome = await openDialog(title, [reasonField], label, submit, { dangerous: verb === "suspend" });
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
    const { done, status } = BULK_ACTIONS[verb];
    const name = (id) => (users.has(id) ? nameOf(users.get(id)) : id);
    const names = (ids) => {
      const more = ids.length > MAX_NAMES ? ` and ${ids.length - MAX_NAMES} more` : "";
      return ids.slice(0, MAX_NAMES).map(name).join(", ") + more;
    };
    const row = (ids, word, explanation = "") => {
      const list = ids.length > 0 && `: ${names(ids)}${explanation}`;
      return h("li", {}, h("strong", {}, `${ids.length} ${word}`), list);
    };
    const rows = [
      row(changed, done),
      row(unchanged, "unchanged", ` (already ${status}, or your own account)`),
      row(missing, "missing", " (the accounts no longer exist)"),
    ];
    this.#showNotice(h("ul", {}, rows));
  }

  #showToken(user, token) {
    const value = h("input", { readOnly: true, value: token, "aria-label": `Token of ${nameOf(user)}` });
    const copy = async () => {
      value.select();
      if (!navigator.clipboard) throw new Error("The token is selected: copy it with the keyboard.");
      await navigator.clipboard.writeText(token);
      button.textContent = "Copied";
    };
    const button = h("button.primary", { type: "button", onclick: () => toastErrors(copy) }, "Copy");
    const name = h("strong", {}, nameOf(user));
    const text = h("p", {}, "A token of ", name, ". It is shown only now: store it where you need it.");
    this.#showNotice(text, h("div.row", {}, value, button));
  }

  #showNotice(...content) {
    const close = iconButton("close", "Close", () => fill(this.notice));
    fill(this.notice, h("div.panel", {}, h("div.grow", {}, content), close));
    this.notice.focus();
    this.notice.scrollIntoView({ block: "nearest" });
  }
}

customElements.define("bw-admin-users", Users);
