/** Users in the admin area: names for ids, and fields for one user. */

import { field } from "../shared/dialog.js";
import { fill, h } from "../shared/dom.js";
import { nameOf } from "../shared/format.js";
import { t } from "../shared/words.js";

const SEARCH_AFTER_MS = 150;
const MAX_SUGGESTIONS = 10;

function nameText(store, id) {
  const user = store.person(id);
  return user.username ? nameOf(user) : t("admin.user-id", { id }); // suspended users, for example, cannot be loaded
}

/** Create an element with a user's name. `updateNames` replaces the text when the name has been loaded. */
export function userName(store, id) {
  if (id == null) return "";
  return h("span.who", { "data-person": String(id), title: t("admin.user-id", { id }) }, nameText(store, id));
}

/** Update the names within a view as they are loaded. */
export function updateNames(view) {
  view.listen(view.store, "people", (id) => {
    for (const element of view.querySelectorAll(`[data-person="${id}"]`))
      element.textContent = nameText(view.store, id);
  });
}

/** Create a field for a username or an id, with suggestions. `resolveUser` reads its value. */
export function userField(store, label, name, props = {}) {
  const suggestions = h("datalist", { id: `people-${name}` });
  let timer;
  const suggest = async (q) => {
    const options = { query: { q, limit: MAX_SUGGESTIONS } };
    const page = await store.bell.call("GET", "/users", null, options).catch(() => ({ items: [] }));
    fill(
      suggestions,
      page.items.map((user) => h("option", { value: user.username }, nameOf(user))),
    );
  };
  const oninput = (event) => {
    const q = event.target.value.trim();
    clearTimeout(timer);
    if (q) timer = setTimeout(() => suggest(q), SEARCH_AFTER_MS);
  };
  const inputProps = {
    autocomplete: "off",
    list: suggestions.id,
    placeholder: t("admin.user-field.example"),
    oninput,
    ...props,
  };
  const element = field(label, name, inputProps);
  element.append(suggestions);
  return element;
}

/**
 * Return the id of the user that a `userField` names; null if it is empty. Throws an Error with `fields` if there is no
 * such user.
 */
export async function resolveUser(store, text, fieldName) {
  const name = text.trim().replace(/^@/, "");
  if (!name) return null;
  const { items } = await store.bell.call("GET", "/admin/users", null, { query: { q: name, limit: 200 } });
  const user = items.find(({ username }) => username.toLowerCase() === name.toLowerCase());
  if (user) return user.id;
  if (/^[1-9]\d{0,15}$/.test(name)) return Number(name);
  const message = t("admin.no-user");
  throw Object.assign(new Error(message), { fields: { [fieldName]: message } });
}
