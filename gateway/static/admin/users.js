/** Accounts: finding them, activating and suspending many at once. What is done to one of them is in admin-accounts.js. */

import { ask, avatar, field, fill, h, iconButton, trying } from "../shared/dom.js";
import { change, makeMany, makeOne, makeToken, revokeTokens } from "./accounts.js";
import { blaming } from "./form.js";
import { Listing, line, pill } from "./list.js";
import { View } from "../shared/view.js";
import { nameOf, plural } from "../shared/format.js";

const SEARCH_AFTER_MS = 250;
const NAMED = 10; // of those a call was about
const WITHIN_S = 120; // a thousand accounts are some transactions
const HEADS = ["", "Name", "E-mail", "Role", "Status", ""];
const STATUS = { active: "good", pending: "warn", suspended: "bad" };
const ANY = ["", "Any"];
/** What is done to many: the button, and what is said of those it was done to. */
const ACTS = {
  activate: { action: "Activate", done: "activated", status: "active", hint: "They may sign in (again). The reason is told to them." },
  suspend: { action: "Suspend", done: "suspended", status: "suspended", hint: "They are signed out at once, everywhere. The reason is told to them." },
};

class Users extends View {
  show() {
    const { bell } = this.store;
    this.chosen = new Set();
    this.list = new Listing(bell, "/admin/users", { label: "Accounts", heads: HEADS, row: (user) => this.#row(user), empty: "No account is like that.", drawn: () => this.#count() });
    this.told = h("div.told", { role: "status", tabindex: "-1" });
    this.all = h("input", { type: "checkbox", onchange: () => this.#chooseAll() });
    this.counted = h("span", { role: "status" });
    this.acts = h("span.row", { hidden: true }, Object.keys(ACTS).map((verb) => h(`button${verb === "suspend" ? ".dangerous" : ""}`, { type: "button", onclick: () => this.#act(verb) }, ACTS[verb].action)));
    const bulk = h("div.bulk", { role: "group", "aria-label": "Chosen accounts" }, h("label.row", {}, this.all, "Select all shown"), this.counted, this.acts);
    fill(this, this.#filters(), this.told, bulk, this.list.element);
    this.#find();
  }

  #filters() {
    const later = () => {
      clearTimeout(this.searching);
      this.searching = setTimeout(() => this.#find(), SEARCH_AFTER_MS);
    };
    const made = async (make) => this.list.add((await make(this.store)) ?? [], "prepend");
    this.filters = h(
      "form.filters",
      { role: "search", "aria-label": "Accounts", onsubmit: (event) => (event.preventDefault(), this.#find()) },
      field("Name or e-mail", "q", { type: "search", placeholder: "Begins with", autocomplete: "off", oninput: later }),
      field("Status", "status", { options: [ANY, ["active", "Active"], ["pending", "Pending"], ["suspended", "Suspended"]], onchange: () => this.#find() }),
      field("Role", "role", { options: [ANY, ["user", "User"], ["admin", "Admin"]], onchange: () => this.#find() }),
      h("div.row", {}, h("button.primary", { type: "button", onclick: () => made(makeOne) }, "Make an account"), h("button", { type: "button", onclick: () => made(makeMany) }, "Make many")),
    );
    return this.filters;
  }

  /** Who was chosen is not, when others are shown: nobody is suspended whom one does not see. */
  #find() {
    clearTimeout(this.searching);
    this.chosen.clear();
    const { q, ...rest } = Object.fromEntries(new FormData(this.filters));
    return this.list.show({ q: q.trim(), ...rest });
  }

  #row(user) {
    const { store } = this;
    const name = nameOf(user);
    const pick = (event) => (this.chosen[event.target.checked ? "add" : "delete"](user.id), this.#count());
    const button = (act, label, run) => h("button.link", { type: "button", "data-act": act, "aria-label": `${label}: ${name}`, onclick: run }, label);
    const changed = async () => {
      const now = await change(store, user);
      if (now) this.list.replace({ ...user, ...now });
    };
    const token = async () => {
      const made = await makeToken(store, user);
      if (made) this.#showToken(user, made);
    };
    return line(HEADS, [
      h("input", { type: "checkbox", "aria-label": `Select ${name}`, "data-act": "select", checked: this.chosen.has(user.id), onchange: pick }),
      h("div.person", {}, avatar(name, user.id), h("div", {}, h("strong", {}, name), h("small", {}, `@${user.username} · ${user.id}`))),
      user.email,
      user.role === "admin" ? pill("Admin", "good") : "User",
      pill(user.status[0].toUpperCase() + user.status.slice(1), STATUS[user.status]),
      h("div.row", {}, button("change", "Change", changed), button("token", "Make token", token), button("revoke", "Revoke tokens", () => revokeTokens(store, user))),
    ]);
  }

  #chooseAll() {
    for (const { id } of this.list.items) this.chosen[this.all.checked ? "add" : "delete"](id);
    for (const box of this.list.element.querySelectorAll('[data-act="select"]')) box.checked = this.all.checked;
    this.#count();
  }

  #count() {
    const { size } = this.chosen;
    this.all.checked = size > 0 && size === this.list.items.length;
    this.all.indeterminate = size > 0 && !this.all.checked;
    this.counted.textContent = size ? `${size} selected` : "";
    this.acts.hidden = !size;
  }

  async #act(verb) {
    const { action, status, hint } = ACTS[verb];
    const ids = [...this.chosen];
    const reason = field("Reason", "reason", { rows: 2, maxlength: "500" }, hint);
    const send = ({ reason: given }) => {
      const why = given.replace(/\s+/g, " ").trim();
      const body = { ids, ...(why && { reason: why }) };
      return blaming([reason], () => this.store.bell.call("POST", `/admin/users/${verb}`, body, { within: WITHIN_S }));
    };
    const outcome = await ask(`${action} ${plural(ids.length, "account")}?`, [reason], action, send, { dangerous: verb === "suspend" });
    if (!outcome) return;
    const known = new Map(this.list.items.map((user) => [user.id, user]));
    this.chosen.clear();
    for (const id of ids) if (known.has(id)) this.list.replace({ ...known.get(id), ...(outcome.changed.includes(id) && { status }) });
    this.#count();
    this.#tell(verb, outcome, known);
  }

  /** What became of whom. */
  #tell(verb, { changed, unchanged, missing }, known) {
    const names = (ids) => ids.slice(0, NAMED).map((id) => (known.has(id) ? nameOf(known.get(id)) : id)).join(", ") + (ids.length > NAMED ? ` and ${ids.length - NAMED} more` : "");
    const row = (ids, word, why = "") => h("li", {}, h("strong", {}, `${ids.length} ${word}`), ids.length > 0 && `: ${names(ids)}${why}`);
    const rows = [row(changed, ACTS[verb].done), row(unchanged, "unchanged", ` (${ACTS[verb].status} already, or yourself)`), row(missing, "missing", " (no such account any more)")];
    this.#notice(h("ul", {}, rows));
  }

  #showToken(user, token) {
    const value = h("input", { readOnly: true, value: token, "aria-label": `Token of ${nameOf(user)}` });
    const copy = () =>
      trying(async () => {
        value.select();
        if (!navigator.clipboard) throw new Error("It is selected: copy it with the keyboard.");
        await navigator.clipboard.writeText(token);
        button.textContent = "Copied";
      });
    const button = h("button.primary", { type: "button", onclick: copy }, "Copy");
    this.#notice(h("p", {}, "A token of ", h("strong", {}, nameOf(user)), ". It is shown this once: keep it where it is needed."), h("div.row", {}, value, button));
  }

  #notice(...what) {
    const close = iconButton("close", "Close", () => fill(this.told));
    fill(this.told, h("div.panel", {}, h("div.grow", {}, what), close));
    this.told.focus();
    this.told.scrollIntoView({ block: "nearest" });
  }
}

customElements.define("bw-admin-users", Users);
