/** The dialog in which an admin makes an invitation, and its link. It is shown once: only a hash of its code is stored. */

import { copyField, field, openDialog } from "../shared/dialog.js";
import { fill, h, toastErrors } from "../shared/dom.js";
import { formatDateTime } from "../shared/format.js";
import { LIMITS } from "../shared/limits.js";
import { t } from "../shared/words.js";

const ROLES = ["user", "admin"];
const DAYS = [1, 7, 30, 365];
const USUAL_DAYS = 7;
const USUAL_USES = 5;
const DAY_S = 86_400;
const GROUPS_PER_CALL = 200;

/** Make an invitation, and show its link. Returns the invitation, or undefined when it is cancelled. */
export async function invitePeople(store) {
  const days = DAYS.map((n) => [String(n), t("invitations.days", { n })]);
  const roles = ROLES.map((role) => [role, t(`users.role.${role}`)]);
  const uses = { type: "number", required: true, value: String(USUAL_USES), inputmode: "numeric" };
  const { min, max } = LIMITS.NewInvitation.uses;
  const fields = [
    h("p.quiet", {}, t("invitations.lead")),
    field(t("invitations.uses"), "uses", { ...uses, min: String(min), max: String(max) }),
    field(t("invitations.end"), "days", { options: days, value: String(USUAL_DAYS) }),
    groupField(store.bell),
    field(t("invitations.role"), "role", { options: roles, value: "user" }),
  ];
  const make = (values) => store.bell.call("POST", "/admin/invitations", newInvitation(values));
  const invitation = await openDialog(t("invite.people"), fields, t("invite.make"), make);
  if (invitation) await showLink(invitation);
  return invitation;
}

function newInvitation({ uses, days, group, role }) {
  return { uses: Number(uses), expires_in: Number(days) * DAY_S, role, ...(group && { group: Number(group) }) };
}

/** Create a field for a group. It is shown when there are groups. */
function groupField(bell) {
  const none = ["", t("invitations.no-group")];
  const label = field(t("invitations.group"), "group", { options: [none] });
  label.hidden = true;
  const show = (names) => {
    const options = [none, ...names].map(([id, name]) => h("option", { value: String(id) }, name));
    fill(label.querySelector("select"), options);
    label.hidden = !names.size;
  };
  groupNames(bell).then(show, () => {}); // without them the invitation is to no group
  return label;
}

/** Load the groups of the community: id -> name. */
export async function groupNames(bell) {
  const names = new Map();
  const query = { limit: GROUPS_PER_CALL, page: null };
  do {
    const { items, next } = await bell.call("GET", "/groups", null, { query });
    for (const { id, name } of items) names.set(id, name);
    query.page = next;
  } while (query.page);
  return names;
}

function showLink({ url, uses, expires_at }) {
  const hint = t("invite.link-hint", { n: uses, time: formatDateTime(expires_at) });
  const onfocus = ({ target }) => target.select();
  const link = field(t("invite.link"), "link", { value: url, readonly: true, onfocus, dir: "ltr" }, hint);
  const copy = async () => {
    await copyField(link.querySelector("input"));
    button.textContent = t("users.token.copied");
  };
  const button = h("button", { type: "button", onclick: () => toastErrors(copy) }, t("invite.copy"));
  const fields = [link, h("div.row", {}, button)];
  return openDialog(t("invite.people"), fields, t("invite.close"), () => true, { isNotice: true });
}
