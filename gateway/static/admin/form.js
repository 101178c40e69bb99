/**
 * Fields of the admin area: bounds that are said before anything is sent, and the errors of dialogs shown at the fields
 * that they are about, as shared/form.js does for forms in the page.
 */

import { errorText, fieldText, h } from "../shared/dom.js";
import { number, t } from "../shared/words.js";

const CONTROL = "input, select, textarea";
let noteCount = 0; // for unique ids

/**
 * Return properties of a field whose text has bounds, one of LIMITS. Nothing is cut: a text that is too long is refused
 * when the form is sent. The API counts code points.
 */
export function bounded({ max }) {
  const oninput = ({ target }) => {
    const n = [...target.value].length;
    target.setCustomValidity(n > max ? t("admin.too-long", { n: max, count: number(n) }) : "");
  };
  return { oninput };
}

/**
 * Run a call that sends these fields. If it is refused, mark the wrong fields, focus the first, and throw an Error for
 * the dialog.
 */
export async function markFieldErrors(fields, run) {
  for (const label of fields) clearMark(label);
  try {
    return await run();
  } catch (error) {
    const errors = Object.entries(error.fields ?? {});
    const unmarked = errors.filter(([name, message]) => !markField(fields, name, fieldText(name, message)));
    fields
      .map((label) => label.querySelector("[aria-invalid]"))
      .find(Boolean)
      ?.focus();
    if (!errors.length) throw new Error(errorText(error));
    const rest = unmarked.map(([name, problem]) => t("admin.field-problem", { name, problem })).join("\n");
    throw new Error(rest || t("admin.correct-fields"));
  }
}

function clearMark(label) {
  label.querySelector(".problem")?.remove();
  const control = label.querySelector(CONTROL);
  control?.removeAttribute("aria-invalid");
  control?.removeAttribute("aria-describedby");
}

/** Mark the field with this name; return whether there is one. */
function markField(fields, name, message) {
  const label = fields.find((candidate) => candidate.querySelector(CONTROL)?.name === name);
  if (!label) return false;
  const control = label.querySelector(CONTROL);
  const note = h("small.problem", { id: `problem-${++noteCount}` }, message);
  label.append(note);
  control.setAttribute("aria-invalid", "true");
  control.setAttribute("aria-describedby", note.id);
  return true;
}
