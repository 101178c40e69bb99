/** Forms within the page: what went wrong is said where it is, what was typed stays, and what was done is said, too. */

import { h } from "./dom.js";
import { wordsOf } from "./format.js";

/** A form with a button. `submit` gets the fields' values and the form; what it returns is said when it is done. */
export function form(fields, action, submit) {
  const problem = h("p.problem", { role: "alert", hidden: true });
  const done = h("p.done", { role: "status" });
  const go = async (event) => {
    event.preventDefault();
    if (element.ariaBusy) return;
    element.ariaBusy = "true";
    done.textContent = "";
    clear(element, problem);
    try {
      done.textContent = (await submit(Object.fromEntries(new FormData(element)), element)) ?? "";
    } catch (error) {
      mark(element, problem, error);
    } finally {
      element.ariaBusy = null;
    }
  };
  const element = h("form", { onsubmit: go }, fields, problem, h("div.row", {}, h("button.primary", {}, action), done));
  return element;
}

function clear(element, problem) {
  problem.hidden = true;
  for (const note of element.querySelectorAll("small.problem")) note.remove();
  for (const input of element.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}

/** What is wrong with a field stands below it; all else above the button. */
function mark(element, problem, error) {
  const named = Object.entries(error.fields ?? {}).map(([name, message]) => [element.elements[name], message]);
  const known = named.filter(([input]) => input && !input.closest("[hidden]"));
  for (const [input, message] of known) {
    const note = h("small.problem", { id: `wrong-${input.name}` }, message);
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", note.id);
    input.after(note);
  }
  problem.hidden = known.length > 0 && known.length === named.length;
  problem.textContent = wordsOf(error);
  known[0]?.[0].focus();
}
