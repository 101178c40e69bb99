/**
 * Errors of dialogs in the admin area, shown at the fields that they are about, as shared/form.js does for forms in the
 * page.
 */

import { errorText, h } from "../shared/dom.js";
import { t } from "../shared/words.js";

const CONTROL = "input, select, textarea";
let noteCount = 0; // for unique ids

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
    const unmarked = errors.filter(([name, message]) => !markField(fields, name, message));
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
