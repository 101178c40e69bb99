/** The queue of reports: messages and posts as they were when people reported them, and what an admin does about them. */

import { field, openDialog } from "../shared/dialog.js";
import { View, fill, h, toast } from "../shared/dom.js";
import { excerpt, handleOf, nameOf, timeElement } from "../shared/format.js";
import { LIMITS } from "../shared/limits.js";
import { t } from "../shared/words.js";
import { bounded } from "./form.js";
import { Listing, pill, tableRow } from "./list.js";
import { repeatWhileVisible } from "./live.js";

const PATH = "/admin/reports";
const STATES = ["open", "closed"];
const REFRESH_MS = 20_000;
const EXCERPT_CHARACTERS = 300;
const TONES = { dismiss: "quiet", delete: "warn", suspend: "bad" };

const heads = () => [t("reports.column.what"), t("reports.column.why"), ""];

/** Properties: `store`. */
class Reports extends View {
  render() {
    const options = STATES.map((state) => [state, t(`reports.state.${state}`)]);
    const onchange = ({ target }) => this.#show(target.value);
    const filter = h("form.filters", { onsubmit: (event) => event.preventDefault() }, field(t("reports.state"), "state", { options, onchange }));
    this.body = h("div");
    fill(this, h("p.quiet", {}, t("reports.lead")), filter, this.body);
    this.#show("open");
    const refresh = repeatWhileVisible(this, () => REFRESH_MS, () => this.#refresh());
    this.listen(this.store, "notification", ({ type }) => type === "admin" && refresh());
  }

  #show(state) {
    this.state = state;
    const [label, empty] = [t("admin.area.reports"), t(`reports.none.${state}`)];
    this.list = new Listing(this.store.bell, PATH, { label, heads: heads(), row: (report) => this.#row(report), empty });
    fill(this.body, this.list.element);
    this.loading = this.list.show({ state });
  }

  /** Show what others have changed meanwhile: reports are made, and other admins close them. */
  async #refresh() {
    await this.loading;
    const { list, state } = this;
    const page = await this.store.bell.call("GET", PATH, null, { query: { state } }).catch(() => null);
    if (!page || list !== this.list) return;
    const oldest = page.next ? page.items.at(-1).id : 0;
    const ids = new Set(page.items.map(({ id }) => id));
    for (const { id } of [...list.items]) if (id >= oldest && !ids.has(id)) list.remove(id);
    const added = page.items.filter(({ id }) => !list.rows.has(id));
    if (added.length) list.add(added, "prepend");
  }

  #row(report) {
    const { reason, reporter, created_at } = report;
    const by = h("small", {}, personText(reporter), " · ", timeElement(created_at));
    return tableRow(heads(), [
      h("div.reported", {}, this.#about(report), evidenceElements(report)),
      h("div", {}, h("p.reason", { dir: "auto" }, reason), by),
      report.state === "open" ? this.#buttons(report) : outcome(report),
    ]);
  }

  /** By whom and where it was written, and what became of it since. */
  #about({ author, message, title, kind, post, deleted, open_reports, state }) {
    const place = message ? (title ?? t(`reports.in.${kind ?? "group"}`)) : t("reports.in.post");
    const link = post && !deleted ? h("a", { href: `#/posts/${post}` }, place) : h("bdi", {}, place);
    return h(
      "div.row",
      {},
      h("strong", {}, personText(author)),
      h("small", {}, link),
      deleted && pill(t("reports.deleted"), "quiet"),
      state === "open" && open_reports > 1 && pill(t("reports.open", { n: open_reports }), "warn"),
    );
  }

  /** Nobody can suspend admins or themselves here, or delete what is deleted. */
  #buttons(report) {
    const { author, deleted } = report;
    const canSuspend = author.role !== "admin" && author.status === "active";
    const acts = ["dismiss", !deleted && "delete", canSuspend && "suspend"].filter(Boolean);
    const button = (act) => {
      const props = { type: "button", "data-act": act, onclick: () => this.#close(report, act) };
      const label = t("reports.act-on", { action: t(`reports.${act}`), name: nameOf(author) });
      return h(`button.link${act === "dismiss" ? "" : ".dangerous"}`, { ...props, "aria-label": label }, t(`reports.${act}`));
    };
    return h("div.row", {}, acts.map(button));
  }

  async #close(report, action) {
    const props = { rows: 3, dir: "auto", ...bounded(LIMITS.ReportAction.note) };
    const hint = t("reports.note-hint");
    const fields = [h("p", {}, t(`reports.${action}-about`)), field(t("reports.note"), "note", props, hint)];
    const run = async ({ note }) => {
      const body = { action, ...(note.trim() && { note: note.trim() }) };
      await this.store.bell.call("POST", `${PATH}/${report.id}`, body).catch((error) => {
        if (error.status !== 409) throw error; // another admin was faster
      });
      return true;
    };
    const title = t(`reports.${action}-title`, { name: nameOf(report.author) });
    const isClosed = await openDialog(title, fields, t(`reports.${action}`), run, { dangerous: action !== "dismiss" });
    if (!isClosed) return;
    toast(t("reports.done"));
    const isSame = ({ message, post }) => message === report.message && post === report.post;
    for (const { id } of this.list.items.filter(isSame)) this.list.remove(id); // all of the same are closed
    this.#refresh();
  }
}

/** "Ana Lopes, @ana". */
function personText(user) {
  return [h("bdi", {}, nameOf(user)), " ", h("span.quiet", {}, handleOf(user))];
}

/** The text as it was, and its end on request; the names of files. */
function evidenceElements({ evidence: { body, created_at, edited_at, files = [] } }) {
  if (!created_at) return h("p.quiet", {}, t("reports.erased"));
  const isLong = body.length > EXCERPT_CHARACTERS;
  return [
    body && h("blockquote", { dir: "auto" }, excerpt(body, EXCERPT_CHARACTERS)),
    isLong && h("details", {}, h("summary", {}, t("reports.whole")), h("pre", { dir: "auto" }, body)),
    files.map((name) => h("p", {}, "📎 ", h("bdi", {}, name))),
    h("small", {}, timeElement(created_at), edited_at && ` · ${t("message.edited")}`),
  ];
}

function outcome({ action, closed_by, closed_at, note }) {
  const by = h("small", {}, closed_by && [personText(closed_by), " · "], timeElement(closed_at));
  return h("div", {}, pill(t(`reports.outcome.${action}`), TONES[action]), note && h("p.reason", { dir: "auto" }, note), by);
}

customElements.define("bw-admin-reports", Reports);
