/**
 * Background work: dead letters, mail, announcements, consumers, workers and queues. The view is refreshed while it is
 * visible; a part is drawn again only when it has changed.
 */

import { View, errorText, fill, h, toast, toastErrors } from "../shared/dom.js";
import { formatDateTime, formatShort, plural, timeElement } from "../shared/format.js";
import { pill, table, tableRow } from "./list.js";
import { progress, repeatWhileVisible } from "./live.js";
import { updateNames, userName } from "./user-names.js";

const BUSY_REFRESH_MS = 2000;
const IDLE_REFRESH_MS = 10_000; // each request leaves an audit record
const MAX_UNFOLDED = 5; // items of a list; the rest is folded
const LATE_S = 30; // a consumer with a greater lag is marked as late

/** In order: the title of a part, its data in the answer, the function that draws it, and a text for no data. */
const PARTS = [
  ["Failed work", ({ dead }) => dead, drawDeadLetters, "No work has failed."],
  ["Mail", ({ mail }) => [mail], drawMail, ""],
  ["Announcements", ({ fanouts }) => fanouts, drawAnnouncements, "There were no announcements recently."],
  ["Consumers of the log", ({ consumers }) => consumers, drawConsumers, ""],
  ["Workers", stableWorkers, drawWorkers, "No worker is running: background work has to wait."],
  ["Queues", ({ queues }) => queues, drawQueues, ""],
];

/** Properties: `store`. */
class Jobs extends View {
  render() {
    this.problem = h("p.problem", { role: "alert", hidden: true });
    this.degraded = h("p.degraded", { role: "status", hidden: true });
    this.parts = PARTS.map(([title]) => h("section.panel", { "aria-label": title }));
    this.drawn = []; // the JSON of each part as it was drawn
    this.refreshMs = BUSY_REFRESH_MS;
    fill(this, this.problem, this.degraded, h("div.parts", {}, this.parts));
    updateNames(this);
    this.refresh = repeatWhileVisible(
      this,
      () => this.refreshMs,
      () => this.#load(),
    );
  }

  async #load() {
    const options = { retry: false, signal: this.lifetime.signal };
    try {
      this.#draw(await this.store.bell.call("GET", "/admin/jobs", null, options));
      this.problem.hidden = true;
    } catch (error) {
      this.problem.hidden = false;
      this.problem.textContent = `This may be out of date; it will be loaded again. ${errorText(error)}`;
    }
  }

  #draw(jobs) {
    const { consumers, fanouts, mail } = jobs;
    const isBusy =
      mail.waiting || fanouts.some(({ state }) => state !== "done") || consumers.some(({ lag_s }) => lag_s);
    this.refreshMs = isBusy ? BUSY_REFRESH_MS : IDLE_REFRESH_MS;
    this.#drawDegraded(jobs.degraded);
    PARTS.forEach(([title, select, draw, empty], n) => {
      const items = select(jobs);
      const json = JSON.stringify(items);
      if (json === this.drawn[n]) return;
      this.drawn[n] = json;
      const content = items.length ? draw(items, this) : h("p.quiet", {}, empty);
      this.#fillPart(this.parts[n], h("h3", { tabindex: "-1" }, title), content);
    });
  }

  #drawDegraded(names) {
    this.degraded.hidden = !names.length;
    const text = `Degraded: ${names.join(", ")}. Nothing is lost; some things take longer.`;
    if (names.length && this.degraded.textContent !== text) this.degraded.textContent = text;
  }

  /** Fill a part. Unfolded details stay unfolded, and the focus stays on its control or moves to the title. */
  #fillPart(section, ...content) {
    const hadFocus = section.contains(document.activeElement);
    const act = document.activeElement?.dataset?.act;
    const isOpen = Boolean(section.querySelector("details")?.open);
    fill(section, content);
    section.querySelector("details")?.toggleAttribute("open", isOpen);
    if (hadFocus) (section.querySelector(`[data-act="${act}"]`) ?? section.querySelector("h3")).focus();
  }

  async retry(id) {
    const answer = await toastErrors(() => this.store.bell.call("POST", `/admin/jobs/${id}/retry`, null));
    if (!answer) return;
    toast("It will be tried again");
    this.refresh();
  }
}

/** Draw the first items, and the rest folded. `draw(items)` returns a table or a list. */
function folded(items, draw, first = items.slice(0, MAX_UNFOLDED)) {
  const rest = items.filter((item) => !first.includes(item));
  const summary = h("summary", { "data-act": "rest" }, `${rest.length} more`);
  return [draw(first), rest.length > 0 && h("details", {}, summary, draw(rest))];
}

