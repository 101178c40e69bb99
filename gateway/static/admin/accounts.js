/** Dialogs that create accounts, change them or their status, and create or revoke their tokens. */

import { field, fieldError, openDialog } from "../shared/dialog.js";
import { errorText, fieldText, h, toast } from "../shared/dom.js";
import { nameOf } from "../shared/format.js";
import { LIMITS } from "../shared/limits.js";
import { hasWords, t } from "../shared/words.js";
import { bounded } from "./form.js";

const ROLES = ["user", "admin"];
const MAX_SHOWN_ERRORS = 10;
const TIMEOUT_S = 120; // a thousand accounts take several transactions
let pastedLines = ""; // the text of the dialog for many accounts, until they are created

const roleOptions = () => ROLES.map((role) => [role, t(`users.role.${role}`)]);

/** Open a dialog for one account. Returns [account], or undefined when it is cancelled. */
export async function createAccount(store) {
  const password = { type: "password", autocomplete: "new-password" };
  const fields = [
    field(t("users.username"), "username", { required: true, autocomplete: "off" }),
    field(t("users.email"), "email", { type: "email", required: true, autocomplete: "off" }),
    field(t("users.name"), "display_name", { autocomplete: "off", ...bounded(LIMITS.UserChanges.display_name) }),
    field(t("users.role"), "role", { options: roleOptions(), value: "user" }),
    field(t("users.password"), "password", password, t("users.password.hint")),
  ];
  const create = (values) => {
    const account = Object.fromEntries(Object.entries(values).filter(([, value]) => value));
    return postAccounts(store, [account]).catch((error) => Promise.reject(singleAccountError(error)));
  };
  const accounts = await openDialog(t("users.create"), fields, t("users.create.submit"), create);
  if (accounts) toast(t("users.create.done", { name: nameOf(accounts[0]) }));
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
    placeholder: t("users.create-many.example"),
    value: pastedLines,
    oninput: (event) => (pastedLines = event.target.value),
  };
  const linesField = field(t("users.create-many.lines"), "lines", props, t("users.create-many.hint"));
  const create = async ({ lines }) => {
    const { users, lineNumbers } = parseLines(lines);
    if (!users.length) throw new Error(t("users.create-many.no-line"));
    return postAccounts(store, users).catch((error) =>
      Promise.reject(new Error(lineErrors(error, lineNumbers))),
    );
  };
  const [title, action] = [t("users.create-many.title"), t("users.create-many.submit")];
  const accounts = await openDialog(title, [linesField], action, create);
  if (!accounts) return [];
  pastedLines = "";
  toast(t("users.create-many.done", { n: accounts.length }));
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

/** The label of a field of the API, such as "display_name". */
function fieldLabel(name) {
  const key = `users.${name.replace("display_", "")}`;
  return hasWords(key) ? t(key) : name;
}

/** Return the errors of a list of accounts, by line. */
function lineErrors(error, lineNumbers) {
  const errors = Object.entries(error.fields ?? {}).map(([name, problem]) => {
    const [, index, fieldName] = /^users\.(\d+)\.?(.*)$/.exec(name) ?? [];
    if (index === undefined) return { line: 0, text: t("admin.field-problem", { name, problem }) };
    const line = lineNumbers[index];
    const key = fieldName ? "users.line-field-problem" : "users.line-problem";
    return { line, text: t(key, { line, name: fieldLabel(fieldName), problem: fieldText(fieldName, problem) }) };
  });
  if (!errors.length) return errorText(error);
  const texts = errors.sort((a, b) => a.line - b.line).map(({ text }) => text);
  const hidden = texts.length - MAX_SHOWN_ERRORS;
  const more = hidden > 0 ? [t("users.more-problems", { n: hidden })] : [];
  return [...texts.slice(0, MAX_SHOWN_ERRORS), ...more].join("\n");
}

/** Open a dialog for an account's name and role. Returns the changed USER, or undefined when it is cancelled. */
export function changeAccount(store, user) {
  const name = { value: user.display_name, required: true, ...bounded(LIMITS.UserChanges.display_name) };
  const fields = [
    field(t("users.name"), "display_name", name),
    field(t("users.role"), "role", { options: roleOptions(), value: user.role }),
  ];
  const title = t("users.change.title", { username: user.username });
  return openDialog(title, fields, t("users.change.submit"), async (values) => {
    const changes = Object.fromEntries(
      Object.entries(values).filter(([name, value]) => value !== user[name]),
    );
    if (!Object.keys(changes).length) return user;
    return store.bell.call("PATCH", `/admin/users/${user.id}`, changes).catch((error) => {
      throw error.status === 409 ? fieldError("role", t("users.last-admin")) : error;
    });
  });
}

/** Open a dialog for a new token. Returns the token, or undefined when it is cancelled. */
export function createToken(store, user) {
  const props = { placeholder: t("users.token.example"), ...bounded(LIMITS.NewToken.label) };
  const labelField = field(t("users.token.purpose"), "label", props, t("users.token.hint"));
  const create = async ({ label }) => {
    const body = { label: label.trim() };
    const { token } = await store.bell.call("POST", `/admin/users/${user.id}/tokens`, body);
    return token;
  };
  const title = t("users.token.title", { name: nameOf(user) });
  return openDialog(title, [labelField], t("users.token.submit"), create);
}

/** Activate or suspend accounts, by `verb`. Returns the outcome of the API. */
export function postStatus(store, verb, users, reason = "") {
  const body = { ids: users.map(({ id }) => id), ...(reason && { reason }) };
  return store.bell.call("POST", `/admin/users/${verb}`, body, { timeoutS: TIMEOUT_S });
}

/**
 * Open a dialog that activates or suspends accounts, by `verb`, with a reason. Returns the outcome of the API, or
 * undefined when it is cancelled.
 */
export function changeStatus(store, verb, users) {
  const props = { rows: 2, ...bounded(LIMITS.StatusChange.reason) };
  const reasonField = field(t("users.reason"), "reason", props, t(`users.${verb}.hint`));
  const submit = ({ reason }) => postStatus(store, verb, users, reason.replace(/\s+/g, " ").trim());
  const [n, name] = [users.length, nameOf(users[0])];
  const title = n === 1 ? t(`users.${verb}.title-one`, { name }) : t(`users.${verb}.title`, { n });
  const options = { dangerous: verb === "suspend" };
  return openDialog(title, [reasonField], t(`users.${verb}`), submit, options);
}

/** Open a dialog that deletes an account. Returns the job's id, or undefined when it is cancelled. */
export function deleteAccount(store, user) {
  const name = nameOf(user);
  const warning = h("p", {}, t("users.delete.warning"));
  const options = ["keep", "erase"].map((texts) => [texts, t(`users.delete.texts.${texts}`)]);
  const texts = field(t("users.delete.texts"), "texts", { options });
  const remove = async (values) => {
    const { job } = await store.bell.call("DELETE", `/admin/users/${user.id}`, null, { query: values });
    toast(t("users.delete.done", { name, job }));
    return job;
  };
  const title = t("users.delete.title", { name });
  return openDialog(title, [warning, texts], t("users.delete"), remove, { dangerous: true });
}

export function revokeTokens(store, user) {
  const name = nameOf(user);
  const warning = h("p", {}, t("users.revoke.warning"));
  const revoke = async () => {
    await store.bell.call("DELETE", `/admin/users/${user.id}/tokens`);
    toast(t("users.revoke.done", { name }));
  };
  const title = t("users.revoke.title", { name });
  return openDialog(title, [warning], t("users.revoke.submit"), revoke, { dangerous: true });
}
