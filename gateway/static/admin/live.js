/** Values that change while they are shown: repeated requests, and progress bars. */

import { h } from "../shared/dom.js";
import { number, t } from "../shared/words.js";

/**
 * Call the async function `refresh` now, and again `intervalMs()` after each end, while the view is connected and the
 * page is visible, until it resolves to true. `refresh` must not throw. Returns a function that calls it at once.
 */
export function repeatWhileVisible(view, intervalMs, refresh) {
  const { signal } = view.lifetime;
  let timer;
  let isRunning = false;
  let isDone = false;
  const run = async () => {
    clearTimeout(timer);
    if (isRunning || isDone || document.hidden || signal.aborted) return;
    isRunning = true;
    isDone = Boolean(await refresh());
    isRunning = false;
    if (!isDone && !signal.aborted) timer = setTimeout(run, intervalMs());
  };
  document.addEventListener("visibilitychange", run, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  run();
  return run;
}

/** Create the progress bar of an announcement. `total` is null until the worker has counted the recipients. */
export function progress({ title, state, done, total }) {
  const isCounted = total !== null;
  const isDone = state === "done";
  const max = Math.max(1, total);
  const values = isCounted && { max, value: isDone ? max : done };
  const bar = h("progress", { "aria-label": t("announce.progress", { title }), ...values });
  const counts = { done: number(done), n: isDone ? done : total };
  const key = isDone ? "done" : isCounted ? "running" : "soon";
  return h("div.progress", {}, bar, h("span", {}, t(`announce.progress.${key}`, counts)));
}

/** A duration in its largest unit. */
export function formatDuration(s) {
  if (s < 60) return t("jobs.seconds", { n: Math.round(s) });
  if (s < 3600) return t("jobs.minutes", { n: Math.round(s / 60) });
  return s < 172_800
    ? t("jobs.hours", { n: Math.round(s / 3600) })
    : t("jobs.days", { n: Math.round(s / 86_400) });
}