function drawDeadLetters(letters, view) {
  const heads = ["Work", "About", "Error", "Since", ""];
  const row = (letter) => {
    const { id, consumer, type, event, to, error, parked_at } = letter;
    const eventLink = h(
      "a",
      { href: `#/admin/explain/${event}`, "data-act": `event-${id}` },
      `Event ${event}`,
    );
    return tableRow(heads, [
      `${consumer}: ${type ?? "no longer kept"}`,
      event ? eventLink : (to ?? ""),
      h("span.problem", {}, error),
      timeElement(parked_at),
      letter.retrying ? pill("Trying again") : retryButton(letter, view),
    ]);
  };
  return folded(letters, (items) => table("Failed work", heads, items.map(row)));
}

function retryButton({ id, consumer, type, event, to }, view) {
  const props = {
    type: "button",
    "data-act": `retry-${id}`,
    "aria-label": `Try again: ${type ?? consumer} ${to ?? event}`,
    onclick: () => view.retry(id),
  };
  return h("button", props, "Try again");
}

/** Announcements that are not done are never folded. */
function drawAnnouncements(announcements, view) {
  const row = (announcement) => {
    const author = userName(view.store, announcement.by);
    const details = h("small", {}, "by ", author, ", ", timeElement(announcement.created_at));
    return h("li", {}, h("p.title", {}, announcement.title), details, progress(announcement));
  };
  const first = announcements.filter(({ state }, n) => n < MAX_UNFOLDED || state !== "done");
  return folded(announcements, (items) => h("ul.announcements", {}, items.map(row)), first);
}

function drawMail([{ waiting, oldest_s, failing }]) {
  const heads = ["To", "Kind", "Attempts", "Error", "Next"];
  const row = ({ to, type, attempts, error, next_at }) =>
    tableRow(heads, [to, type, String(attempts), h("span.problem", {}, error), timeElement(next_at)]);
  const verb = waiting === 1 ? "is" : "are";
  const text = waiting
    ? `${plural(waiting, "e-mail")} ${verb} waiting, the oldest for ${formatDuration(oldest_s)}.`
    : "No e-mail is waiting.";
  const failures =
    failing.length > 0 && folded(failing, (items) => table("Failing e-mails", heads, items.map(row)));
  return [h("p", {}, text), failures];
}

/** Leave the changing time out of living workers, so that they are not drawn again each time. */
function stableWorkers({ workers }) {
  return workers.map((worker) => (worker.alive ? { ...worker, seen_at: null } : worker));
}

function drawWorkers(workers) {
  const heads = ["Worker", "State", "Since", "Current work"];
  const rows = workers.map(({ worker, alive, seen_at, started_at, running }) => {
    const state = alive ? pill("Alive", "good") : pill(`Gone since ${formatShort(seen_at)}`, "bad");
    return tableRow(heads, [worker, state, timeElement(started_at), runningTasks(running)]);
  });
  return table("Workers", heads, rows);
}

function runningTasks(running) {
  if (!running.length) return h("span.quiet", {}, "Idle");
  const tasks = running.map(({ what, since }) =>
    h("li", {}, what, h("small", {}, ` since ${formatDateTime(since)}`)),
  );
  return h("ul", {}, tasks);
}

function drawConsumers(consumers) {
  const heads = ["Consumer", "Lag", "Position", "Moved"];
  const lag = (s) => (s ? pill(formatDuration(s), s > LATE_S ? "bad" : "quiet") : pill("Up to date", "good"));
  const rows = consumers.map(({ consumer, lag_s, position, moved_at }) =>
    tableRow(heads, [consumer, lag(lag_s), `Event ${position}`, timeElement(moved_at)]),
  );
  return table("Consumers of the log", heads, rows);
}

function drawQueues(queues) {
  const heads = ["Queue", "Depth", "Oldest"];
  const rows = queues.map(({ queue, depth, oldest_s }) => {
    const size = depth === null ? pill("Not available", "bad") : String(depth);
    return tableRow(heads, [queue, size, oldest_s === null ? "" : formatDuration(oldest_s)]);
  });
  return table("Queues", heads, rows);
}

/** A duration in its largest unit. */
function formatDuration(s) {
  if (s < 60) return `${Math.round(s)} s`;
  if (s < 3600) return `${Math.round(s / 60)} min`;
  return s < 172_800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86_400)} days`;
}

customElements.define("bw-admin-jobs", Jobs);
