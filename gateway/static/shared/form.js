/**
 * Forms within the page: errors are shown at their fields, input is kept until the server accepts it, success is
 * confirmed.
 */

import { errorText, fieldText, h } from "./dom.js";

/**
 * Create a form with a button. `submit` gets the fields' values and the form; the text that it returns is shown
 * afterwards.
 */
export function form(fields, action, submit) {
  const problem = h("p.problem", { role: "alert", hidden: true });
  const confirmation = h("p.done", { role: "status" });
  const onsubmit = async (event) => {
    event.preventDefault();
    if (element.ariaBusy) return;
    element.ariaBusy = "true";
    confirmation.textContent = "";
    clearProblems(element, problem);
    try {
      confirmation.textContent = (await submit(Object.fromEntries(new FormData(element)), element)) ?? "";
    } catch (error) {
      showProblems(element, problem, error);
    } finally {
      element.ariaBusy = null;
    }
  };
  const row = h("div.row", {}, h("button.primary", {}, action), confirmation);
  const element = h("form", { onsubmit }, fields, problem, row);
  return element;
}

function clearProblems(element, problem) {
  problem.hidden = true;
  for (const note of element.querySelectorAll("small.problem")) note.remove();
  for (const input of element.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}

/** Show the error of each field below it, and all other errors above the button. */
function showProblems(element, problem, error) {
  const fieldErrors = Object.entries(error.fields ?? {}).map(([name, message]) => [
    element.elements[name],
    fieldText(name, message),
  ]);
  const visible = fieldErrors.filter(([input]) => input && !input.closest("[hidden]"));
  for (const [input, message] of visible) {
    const note = h("small.problem", { id: `problem-${input.name}` }, message);
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", note.id);
    input.after(note);
  }
  problem.hidden = visible.length > 0 && visible.length === fieldErrors.length;
  problem.textContent = errorText(error);
  visible[0]?.[0].focus();
}
