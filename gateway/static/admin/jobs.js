/** What goes on behind: asked for every two seconds while something does, and somebody looks. A part is drawn again only when it has changed. */

import { fill, h, toast, trying } from "../shared/dom.js";
import { line, pill, table } from "./list.js";
import { progress, whileSeen } from "./live.js";
import { keepNames, named } from "./user-names.js";
import { View } from "../shared/view.js";
import { exactly, plural, shortly, wordsOf } from "../shared/format.js";

const BUSY_MS = 2000;
const CALM_MS = 10_000; // each look leaves an audit record
const SHOWN = 5; // of a list that may be long; the rest is folded away
const LATE_S = 30; // a consumer this far behind is shown as late
/** In order: a part's title, what it shows of the answer, and what is said when that is nothing. */
const PARTS = [
  ["Given up on", ({ dead }) => dead, dead, "Nothing was given up on."],
  ["Mail", ({ mail }) => [mail], mail, ""],
  ["Announcements", ({ fanouts }) => fanouts, announcements, "There were none of late."],
  ["Consumers of the log", ({ consumers }) => consumers, consumers, ""],
  ["Workers", ({ workers }) => workers.map((one) => (one.alive ? { ...one, seen_at: null } : one)), workers, "No worker runs: what is behind a send waits."],
  ["Queues", ({ queues }) => queues, queues, ""],
];

class Jobs extends View {
  show() {
    this.problem = h("p.problem", { role: "alert", hidden: true });
    this.degraded = h("p.degraded", { role: "status", hidden: true });
    this.parts = PARTS.map(([title]) => h("section.panel", { "aria-label": title }));
    this.drawn = [];
    this.everyMs = BUSY_MS;
    fill(this, this.problem, this.degraded, h("div.parts", {}, this.parts));
    keepNames(this);
    this.refresh = whileSeen(this, () => this.everyMs, () => this.#look());
  }

  async #look() {
    try {
      this.#draw(await this.store.bell.call("GET", "/admin/jobs", null, { again: false, signal: this.ended.signal }));
      this.problem.hidden = true;
    } catch (error) {
      this.problem.hidden = false;
      this.problem.textContent = `This is how it was; it is asked for again. ${wordsOf(error)}`;
    }
  }

  #draw(found) {
    const { consumers, fanouts, mail } = found;
    const busy = mail.waiting || fanouts.some((one) => one.state !== "done") || consumers.some((one) => one.lag_s);
    this.everyMs = busy ? BUSY_MS : CALM_MS;
    this.degraded.hidden = !found.degraded.length;
    const degraded = `Degraded: ${found.degraded.join(", ")}. Nothing is lost; some things take longer.`;
    if (found.degraded.length && this.degraded.textContent !== degraded) this.degraded.textContent = degraded;
    PARTS.forEach(([title, take, show, empty], n) => {
      const items = take(found);
      const whole = JSON.stringify(items);
      if (whole === this.drawn[n]) return;
      this.drawn[n] = whole;
      this.#fill(this.parts[n], h("h3", { tabindex: "-1" }, title), items.length ? show(items, this) : h("p.quiet", {}, empty));
    });
  }

  /** What was unfolded stays so. The focus stays on what it was on, or goes to the part's title when that is gone. */
  #fill(section, ...what) {
    const held = section.contains(document.activeElement);
    const act = document.activeElement?.dataset?.act;
    const open = Boolean(section.querySelector("details")?.open);
    fill(section, what);
    section.querySelector("details")?.toggleAttribute("open", open);
    if (held) (section.querySelector(`[data-act="${act}"]`) ?? section.querySelector("h3")).focus();
  }

  async retry(one) {
    const taken = await trying(() => this.store.bell.call("POST", `/admin/jobs/${one.id}/retry`, null));
    if (!taken) return;
    toast("It is tried again");
    this.refresh();
  }
}

/** The first of a list, and the rest of it folded away. `show` makes a table, or the like, of some of them. */
function folded(items, show, of = items.slice(0, SHOWN)) {
  const rest = items.filter((one) => !of.includes(one));
  return [show(of), rest.length > 0 && h("details", {}, h("summary", { "data-act": "rest" }, `${rest.length} more`), show(rest))];
}

function dead(all, view) {
  const heads = ["What", "Of", "Error", "Since", ""];
  const row = (one) =>
    line(heads, [
      `${one.consumer}: ${one.type ?? "no longer kept"}`,
      one.event ? h("a", { href: `#/admin/explain/${one.event}`, "data-act": `event-${one.id}` }, `Event ${one.event}`) : (one.to ?? ""),
      h("span.problem", {}, one.error),
      at(one.parked_at),
      one.retrying ? pill("Is tried again") : h("button", { type: "button", "data-act": `retry-${one.id}`, "aria-label": `Try again: ${one.type ?? one.consumer} ${one.to ?? one.event}`, onclick: () => view.retry(one) }, "Try again"),
    ]);
  return folded(all, (items) => table("Given up on", heads, items.map(row)));
}

/** Those under way are all shown. */
function announcements(all, view) {
  const row = (one) => h("li", {}, h("p.title", {}, one.title), h("small", {}, "by ", named(view.store, one.by), ", ", at(one.created_at)), progress(one));
  return folded(all, (items) => h("ul.announcements", {}, items.map(row)), all.filter((one, n) => n < SHOWN || one.state !== "done"));
}

function mail([{ waiting, oldest_s, failing }]) {
  const heads = ["To", "Kind", "Tries", "Error", "Next"];
  const row = (one) => line(heads, [one.to, one.type, String(one.attempts), h("span.problem", {}, one.error), at(one.next_at)]);
  const waits = waiting ? `${plural(waiting, "mail")} ${waiting === 1 ? "waits" : "wait"}, the oldest for ${lasting(oldest_s)}.` : "No mail waits.";
  return [h("p", {}, waits), failing.length > 0 && folded(failing, (items) => table("Mail that fails", heads, items.map(row)))];
}

function workers(items) {
  const heads = ["Worker", "State", "Since", "Does now"];
  const doing = (running) => (running.length ? h("ul", {}, running.map(({ what, since }) => h("li", {}, what, h("small", {}, ` since ${exactly(since)}`)))) : h("span.quiet", {}, "Waits for work"));
  const rows = items.map((one) => line(heads, [one.worker, one.alive ? pill("Alive", "good") : pill(`Gone since ${shortly(one.seen_at)}`, "bad"), at(one.started_at), doing(one.running)]));
  return table("Workers", heads, rows);
}

function consumers(items) {
  const heads = ["Consumer", "Behind", "Has done", "Moved"];
  const behind = (s) => (s ? pill(lasting(s), s > LATE_S ? "bad" : "quiet") : pill("Up to date", "good"));
  return table("Consumers of the log", heads, items.map((one) => line(heads, [one.consumer, behind(one.lag_s), `Event ${one.position}`, at(one.moved_at)])));
}

function queues(items) {
  const heads = ["Queue", "Depth", "Oldest"];
  const rows = items.map(({ queue, depth, oldest_s }) => line(heads, [queue, depth === null ? pill("Can't be used now", "bad") : String(depth), oldest_s === null ? "" : lasting(oldest_s)]));
  return table("Queues", heads, rows);
}

function at(time) {
  return h("time", { datetime: time, title: exactly(time) }, shortly(time));
}

/** A length of time in its largest unit. */
function lasting(s) {
  if (s < 60) return `${Math.round(s)} s`;
  if (s < 3600) return `${Math.round(s / 60)} min`;
  return s < 172_800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86_400)} days`;
}

customElements.define("bw-admin-jobs", Jobs);
