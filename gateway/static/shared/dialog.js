/** Dialogs, and the forms in them. Text that users wrote becomes text nodes, never markup. */

import { errorText, fieldText, h, layerOf } from "./dom.js";
import { t } from "./words.js";

/**
 * Open a dialog with a form. `submit` gets the fields' values; an error that it throws is shown and the dialog stays
 * open. Resolves to the result of `submit`, or to undefined when the dialog was cancelled. With `dangerous` the action
 * is shown as one, with `isNotice` there is nothing to cancel, and with `isAnswer` it only leads on from what is shown.
 */
export function openDialog(title, fields, action, submit, props = {}) {
  return new Promise((resolve) => {
    let result;
    const problem = h("p.problem", { role: "alert", hidden: true });
    const onsubmit = async (event) => {
      event.preventDefault();
      button.disabled = true;
      clearProblems(form, problem);
      try {
        result = await submit(Object.fromEntries(new FormData(form)));
        dialog.close();
      } catch (error) {
        showProblems(form, problem, error);
      } finally {
        button.disabled = false;
      }
    };
    const onclose = () => {
      dialog.remove();
      resolve(result);
    };
    const button = h(`button.primary${props.dangerous ? ".dangerous" : ""}`, {}, action);
    const leave = t(props.isAnswer ? "dialog.close" : "dialog.cancel");
    const cancel = h("button", { type: "button", onclick: () => dialog.close() }, leave);
    const buttons = h("div.row.end", {}, !props.isNotice && cancel, button);
    const form = h("form", { onsubmit }, fields, problem, buttons);
    const dialog = h("dialog", { "aria-label": title, onclose }, h("h2", {}, title), form);
    layerOf().append(dialog);
    dialog.showModal();
  });
}

/** Create a labelled input. With `options`, pairs of value and text, it is a select; with `rows`, a textarea. */
export function field(label, name, { options = null, ...props } = {}, hint = null) {
  const choices = options?.map(([value, text]) =>
    h("option", { value, selected: value === props.value }, text),
  );
  const input = h(options ? "select" : props.rows ? "textarea" : "input", { name, ...props }, choices ?? []);
  return h("label.field", {}, h("span", {}, label), input, hint && h("small", {}, hint));
}

/** Copy the text of a field. Where the browser allows none, as with plain HTTP, the error says what else to do. */
export async function copyField(input) {
  input.select();
  try {
    await navigator.clipboard.writeText(input.value);
  } catch {
    throw new Error(t("admin.no-clipboard"));
  }
}

/** Return an error that a form shows at its field `name`. */
export const fieldError = (name, text) => Object.assign(new Error(text), { field: name });

/** Remove what showProblems has shown. */
export function clearProblems(form, problem) {
  problem.hidden = true;
  for (const note of form.querySelectorAll("small.problem")) note.remove();
  for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}

/** Show the error of each field below it, and all other errors in the element `problem`. */
export function showProblems(form, problem, error) {
  const fields = Object.entries(error.fields ?? {}).map(([name, message]) => [name, fieldText(name, message)]);
  if (error.field) fields.unshift([error.field, error.message]);
  const inputs = fields.map(([name, message]) => [form.elements[name], message]);
  const visible = inputs.filter(([input]) => input?.after && !input.closest("[hidden]"));
  for (const [input, message] of visible) {
    const note = h("small.problem", { id: `problem-${input.name}` }, message);
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", note.id);
    input.after(note);
  }
  problem.hidden = visible.length > 0 && visible.length === fields.length;
  problem.textContent = errorText(error);
  visible[0]?.[0].focus();
}
