/** Quiet hours: when mail and push wait. What the settings would have meant for the last two weeks is shown before they are saved. */

import { field, fieldError } from "../shared/dialog.js";
import { View, fill, h } from "../shared/dom.js";
import { form } from "../shared/form.js";
import { formatShort } from "../shared/format.js";
import { language, listed, t } from "../shared/words.js";

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MONDAY = Date.UTC(2024, 0, 1);
const USUAL = { days: DAYS, from: "22:00", to: "07:00" };
const PREVIEW_AFTER_MS = 600; // after a change of the form
const DAY_MS = 86_400_000;

/** Properties: `store`, `me` (the answer of GET /me) and `change` (async, gets the fields to change). */
class QuietHours extends View {
  render() {
    const { quiet } = this.me;
    const { days, from, to } = quiet ?? USUAL;
    const isOn = h("input", { type: "checkbox", name: "on", checked: Boolean(quiet) });
    const legend = h("legend", {}, t("quiet-hours.days"));
    const boxes = DAYS.map((day, n) => dayBox(day, n, days.includes(day)));
    const times = h(
      "div.row",
      {},
      field(t("quiet-hours.from"), "quiet.from", { type: "time", value: from, required: true }),
      field(t("quiet-hours.to"), "quiet.to", { type: "time", value: to, required: true }),
    );
    this.clock = h("small");
    this.hours = h("fieldset.hours", {}, h("fieldset", { name: "quiet.days" }, legend, boxes), times, this.clock);
    this.preview = h("p.quiet", { role: "status" });
    this.now = h("div.now", { role: "status" });
    const fields = [h("label.row", {}, isOn, h("span.grow", {}, t("quiet-hours.on"))), this.hours, this.preview];
    this.form = form(fields, t("quiet-hours.save"), () => this.#save());
    this.form.addEventListener("input", () => this.#onInput());
    const hint = h("p.quiet", {}, t("quiet-hours.hint"));
    fill(this, h("section.sheet", {}, h("h2", {}, t("quiet-hours.title")), hint, this.now, this.form));
    this.#showHours();
    this.#showNow();
    if (quiet) this.#showPreview();
  }

  /** Show what depends on the account, which has changed. */
  update(me) {
    this.me = me;
    this.#showHours();
    this.#showNow();
    if (me.quiet) this.#showPreview();
  }

  /** What the form says: quiet hours, or null. */
  #chosen() {
    const { elements } = this.form;
    if (!elements.on.checked) return null;
    const days = [...elements.day].filter((box) => box.checked).map((box) => box.value);
    return { days, from: elements["quiet.from"].value, to: elements["quiet.to"].value };
  }

  #onInput() {
    this.#showHours();
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.#showPreview(), PREVIEW_AFTER_MS);
  }

  #showHours() {
    const quiet = this.#chosen();
    this.hours.disabled = this.hours.hidden = !quiet;
    if (!quiet) return;
    const zone = this.me.profile.timezone.replaceAll("_", " ");
    this.clock.textContent = t(quiet.from < quiet.to ? "quiet-hours.clock" : "quiet-hours.clock-next-day", { zone });
  }

  async #save() {
    const quiet = this.#chosen();
    if (quiet && !quiet.days.length) throw fieldError("quiet.days", t("invalid.quiet.days"));
    await this.change({ quiet });
    return t("settings.saved");
  }

  /** Say whether it is quiet now, until when, and what waits. */
  async #showNow() {
    const now = await this.#ask("GET", "/me/quiet");
    if (!now) return;
    const { mails, pushes } = now.waiting;
    const parts = [mails && t("quiet-hours.mails", { n: mails }), pushes && t("quiet-hours.pushes", { n: pushes })];
    const waiting = parts.filter(Boolean);
    const until = now.until && t("quiet-hours.now", { time: clockOf(now.until, now.timezone) });
    const listing = waiting.length ? t("quiet-hours.waiting", { waiting: listed(waiting) }) : t("quiet-hours.none-waiting");
    const why = h("details", {}, h("summary", {}, t("quiet-hours.why")), h("p.quiet", {}, t("quiet-hours.because")));
    fill(this.now, now.until && [h("p", {}, h("strong", {}, until), " ", listing), why]);
  }

  /** Show what the form's quiet hours would have meant. Without an answer there is nothing to show. */
  async #showPreview() {
    const quiet = this.#chosen();
    if (quiet && !(quiet.days.length && quiet.from && quiet.to)) return;
    const rehearsed = await this.#ask("POST", "/me/rehearsal", { quiet });
    if (rehearsed) this.preview.textContent = previewText(rehearsed);
  }

  /** Make a call whose answer is only shown: one that fails, or is overtaken by a later one, has none. */
  async #ask(method, path, body = null) {
    const { signal } = this.lifetime;
    const number = (this.asked = { ...this.asked, [path]: (this.asked?.[path] ?? 0) + 1 })[path];
    try {
      const answer = await this.store.bell.call(method, path, body, { signal });
      return number === this.asked[path] ? answer : null;
    } catch {
      return null;
    }
  }
}

function dayBox(day, n, checked) {
  const at = MONDAY + n * DAY_MS;
  const write = (weekday) => new Intl.DateTimeFormat(language(), { weekday, timeZone: "UTC" }).format(at);
  const box = h("input", { type: "checkbox", name: "day", value: day, checked, "aria-label": write("long") });
  return h("label.row", {}, box, write("short"));
}

/** The time of a moment by the clock of a zone, with the day if it is not within a day from now. */
function clockOf(at, timeZone) {
  const day = Date.parse(at) - Date.now() > DAY_MS ? { weekday: "long" } : {};
  const options = { ...day, hour: "2-digit", minute: "2-digit", timeZone };
  return new Intl.DateTimeFormat(language(), options).format(new Date(at));
}

function previewText({ since, complete, tried }) {
  const { notifications, mails, pushes, delayed_mails, delayed_pushes } = tried;
  if (!notifications) return t("quiet-hours.preview-none");
  const sent = [t("quiet-hours.mails", { n: mails }), pushes && t("quiet-hours.pushes", { n: pushes })].filter(Boolean);
  const key = complete ? "quiet-hours.preview" : "quiet-hours.preview-since";
  const said = t(key, { n: notifications, date: formatShort(since), sent: listed(sent) });
  const delayed = delayed_mails + delayed_pushes;
  return delayed ? `${said} ${t("quiet-hours.preview-delayed", { n: delayed })}` : said;
}

customElements.define("bw-quiet-hours", QuietHours);
