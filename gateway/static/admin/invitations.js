/**
 * Invitations: making them, and ending them. The link of one is shown once, since only a hash of its code is stored.
 */

import { View, field, fill, h, openDialog, toast } from "../shared/dom.js";
import { form } from "../shared/form.js";
import { formatDateTime, timeElement } from "../shared/format.js";
import { number, t } from "../shared/words.js";
import { Listing, pill, tableRow } from "./list.js";
import { Notice } from "./notice.js";
import { updateNames, userName } from "./user-names.js";

const ROLES = ["user", "admin"];
const DAYS = [1, 7, 30, 365];
const USUAL_DAYS = 7;
const DAY_S = 86_400;
const GROUPS_PER_CALL = 200;
const COLUMNS = ["uses", "group", "role", "by", "end"];

const heads = () => [...COLUMNS.map((column) => t(`invitations.column.${column}`)), ""];

/** Properties: `store`. */
class Invitations extends View {
  render() {
    const { bell } = this.store;
    this.groups = new Map(); // id -> name
    this.notice = new Notice();
    this.list = new Listing(bell, "/admin/invitations", {
      label: t("invitations.title"),
      heads: heads(),
      row: (invitation) => this.#row(invitation),
      empty: t("invitations.none"),
    });
    fill(this, this.#form(), this.notice.element, this.list.element);
    updateNames(this);
    this.#load();
  }

  #form() {
    const uses = { type: "number", required: true, min: "1", value: "1", inputmode: "numeric" };
    const days = DAYS.map((n) => [String(n), t("invitations.days", { n })]);
    const roles = ROLES.map((role) => [role, t(`users.role.${role}`)]);
    this.groupField = field(t("invitations.group"), "group", { options: [["", t("invitations.no-group")]] });
    const fields = [
      field(t("invitations.uses"), "uses", uses),
      field(t("invitations.end"), "expires_in", { options: days, value: String(USUAL_DAYS) }),
      this.groupField,
      field(t("invitations.role"), "role", { options: roles, value: "user" }),
    ];
    const lead = h("p.quiet", {}, t("invitations.lead"));
    const submit = (values) => this.#create(values);
    const element = form([lead, h("div.sides", {}, fields)], t("invitations.create"), submit);
    element.classList.add("panel");
    element.setAttribute("aria-label", t("invitations.new"));
    return element;
  }

  /** Load the names of the groups first, which the list shows. Without them it shows ids. */
  async #load() {
    await this.#loadGroups().catch(() => {});
    if (!this.isConnected) return;
    const options = [...this.groups].map(([id, name]) => h("option", { value: String(id) }, name));
    this.groupField.querySelector("select").append(...options);
    this.list.show({});
  }

  async #loadGroups() {
    const query = { limit: GROUPS_PER_CALL, page: null };
    do {
      const { items, next } = await this.store.bell.call("GET", "/groups", null, { query });
      for (const { id, name } of items) this.groups.set(id, name);
      query.page = next;
    } while (query.page);
  }

  async #create({ uses, expires_in, group, role }) {
    const invitation = { uses: Number(uses), expires_in: Number(expires_in) * DAY_S, role };
    if (group) invitation.group = Number(group);
    const made = await this.store.bell.call("POST", "/admin/invitations", invitation);
    this.list.add([made], "prepend");
    this.notice.showSecret(h("p", {}, t("invitations.shown")), t("invitations.link"), made.url);
  }

  #row(invitation) {
    const { id, uses, used, group, role, created_by, created_at, expires_at } = invitation;
    const groupName = group && (this.groups.get(group) ?? t("invitations.group-id", { id: group }));
    const label = t("invitations.end-one", { time: formatDateTime(created_at) });
    const props = { type: "button", "data-act": "end", "aria-label": label, onclick: () => this.#end(invitation) };
    return tableRow(heads(), [
      h("div.row", {}, t("invitations.used", { n: uses, used: number(used) }), stateOf(invitation)),
      groupName ?? "",
      t(`users.role.${role}`),
      h("div.row", {}, userName(this.store, created_by), timeElement(created_at)),
      h("time", { datetime: expires_at }, formatDateTime(expires_at)),
      h("button.link.dangerous", props, t("invitations.end-it")),
    ]);
  }

  async #end({ id, used, created_at }) {
    const title = t("invitations.end-title", { time: formatDateTime(created_at) });
    const warning = h("p", {}, t("invitations.end-warning", { n: used }));
    const end = async () => {
      await this.store.bell.call("DELETE", `/admin/invitations/${id}`).catch((error) => {
        if (error.status !== 404) throw error; // another admin was faster
      });
      return true;
    };
    const isEnded = await openDialog(title, [warning], t("invitations.end-it"), end, { dangerous: true });
    if (!isEnded) return;
    this.list.remove(id);
    toast(t("invitations.ended"));
  }
}

/** A label for an invitation that nobody can use any more. */
function stateOf({ uses, used, expires_at }) {
  if (new Date(expires_at) <= new Date()) return pill(t("invitations.over"), "warn");
  return used >= uses && pill(t("invitations.used-up"), "warn");
}

customElements.define("bw-admin-invitations", Invitations);
