/** What goes on while one looks: asking again and again, and bars of progress. */

import { h } from "../shared/dom.js";

/** Runs `look` now and `everyMs()` after it has ended, as long as the view is shown and the page is seen, until it returns true.
 *  Returns what runs it at once. `look` does not throw. */
export function whileSeen(view, everyMs, look) {
  const { signal } = view.ended;
  let timer;
  let running = false;
  let over = false;
  const next = async () => {
    clearTimeout(timer);
    if (running || over || document.hidden || signal.aborted) return;
    running = true;
    over = Boolean(await look());
    running = false;
    if (!over && !signal.aborted) timer = setTimeout(next, everyMs());
  };
  document.addEventListener("visibilitychange", next, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  next();
  return next;
}

/** How far an announcement is. How many are to be told is counted by the worker, so at first it is not known. */
export function progress({ title, state, done, total }) {
  const known = total !== null;
  const bar = h("progress", { "aria-label": `Progress of “${title}”`, ...(known && { max: Math.max(1, total), value: state === "done" ? Math.max(1, total) : done }) });
  const word = state === "done" ? `Done: ${done} told` : known ? `${done} of ${total} told` : "Begins soon";
  return h("div.progress", {}, bar, h("span", {}, word));
}
