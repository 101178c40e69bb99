/** Changing the password: with the current one, or with an e-mailed code for users who forgot it. */

import { field } from "../shared/dialog.js";
import { View, errorText, fill, h } from "../shared/dom.js";
import { form } from "../shared/form.js";
import { t } from "../shared/words.js";

/** Properties: `store`, `me` (the answer of GET /me) and `change` (async, gets the fields to change). */
class Password extends View {
  render() {
    const { email, username } = this.me;
    const passwordProps = { type: "password", autocomplete: "current-password" };
    const codeProps = {
      inputmode: "numeric",
      autocomplete: "one-time-code",
      pattern: "[0-9]{6}",
      maxlength: 6,
      placeholder: "000000",
    };
    const newProps = { type: "password", autocomplete: "new-password", required: true };
    this.current = field(t("password.current"), "current_password", passwordProps);
    this.code = field(t("sign.code"), "code", codeProps, t("password.code-hint", { email }));
    const requestCode = { type: "button", onclick: () => this.#requestCode() };
    this.forgotten = h("button.link", requestCode, t("password.forgotten"));
    this.problem = h("p.problem", { role: "alert" });
    const passwordManagerName = h("input", {
      autocomplete: "username",
      value: username,
      hidden: true,
      readOnly: true,
    });
    const fields = [
      passwordManagerName,
      this.current,
      this.code,
      h("div.row", {}, this.forgotten),
      this.problem,
      field(t("password.new"), "password", newProps, t("password.new-hint")),
    ];
    const submit = (changes, element) => this.#submit(changes, element);
    const element = form(fields, t("password.change"), submit);
    fill(this, h("section.sheet", {}, h("h2", {}, t("password.title")), element));
    this.#showField("current");
  }

  /** Show the field "current" or "code". The hidden one is disabled, so it is not sent. */
  #showField(shown) {
    for (const name of ["current", "code"]) {
      const isShown = name === shown;
      this[name].hidden = !isShown;
      Object.assign(this[name].querySelector("input"), { disabled: !isShown, required: isShown });
    }
    this.forgotten.hidden = shown === "code" || !this.me.email;
  }

  async #requestCode() {
    this.problem.textContent = "";
    try {
      await this.store.bell.requestCode(this.me.email);
      this.#showField("code");
      this.code.querySelector("input").focus();
    } catch (error) {
      this.problem.textContent = errorText(error);
    }
  }

  async #submit(changes, element) {
    await this.change(changes);
    element.reset();
    this.#showField("current");
    return t("password.changed");
  }
}

customElements.define("bw-password", Password);
