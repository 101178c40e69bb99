/**
 * Background work: what has failed, mail, announcements, the host's notifications, each kind of work (a consumer of the
 * log), workers and queues.
 * The view is refreshed while it is visible; a part is drawn again only when it has changed.
 */

import { View, errorText, fill, h, toast, toastErrors } from "../shared/dom.js";
import { formatDateTime, formatShort, timeElement } from "../shared/format.js";
import { mailKind } from "../shared/decisions.js";
import { sentence } from "../shared/sentence.js";
import { hasWords, listed, number, t } from "../shared/words.js";
import { pill, table, tableRow } from "./list.js";
import { formatDuration, progress, repeatWhileVisible } from "./live.js";
import { updateNames, userName } from "./user-names.js";

const BUSY_REFRESH_MS = 2000;
const IDLE_REFRESH_MS = 10_000; // each request leaves an audit record
const MAX_UNFOLDED = 5; // items of a list; the rest is folded
const LATE_S = 30; // a consumer with a greater lag is marked as late

/** In order: the key of a part's title, its data in the answer, the function that draws it, and a key for no data. */
const PARTS = [
  ["jobs.dead", ({ dead }) => dead, drawDeadLetters, "jobs.dead.none"],
  ["jobs.mail", ({ mail }) => [mail], drawMail, ""],
  ["jobs.announcements", ({ fanouts }) => fanouts, drawAnnouncements, "jobs.announcements.none"],
  ["jobs.notices", ({ notices }) => notices, drawNotices, "jobs.notices.none"],
  ["jobs.consumers", ({ consumers }) => consumers, drawConsumers, ""],
  ["jobs.workers", stableWorkers, drawWorkers, "jobs.workers.none"],
  ["jobs.queues", ({ queues }) => queues, drawQueues, ""],
];

/** Properties: `store`. */
class Jobs extends View {
  render() {
    this.problemText = h("span");
    const retry = h("button", { type: "button", onclick: () => this.refresh() }, t("error.try-again"));
    this.problem = h("p.problem.row", { role: "alert", hidden: true }, this.problemText, retry);
    this.degraded = h("p.degraded", { role: "status", hidden: true });
    this.parts = PARTS.map(([title]) => h("section.panel", { "aria-label": t(title) }));
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
      const problem = errorText(error);
      this.problemText.textContent = this.drawn.length ? t("jobs.outdated", { problem }) : problem;
    }
  }

  #draw(jobs) {
    const { consumers, fanouts, mail, notices } = jobs;
    const isRunning = [...fanouts, ...notices].some(({ state }) => state === "running");
    const isBusy = mail.waiting || isRunning || consumers.some(({ lag_s }) => lag_s);
    this.refreshMs = isBusy ? BUSY_REFRESH_MS : IDLE_REFRESH_MS;
    this.#drawDegraded(jobs.degraded);
    PARTS.forEach(([title, select, draw, empty], n) => {
      const items = select(jobs);
      const json = JSON.stringify(items);
      if (json === this.drawn[n]) return;
      this.drawn[n] = json;
      const content = items.length ? draw(items, this) : h("p.quiet", {}, empty && t(empty));
      this.#fillPart(this.parts[n], h("h3", { tabindex: "-1" }, t(title)), content);
    });
  }

  #drawDegraded(names) {
    this.degraded.hidden = !names.length;
    const text = t("jobs.degraded", { parts: listed(names.map(partName)) });
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
    toast(t("jobs.retry.done"));
    this.refresh();
  }
}

/** The words of a key, or else a name of the API: newer servers may have parts that have no words yet. */
const wordsOr = (key, name) => (hasWords(key) ? t(key) : name);

/** The name of a part of the server, and of one kind of background work. */
const partName = (name) => wordsOr(`jobs.part.${name}`, name);
const workName = (name) => wordsOr(`jobs.work.${name}`, name);

/** A name with an explanation below it. */
function explained(name, explanation) {
  return h("div.wide", {}, name, explanation && h("small", {}, explanation));
}

/** The names of a table's columns. Their keys begin with that of the table. */
const heads = (key, columns) => columns.map((column) => column && t(`${key}.${column}`));

/** Draw the first items, and the rest folded. `draw(items)` returns a table or a list. */
function folded(items, draw, first = items.slice(0, MAX_UNFOLDED)) {
  const rest = items.filter((item) => !first.includes(item));
  const summary = h("summary", { "data-act": "rest" }, t("jobs.more", { n: rest.length }));
  return [draw(first), rest.length > 0 && h("details", {}, summary, draw(rest))];
}

function drawDeadLetters(letters, view) {
  const columns = heads("jobs.dead", ["work", "about", "error", "since", ""]);
  const row = (letter) => {
    const { id, consumer, type, event, to, error, parked_at } = letter;
    const props = { href: `#/admin/explain/event-${event}`, "data-act": `event-${id}` };
    const eventLink = h("a", props, t("jobs.event", { event }));
    const about = event ? type : mailKind(type);
    const work = t(type == null ? "jobs.dead.not-kept" : "jobs.dead.kept", { work: workName(consumer), about });
    return tableRow(columns, [
      work,
      h("span.wide", {}, event ? eventLink(event) : (to ?? "")),
      h("span.problem", { dir: "auto" }, error),
      timeElement(parked_at),
      letter.retrying ? pill(t("jobs.retry.running")) : retryButton(letter, view),
    ]);
  };
  return folded(letters, (items) => table(t("jobs.dead"), columns, items.map(row)));
}

