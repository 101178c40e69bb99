/** Webhooks: addresses that events are pushed to. The list is refreshed while it is visible. */

import { field, openDialog } from "../shared/dialog.js";
import { View, fill, h, toast, toastErrors } from "../shared/dom.js";
import { LIMITS } from "../shared/limits.js";
import { timeElement } from "../shared/format.js";
import { sentence } from "../shared/sentence.js";
import { t } from "../shared/words.js";
import { Listing, pill, tableRow } from "./list.js";
import { formatDuration, repeatWhileVisible } from "./live.js";
import { Notice } from "./notice.js";

const REFRESH_MS = 10_000; // each request leaves an audit record
const TONES = { active: "good", failing: "bad", paused: "warn", disabled: "warn" };
const PATH = "/admin/webhooks";

const heads = () => [t("webhooks.url"), t("webhooks.state"), t("webhooks.error"), ""];

/** Properties: `store`. */
class Webhooks extends View {
  render() {
    const { bell } = this.store;
    const label = t("admin.area.webhooks");
    const row = (hook) => this.#row(hook);
    this.list = new Listing(bell, PATH, { label, heads: heads(), row, empty: t("webhooks.none") });
    this.notice = new Notice();
    const make = { type: "button", onclick: () => toastErrors(() => this.#make()) };
    const head = h(
      "div.row",
      {},
      h("p.quiet.grow", {}, t("webhooks.lead")),
      h("button.primary", make, t("webhooks.new")),
    );
    fill(this, head, this.notice.element, this.list.element);
    this.list.show({});
    repeatWhileVisible(
      this,
      () => REFRESH_MS,
      () => this.#refresh(),
    );
  }

  /** Load again what is shown, and draw what has changed: the focus stays. */
  async #refresh() {
    const { items } = await this.store.bell.call("GET", PATH, null, { query: { limit: 200 } }).catch(() => ({ items: [] }));
    for (const hook of items) {
      const old = this.list.items.find(({ id }) => id === hook.id);
      if (old && JSON.stringify(old) !== JSON.stringify(hook)) this.list.replace(hook);
    }
  }

  async #make() {
    const fields = [
      field(t("webhooks.url"), "url", { type: "url", required: true, maxlength: LIMITS.NewWebhook.url.max }),
      field(t("webhooks.types"), "types", {}, t("webhooks.types-hint")),
    ];
    const make = ({ url, types }) => this.#call("POST", "", { url, types: types.split(/[\s,]+/).filter(Boolean) });
    const made = await openDialog(t("webhooks.new"), fields, t("webhooks.create"), make);
    if (!made) return;
    this.list.add([made], "append");
    this.#showSecret(made);
  }

  #showSecret({ url, secret }) {
    const text = h("p", {}, sentence("webhooks.secret-shown", { url: h("strong", {}, h("bdi", {}, url)) }));
    this.notice.showSecret(text, t("webhooks.secret", { url }), secret);
  }

  #row(hook) {
    const { url, types, description, last_error, next_attempt_at } = hook;
    const about = types.join(", ") || t("webhooks.all-types");
    const next = next_attempt_at && h("div", {}, t("webhooks.next"), " ", timeElement(next_attempt_at));
    return tableRow(heads(), [
      h("div.wide", {}, h("bdi", {}, url), h("small", {}, h("bdi", {}, description ? `${description} · ${about}` : about))),
      this.#state(hook),
      (last_error || next) && h("div", {}, last_error ?? "", next),
      h("div.row", {}, this.#buttons(hook)),
    ]);
  }

  #state({ state, failures, lag_s }) {
    const shown = state === "active" && failures ? "failing" : state;
    const lag = lag_s ? t("webhooks.behind", { time: formatDuration(lag_s) }) : "";
    return h("div.row", {}, pill(t(`webhooks.state.${shown}`), TONES[shown]), lag);
  }

  #buttons(hook) {
    const isActive = hook.state === "active";
    const acts = {
      [isActive ? "pause" : "resume"]: () => this.#change(hook, { state: isActive ? "paused" : "active" }),
      test: () => this.#test(hook),
      rewind: () => this.#rewind(hook),
      rotate: () => this.#rotate(hook),
      delete: () => this.#delete(hook),
    };
    return Object.entries(acts).map(([act, run]) => {
      const label = `${t(`webhooks.${act}`)}: ${hook.url}`;
      const props = { type: "button", "data-act": act, "aria-label": label, onclick: () => toastErrors(run) };
      return h(`button.link${act === "delete" ? ".dangerous" : ""}`, props, t(`webhooks.${act}`));
    });
  }

  #call(method, path, body = null) {
    return this.store.bell.call(method, PATH + path, body);
  }

  async #change({ id }, changes) {
    this.list.replace(await this.#call("PATCH", `/${id}`, changes));
  }

  async #test({ id }) {
    await this.#call("POST", `/${id}/test`);
    toast(t("webhooks.tested"));
  }

  async #rewind({ id, url }) {
    const fields = [
      h("p", {}, h("bdi", {}, url)),
      field(t("webhooks.rewind-from"), "time", { type: "datetime-local", required: true }, t("webhooks.rewind-hint")),
    ];
    const rewind = ({ time }) => this.#call("POST", `/${id}/rewind`, { time: new Date(time).toISOString() });
    const hook = await openDialog(t("webhooks.rewind"), fields, t("webhooks.rewind"), rewind);
    if (hook) this.list.replace(hook);
  }

  async #rotate({ id, url }) {
    const fields = [h("p", {}, h("bdi", {}, url)), h("p", {}, t("webhooks.rotate-hint"))];
    const rotate = () => this.#call("PATCH", `/${id}`, { rotate: true });
    const hook = await openDialog(t("webhooks.rotate"), fields, t("webhooks.rotate"), rotate);
    if (hook) this.#showSecret(hook);
  }

  async #delete({ id, url }) {
    const fields = [h("p", {}, h("bdi", {}, url)), h("p", {}, t("webhooks.delete-hint"))];
    const remove = async () => {
      await this.#call("DELETE", `/${id}`).catch((error) => {
        if (error.status !== 404) throw error; // another admin was faster
      });
      return true;
    };
    const isDeleted = await openDialog(t("webhooks.delete"), fields, t("webhooks.delete"), remove, { dangerous: true });
    if (isDeleted) this.list.remove(id);
  }
}

customElements.define("bw-admin-webhooks", Webhooks);
