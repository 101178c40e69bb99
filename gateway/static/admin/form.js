/** Dialogs of the admin area say what is wrong at the field that it is about, as forms in the page do (form.js). */

import { h } from "../shared/dom.js";
import { wordsOf } from "../shared/format.js";

const CONTROL = "input, select, textarea";
let numbers = 0;

/** Runs a call that takes these fields. Throws an Error for the form as a whole when it is refused, having marked those that are
 *  to blame and put the focus on the first of them. */
export async function blaming(fields, run) {
  for (const label of fields) clear(label);
  try {
    return await run();
  } catch (error) {
    const rest = Object.entries(error.fields ?? {}).filter(([name, message]) => !blame(fields, name, message));
    fields.map((label) => label.querySelector("[aria-invalid]")).find(Boolean)?.focus();
    if (!error.fields || !Object.keys(error.fields).length) throw new Error(wordsOf(error));
    throw new Error(rest.length ? rest.map(([name, message]) => `${name}: ${message}`).join("\n") : "Look at what is marked above.");
  }
}

function clear(label) {
  label.querySelector(".problem")?.remove();
  const control = label.querySelector(CONTROL);
  control?.removeAttribute("aria-invalid");
  control?.removeAttribute("aria-describedby");
}

function blame(fields, name, message) {
  const label = fields.find((each) => each.querySelector(CONTROL)?.name === name);
  if (!label) return false;
  const control = label.querySelector(CONTROL);
  const word = h("small.problem", { id: `wrong-${++numbers}` }, message);
  label.append(word);
  control.setAttribute("aria-invalid", "true");
  control.setAttribute("aria-describedby", word.id);
  return true;
}
