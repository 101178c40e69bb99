/** People in the admin area: how they are called when only their id is known, and fields that take one of them. */

import { field, fill, h } from "../shared/dom.js";
import { nameOf } from "../shared/format.js";

const SEARCH_AFTER_MS = 150;
const SUGGESTED = 10;

function called(store, id) {
  const user = store.person(id);
  return user.username ? nameOf(user) : `User ${id}`; // who is suspended, say
}

/** A person's name, which `keepNames` puts right when it comes. */
export function named(store, id) {
  return id == null ? "" : h("span.who", { "data-person": String(id), title: `User ${id}` }, called(store, id));
}

/** For a view with names in it. */
export function keepNames(view) {
  view.on(view.store, "people", (id) => {
    for (const place of view.querySelectorAll(`[data-person="${id}"]`)) place.textContent = called(view.store, id);
  });
}

/** A field that takes a username or an id, and suggests names on the way. What is in it: see `whoIs`. */
export function whoField(store, label, name, props = {}) {
  const names = h("datalist", { id: `people-${name}` });
  let timer;
  const suggest = async (q) => {
    const found = await store.bell.call("GET", "/users", null, { query: { q, limit: SUGGESTED } }).catch(() => ({ items: [] }));
    fill(names, found.items.map((user) => h("option", { value: user.username }, nameOf(user))));
  };
  const later = (event) => {
    const q = event.target.value.trim();
    clearTimeout(timer);
    if (q) timer = setTimeout(() => suggest(q), SEARCH_AFTER_MS);
  };
  const whole = field(label, name, { autocomplete: "off", list: names.id, placeholder: "Username or id", oninput: later, ...props });
  whole.append(names);
  return whole;
}

/** The id of whom a `whoField` names, null when it is empty. Throws an Error blaming the field when there is nobody. */
export async function whoIs(store, text, name) {
  const wanted = text.trim().replace(/^@/, "");
  if (!wanted) return null;
  const { items } = await store.bell.call("GET", "/admin/users", null, { query: { q: wanted, limit: 200 } });
  const found = items.find((user) => user.username.toLowerCase() === wanted.toLowerCase());
  if (found) return found.id;
  if (/^[1-9]\d{0,15}$/.test(wanted)) return Number(wanted);
  throw Object.assign(new Error("Nobody has this username."), { fields: { [name]: "Nobody has this username." } });
}
