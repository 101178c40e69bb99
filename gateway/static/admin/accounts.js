/** Dialogs that create accounts, change them, and create or revoke their tokens. */

import { errorText, field, h, openDialog, toast } from "../shared/dom.js";
import { nameOf, plural } from "../shared/format.js";
import { markFieldErrors } from "./form.js";

const ROLES = [
  ["user", "User"],
  ["admin", "Admin"],
];
const MAX_SHOWN_ERRORS = 10;
const TIMEOUT_S = 120; // for a thousand accounts
let pastedLines = ""; // the text of the dialog for many accounts, until they are created

/** Open a dialog for one account. Returns [account], or undefined when it is cancelled. */
export async function createAccount(store) {
  const passwordHint = "Without a password, the user signs in with an e-mailed code";
  const fields = [
    field("Username", "username", { required: true, autocomplete: "off", maxlength: "32" }),
    field("E-mail", "email", { type: "email", required: true, autocomplete: "off" }),
    field("Name", "display_name", { autocomplete: "off", maxlength: "80" }),
    field("Role", "role", { options: ROLES, value: "user" }),
    field("Password", "password", { type: "password", autocomplete: "new-password" }, passwordHint),
  ];
  const create = (values) => {
    const account = Object.fromEntries(Object.entries(values).filter(([, value]) => value));
    const run = () =>
      postAccounts(store, [account]).catch((error) => Promise.reject(singleAccountError(error)));
    return markFieldErrors(fields, run);
  };
  const accounts = await openDialog("Create an account", fields, "Create", create);
  if (accounts) toast(`${nameOf(accounts[0])} can sign in now`);
  return accounts;
}

/** Rename the field errors of a list with one account: "users.0.email" becomes "email". */
function singleAccountError(error) {
  const fields = Object.entries(error.fields ?? {}).map(([name, message]) => [
    name.replace("users.0.", ""),
    message,
  ]);
  return fields.length ? Object.assign(error, { fields: Object.fromEntries(fields) }) : error;
}

/** Create accounts; return them as the list of accounts shows them, with the e-mail address. */
async function postAccounts(store, users) {
  const options = { timeoutS: TIMEOUT_S };
  const { items } = await store.bell.call("POST", "/admin/users", { users }, options);
  return items.map((user, n) => ({ ...user, email: users[n].email }));
}

/** Open a dialog for many accounts, one per line. Returns them; an empty list when it is cancelled. */
export async function createManyAccounts(store) {
  const props = {
    rows: 10,
    required: true,
    spellcheck: "false",
    placeholder: "ana, ana@example.org, Ana Lopes",
    value: pastedLines,
    oninput: (event) => (pastedLines = event.target.value),
  };
  const hint = "Either all accounts are created or none. The users sign in with an e-mailed code.";
  const linesField = field("One per line: username, e-mail, name", "lines", props, hint);
  const create = async ({ lines }) => {
    const { users, lineNumbers } = parseLines(lines);
    if (!users.length) throw new Error("Write one line for each account.");
    return postAccounts(store, users).catch((error) =>
      Promise.reject(new Error(lineErrors(error, lineNumbers))),
    );
  };
  const accounts = await openDialog("Create many accounts", [linesField], "Create all", create);
  if (!accounts) return [];
  pastedLines = "";
  toast(`${plural(accounts.length, "account")} created`);
  return accounts;
}

/**
 * Return the accounts and their line numbers. Commas, semicolons and tabs separate values: many lists come from
 * spreadsheets.
 */
function parseLines(text) {
  const lines = text
    .split("\n")
    .map((line, n) => ({ number: n + 1, values: line.split(/[,;\t]/).map((value) => value.trim()) }));
  const filled = lines.filter(({ values }) => values.some(Boolean));
  const users = filled.map(({ values: [username, email = "", ...nameParts] }) => {
    const display_name = nameParts.filter(Boolean).join(", "); // a name may contain a separator
    return { username, email, ...(display_name && { display_name }) };
  });
  return { users, lineNumbers: filled.map(({ number }) => number) };
}

/** Return the errors of a list of accounts, by line. */
function lineErrors(error, lineNumbers) {
  const errors = Object.entries(error.fields ?? {}).map(([name, message]) => {
    const [, index, fieldName] = /^users\.(\d+)\.?(.*)$/.exec(name) ?? [];
    if (index === undefined) return { line: 0, text: `${name}: ${message}` };
    const line = lineNumbers[index];
    return { line, text: `Line ${line}: ${fieldName ? `${fieldName}: ` : ""}${message}` };
  });
  if (!errors.length) return errorText(error);
  const texts = errors.sort((a, b) => a.line - b.line).map(({ text }) => text);
  const hidden = texts.length - MAX_SHOWN_ERRORS;
  return [...texts.slice(0, MAX_SHOWN_ERRORS), ...(hidden > 0 ? [`and ${hidden} more`] : [])].join("\n");
}

/** Open a dialog for an account's name and role. Returns the changed USER, or undefined when it is cancelled. */
export function changeAccount(store, user) {
  const fields = [
    field("Name", "display_name", { value: user.display_name, required: true, maxlength: "80" }),
    field("Role", "role", { options: ROLES, value: user.role }),
  ];
  return openDialog(`Change @${user.username}`, fields, "Save", async (values) => {
    const changes = Object.fromEntries(
      Object.entries(values).filter(([name, value]) => value !== user[name]),
    );
    if (!Object.keys(changes).length) return user;
    return markFieldErrors(fields, () => store.bell.call("PATCH", `/admin/users/${user.id}`, changes));
  });
}

/** Open a dialog for a new token. Returns the token, or undefined when it is cancelled. */
export function createToken(store, user) {
  const hint = "Anybody who has the token can act as this account, until it is revoked";
  const labelField = field("Purpose", "label", { maxlength: "64", placeholder: "Build bot" }, hint);
  const create = async ({ label }) => {
    const body = { label: label.trim() };
    const { token } = await store.bell.call("POST", `/admin/users/${user.id}/tokens`, body);
    return token;
  };
  const submit = (values) => markFieldErrors([labelField], () => create(values));
  return openDialog(`Create a token for ${nameOf(user)}`, [labelField], "Create", submit);
}

export function revokeTokens(store, user) {
  const warning = h(
    "p",
    {},
    "Bots and scripts of this account stop working, and it is signed out everywhere.",
  );
  const revoke = async () => {
    await store.bell.call("DELETE", `/admin/users/${user.id}/tokens`);
    toast(`All tokens of ${nameOf(user)} were revoked`);
  };
  const submit = () => markFieldErrors([], revoke);
  return openDialog(`Revoke all tokens of ${nameOf(user)}?`, [warning], "Revoke", submit, {
    dangerous: true,
  });
}
