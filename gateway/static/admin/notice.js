/** A box above a list that reports what was done, or shows a secret that is not shown again. */

import { copyField } from "../shared/dialog.js";
import { fill, h, iconButton, toastErrors } from "../shared/dom.js";
import { t } from "../shared/words.js";

export class Notice {
  constructor() {
    this.element = h("div.notice-box", { role: "status", tabindex: "-1" });
  }

  show(...content) {
    const close = iconButton("close", t("users.close"), () => fill(this.element));
    fill(this.element, h("div.panel", {}, h("div.grow", {}, content), close));
    this.element.focus();
    this.element.scrollIntoView({ block: "nearest" });
  }

  /** Show a text, and a secret below it with a button that copies it. */
  showSecret(text, label, secret) {
    const value = h("input", { readOnly: true, value: secret, "aria-label": label, dir: "ltr" });
    const copy = async () => {
      await copyField(value);
      button.textContent = t("users.token.copied");
    };
    const props = { type: "button", onclick: () => toastErrors(copy) };
    const button = h("button.primary", props, t("users.token.copy"));
    this.show(text, h("div.row", {}, value, button));
  }
}
