/** One account, or new ones: dialogs that make and change them, and their tokens. */

import { ask, field, h, toast } from "../shared/dom.js";
import { blaming } from "./form.js";
import { nameOf, plural, wordsOf } from "../shared/format.js";

const ROLES = [["user", "User"], ["admin", "Admin"]];
const WRONG_LINES = 10; // said at once
const WITHIN_S = 120; // a thousand accounts
let pasted = ""; // what was written for many and not taken yet

/** Asks for one account; returns it in a list. */
export async function makeOne(store) {
  const fields = [
    field("Username", "username", { required: true, autocomplete: "off", maxlength: "32" }),
    field("E-mail", "email", { type: "email", required: true, autocomplete: "off" }),
    field("Name", "display_name", { autocomplete: "off", maxlength: "80" }),
    field("Role", "role", { options: ROLES, value: "user" }),
    field("Password", "password", { type: "password", autocomplete: "new-password" }, "Without one, they sign in with a code that is mailed to them"),
  ];
  const made = await ask("Make an account", fields, "Make it", (given) => {
    const account = Object.fromEntries(Object.entries(given).filter(([, value]) => value));
    return blaming(fields, () => make(store, [account]).catch((error) => Promise.reject(ofOne(error))));
  });
  if (made) toast(`${nameOf(made[0])} may sign in`);
  return made;
}

/** The list's errors as those of its only account. */
function ofOne(error) {
  const fields = Object.entries(error.fields ?? {}).map(([name, message]) => [name.replace("users.0.", ""), message]);
  return fields.length ? Object.assign(error, { fields: Object.fromEntries(fields) }) : error;
}

/** Accounts as the list shows them, with e-mail. */
async function make(store, users) {
  const { items } = await store.bell.call("POST", "/admin/users", { users }, { within: WITHIN_S });
  return items.map((user, n) => ({ ...user, email: users[n].email }));
}

/** Asks for many, a line each; returns them. */
export async function makeMany(store) {
  const lines = field("One per line: username, e-mail, name", "lines", { rows: 10, required: true, spellcheck: "false", placeholder: "ana, ana@example.org, Ana Lopes", value: pasted, oninput: (event) => (pasted = event.target.value) }, "All are made or none. They sign in with a code that is mailed to them.");
  const made = await ask("Make many accounts", [lines], "Make them", async ({ lines: text }) => {
    const { users, places } = parsed(text);
    if (!users.length) throw new Error("Write a line for each account.");
    return make(store, users).catch((error) => Promise.reject(new Error(ofLines(error, places))));
  });
  if (!made) return [];
  pasted = "";
  toast(`${plural(made.length, "account")} made`);
  return made;
}

/** Accounts, and the number of the line that each is on. Tabs and semicolons do as well as commas: lists come from tables. */
function parsed(text) {
  const rows = text.split("\n").map((row, n) => [row.split(/[,;\t]/).map((part) => part.trim()), n + 1]);
  const given = rows.filter(([parts]) => parts.some(Boolean));
  const users = given.map(([[username, email = "", ...name]]) => ({ username, email, ...(name.join("") && { display_name: name.filter(Boolean).join(", ") }) }));
  return { users, places: given.map(([, place]) => place) };
}

/** What is wrong with which lines, from the top. */
function ofLines(error, places) {
  const wrong = Object.entries(error.fields ?? {}).map(([name, message]) => {
    const [, n, field] = /^users\.(\d+)\.?(.*)$/.exec(name) ?? [];
    return n === undefined ? [0, `${name}: ${message}`] : [places[n], `Line ${places[n]}: ${field ? `${field}: ` : ""}${message}`];
  });
  if (!wrong.length) return wordsOf(error);
  const words = wrong.sort(([one], [other]) => one - other).map(([, word]) => word);
  return [...words.slice(0, WRONG_LINES), ...(words.length > WRONG_LINES ? [`and ${words.length - WRONG_LINES} more`] : [])].join("\n");
}

/** Asks for another name or role; returns what the account is then. */
export function change(store, user) {
  const fields = [field("Name", "display_name", { value: user.display_name, required: true, maxlength: "80" }), field("Role", "role", { options: ROLES, value: user.role })];
  return ask(`Change @${user.username}`, fields, "Save", async (given) => {
    const body = Object.fromEntries(Object.entries(given).filter(([name, value]) => value !== user[name]));
    return Object.keys(body).length ? blaming(fields, () => store.bell.call("PATCH", `/admin/users/${user.id}`, body)) : user;
  });
}

/** Asks what a token is for; returns it. */
export function makeToken(store, user) {
  const label = field("What it is for", "label", { maxlength: "64", placeholder: "Build bot" }, "Whoever has it is this account, until it is revoked");
  return ask(`Make a token for ${nameOf(user)}`, [label], "Make it", (given) =>
    blaming([label], async () => (await store.bell.call("POST", `/admin/users/${user.id}/tokens`, { label: given.label.trim() })).token),
  );
}

export function revokeTokens(store, user) {
  const what = h("p", {}, "Bots and scripts of this account stop working, and it is signed out everywhere.");
  return ask(`Revoke all tokens of ${nameOf(user)}?`, [what], "Revoke", () =>
    blaming([], async () => {
      await store.bell.call("DELETE", `/admin/users/${user.id}/tokens`);
      toast(`All tokens of ${nameOf(user)} are revoked`);
    }), { dangerous: true });
}
