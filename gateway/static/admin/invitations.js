/** Invitations: making them, and ending them. */

import { groupNames, invitePeople } from "../account/invite.js";
import { openDialog } from "../shared/dialog.js";
import { View, fill, h, toast, toastErrors } from "../shared/dom.js";
import { formatDateTime, timeElement } from "../shared/format.js";
import { number, t } from "../shared/words.js";
import { Listing, pill, tableRow } from "./list.js";
import { updateNames, userName } from "./user-names.js";

const COLUMNS = ["uses", "group", "role", "by", "end"];

const heads = () => [...COLUMNS.map((column) => t(`invitations.column.${column}`)), ""];

/** Properties: `store`. */
class Invitations extends View {
  render() {
    const { bell } = this.store;
    this.groups = new Map(); // id -> name
    this.list = new Listing(bell, "/admin/invitations", {
      label: t("invitations.title"),
      heads: heads(),
      row: (invitation) => this.#row(invitation),
      empty: t("invitations.none"),
    });
    const make = { type: "button", onclick: () => toastErrors(() => this.#make()) };
    const button = h("button.primary", make, t("invitations.new"));
    const head = h("div.row", {}, h("p.quiet.grow", {}, t("invitations.lead")), button);
    fill(this, head, this.list.element);
    updateNames(this);
    this.#load();
  }

  /** Load the names of the groups first, which the list shows. Without them it shows ids. */
  async #load() {
    this.groups = await groupNames(this.store.bell).catch(() => this.groups);
    if (this.isConnected) this.list.show({});
  }

  async #make() {
    const made = await invitePeople(this.store);
    if (made) this.list.add([made], "prepend");
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
