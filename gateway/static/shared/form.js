/**
 * Forms within the page: errors are shown at their fields, input is kept until the server accepts it, success is
 * confirmed.
 */

import { clearProblems, showProblems } from "./dialog.js";
import { h } from "./dom.js";

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
