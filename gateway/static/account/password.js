/** A new password: with the current one, or with a mailed code, for those who lost it. */

import { field, fill, h } from "../shared/dom.js";
import { form } from "../shared/form.js";
import { View } from "../shared/view.js";
import { wordsOf } from "../shared/format.js";

/** Properties: `me` (as GET /me answers) and `change` (async, gets what is to be changed). */
class Password extends View {
  show() {
    const { email, username } = this.me;
    this.current = field("Current password", "current_password", { type: "password", autocomplete: "current-password" });
    this.code = field("Code", "code", { inputmode: "numeric", autocomplete: "one-time-code", pattern: "[0-9]{6}", maxlength: 6, placeholder: "000000" }, `Of six digits, mailed to ${email}`);
    this.lost = h("button.link", { type: "button", onclick: () => this.#mail() }, "I don’t know it: mail me a code");
    this.problem = h("p.problem", { role: "alert" });
    const name = h("input", { autocomplete: "username", value: username, hidden: true, readOnly: true }); // for keepers of passwords
    const fresh = field("New password", "password", { type: "password", autocomplete: "new-password", minlength: 10, maxlength: 200, required: true }, "At least 10 characters");
    const fields = [name, this.current, this.code, h("div.row", {}, this.lost), this.problem, fresh];
    fill(this, h("section.sheet", {}, h("h2", {}, "Password"), form(fields, "Change the password", (given, element) => this.#submit(given, element))));
    this.#by("current");
  }

  /** Shows the field of "current" or of "code"; the other is not sent. */
  #by(which) {
    for (const name of ["current", "code"]) {
      this[name].hidden = name !== which;
      Object.assign(this[name].querySelector("input"), { disabled: name !== which, required: name === which });
    }
    this.lost.hidden = which === "code";
  }

  async #mail() {
    this.problem.textContent = "";
    try {
      await this.store.bell.requestCode(this.me.email);
      this.#by("code");
      this.code.querySelector("input").focus();
    } catch (error) {
      this.problem.textContent = wordsOf(error);
    }
  }

  async #submit(given, element) {
    await this.change(given);
    element.reset();
    this.#by("current");
    return "Your password is changed.";
  }
}

customElements.define("bw-password", Password);