function eventLink(event) {
  const props = { href: `#/admin/explain/event-${event}`, "data-act": `event-${event}` };
  return h("a", props, t("jobs.event", { event }));
}

function retryButton({ id, consumer, type, event, to }, view) {
  const props = {
    type: "button",
    "data-act": `retry-${id}`,
    "aria-label": t("jobs.retry.label", { work: workName(consumer), about: to ?? event }),
    onclick: () => view.retry(id),
  };
  return h("button", props, t("error.try-again"));
}

/** Announcements that are not done are never folded. */
function drawAnnouncements(announcements, view) {
  const row = (announcement) => {
    const author = userName(view.store, announcement.by);
    const parts = { name: author, time: timeElement(announcement.created_at) };
    const details = h("small", {}, sentence("jobs.announcements.by", parts));
    return h("li", {}, h("p.title", { dir: "auto" }, announcement.title), details, progress(announcement));
  };
  const first = announcements.filter(({ state }, n) => n < MAX_UNFOLDED || state !== "done");
  return folded(announcements, (items) => h("ul.announcements", {}, items.map(row)), first);
}

/** Notifications of the host's that are being delivered are never folded. */
function drawNotices(notices) {
  const row = (notice) => {
    const { event, type, created_at } = notice;
    const parts = { event: eventLink(event), to: audienceOf(notice), time: timeElement(created_at) };
    const details = h("small", {}, sentence("jobs.notices.about", parts));
    return h("li", {}, h("p.title", { dir: "ltr" }, type), details, noticeState(notice));
  };
  const first = notices.filter(({ state, done }, n) => n < MAX_UNFOLDED || (state === "running" && done));
  return folded(notices, (items) => h("ul.announcements", {}, items.map(row)), first);
}

function noticeState({ type, state, due_at, ...counts }) {
  if (state === "waiting") return pill(t("jobs.notices.waiting", { time: formatDateTime(due_at) }));
  if (state === "failed") return pill(t("jobs.notices.failed"), "bad");
  return progress({ title: type, state, ...counts });
}

function audienceOf({ audience, receivers }) {
  return audience === "role" ? t(`jobs.notices.role.${receivers}`) : t(`jobs.notices.${audience}`, { name: receivers });
}

function drawMail([{ waiting, oldest_s, failing }]) {
  const columns = heads("jobs.mail", ["to", "kind", "attempts", "error", "next"]);
  const row = ({ to, type, attempts, error, next_at }) =>
    tableRow(columns, [
      h("span.wide", {}, to),
      mailKind(type),
      number(attempts),
      h("span.problem", { dir: "auto" }, error),
      timeElement(next_at),
    ]);
  const text = waiting
    ? t("jobs.mail.waiting", { n: waiting, time: formatDuration(oldest_s) })
    : t("jobs.mail.none");
  const draw = (items) => table(t("jobs.mail.failing"), columns, items.map(row));
  return [h("p", {}, text), failing.length > 0 && folded(failing, draw)];
}

/** Leave the changing time out of living workers, so that they are not drawn again each time. */
function stableWorkers({ workers }) {
  return workers.map((worker) => (worker.alive ? { ...worker, seen_at: null } : worker));
}

function drawWorkers(workers) {
  const columns = heads("jobs.workers", ["worker", "state", "since", "work"]);
  const rows = workers.map(({ worker, alive, seen_at, started_at, running }) => {
    const state = alive
      ? pill(t("jobs.workers.alive"), "good")
      : pill(t("jobs.workers.gone", { time: formatShort(seen_at) }), "bad");
    return tableRow(columns, [worker, state, timeElement(started_at), runningTasks(running)]);
  });
  return table(t("jobs.workers"), columns, rows);
}

function runningTasks(running) {
  if (!running.length) return h("span.quiet", {}, t("jobs.workers.idle"));
  const tasks = running.map(({ what, since }) =>
    h("li", {}, taskName(what), h("small", {}, t("jobs.workers.running", { time: formatDateTime(since) }))),
  );
  return h("ul", {}, tasks);
}

/** The task of a worker, such as "drain notify" or "mail 12". */
function taskName(what) {
  const [verb, ...rest] = what.split(" ");
  return verb === "drain" ? workName(rest.join(" ")) : wordsOr(`jobs.task.${verb}`, what);
}

function drawConsumers(consumers) {
  const columns = heads("jobs.consumers", ["consumer", "lag", "position", "moved"]);
  const name = (consumer) => explained(workName(consumer), wordsOr(`jobs.work.${consumer}.about`, ""));
  const lag = (s) =>
    s ? pill(formatDuration(s), s > LATE_S ? "bad" : "quiet") : pill(t("jobs.consumers.no-lag"), "good");
  const rows = consumers.map(({ consumer, lag_s, position, moved_at }) =>
    tableRow(columns, [name(consumer), lag(lag_s), t("jobs.event", { event: position }), timeElement(moved_at)]),
  );
  return table(t("jobs.consumers"), columns, rows);
}

function drawQueues(queues) {
  const columns = heads("jobs.queues", ["queue", "depth", "oldest"]);
  const rows = queues.map(({ queue, depth, oldest_s }) => {
    const size = depth === null ? pill(t("jobs.queues.not-available"), "bad") : number(depth);
    const name = explained(t("jobs.queues.name", { queue }), t("jobs.queues.about"));
    return tableRow(columns, [name, size, oldest_s === null ? "" : formatDuration(oldest_s)]);
  });
  return table(t("jobs.queues"), columns, rows);
}

customElements.define("bw-admin-jobs", Jobs);
