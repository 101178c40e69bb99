/** A dialog in which an admin makes a link that lets others sign up. */

import { field, h, openDialog, toast } from "../shared/dom.js";
import { formatDateTime } from "../shared/format.js";
import { t } from "../shared/words.js";

const USES = [1, 5, 20, 100];
const DAYS = [1, 7, 30];
const DAY_S = 86_400;

/** Make an invitation, and show its link. */
export async function invitePeople(store) {
  const uses = USES.map((n) => [String(n), t("people.count", { n })]);
  const days = DAYS.map((n) => [String(n), t("invite.days", { n })]);
  const fields = [
    h("p.quiet", {}, t("invite.about")),
    field(t("invite.uses"), "uses", { options: uses, value: "5" }),
    field(t("invite.until"), "days", { options: days, value: "7" }),
  ];
  const make = (values) => {
    const body = { uses: Number(values.uses), expires_in: Number(values.days) * DAY_S };
    return store.bell.call("POST", "/admin/invitations", body);
  };
  const invitation = await openDialog(t("invite.people"), fields, t("invite.make"), make);
  if (invitation) await showLink(invitation);
}

function showLink({ url, uses, expires_at }) {
  const hint = t("invite.link-hint", { n: uses, time: formatDateTime(expires_at) });
  const onfocus = ({ target }) => target.select();
  const link = field(t("invite.link"), "link", { value: url, readonly: true, onfocus }, hint);
  const copy = async () => {
    await navigator.clipboard.writeText(url);
    toast(t("invite.copied"));
  };
  // Browsers give pages that came over plain HTTP no clipboard.
  const button = navigator.clipboard && h("button", { type: "button", onclick: copy }, t("invite.copy"));
  return openDialog(t("invite.people"), [link, button && h("div.row", {}, button)], t("invite.close"), () => true);
}
