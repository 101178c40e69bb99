/** Reports of messages and posts to the admins. */

import { field, openDialog } from "./dialog.js";
import { h, toast, toastErrors } from "./dom.js";
import { LIMITS } from "./limits.js";
import { t } from "./words.js";

export const reportMessage = ({ bell }, { id }) => report(bell, `/messages/${id}/report`, t("report.message-title"));
export const reportPost = ({ bell }, { id }) => report(bell, `/posts/${id}/report`, t("report.post-title"));

/** Ask for the reason and send the report. The API counts code points. */
async function report(bell, path, title) {
  const { max } = LIMITS.NewReport.reason;
  const left = h("small", { role: "status" }, t("composer.left", { n: max }));
  const oninput = ({ target }) => {
    const n = max - [...target.value.trim()].length;
    left.textContent = n < 0 ? t("writer.too-long", { n: -n }) : t("composer.left", { n });
    left.classList.toggle("problem", n < 0);
    target.setCustomValidity(n < 0 ? left.textContent : "");
  };
  const reason = field(t("report.reason"), "reason", { rows: 4, required: true, dir: "auto", oninput });
  const fields = [h("p", {}, t("report.about")), reason, left];
  const send = async (values) => {
    await bell.call("POST", path, { reason: values.reason.trim() });
    return true;
  };
  if (await openDialog(title, fields, t("report.send"), send)) toast(t("report.thanks"));
}
