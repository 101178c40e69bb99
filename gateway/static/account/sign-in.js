/** Signing in by password or by a mailed code, and signing up. */

import { field, fill, h } from "../shared/dom.js";
import { View } from "../shared/view.js";
import { wordsOf } from "../shared/format.js";

const AT_HOME = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
const MAILED = AT_HOME
  ? "We mailed you a code of six digits. Without a mail server, it is printed where Bellwire runs."
  : "We mailed you a code of six digits.";
const PASSWORD = { name: "password", type: "password", required: true };
const EMAIL = { type: "email", autocomplete: "email", required: true };
const CODE = { inputmode: "numeric", autocomplete: "one-time-code", pattern: "[0-9]{6}", maxlength: 6, required: true, placeholder: "000000" };

const WAYS = {
  password: {
    title: "Sign in",
    fields: () => [
      field("Username or e-mail", "login", { autocomplete: "username", required: true }),
      field("Password", "password", { ...PASSWORD, autocomplete: "current-password" }),
    ],
    action: "Sign in",
    run: async (sign, given) => sign.done(await sign.bell.login(given)),
    others: [["signup", "Make an account"], ["ask", "Sign in with a code instead"]],
  },
  signup: {
    title: "Make an account",
    fields: () => [
      field("Username", "username", { autocomplete: "username", required: true }, "Letters, digits, dots, dashes: others find you by it"),
      field("Your name", "display_name", { autocomplete: "name" }),
      field("E-mail", "email", EMAIL),
      field("Password", "password", { ...PASSWORD, autocomplete: "new-password", minlength: 10 }, "At least 10 characters"),
    ],
    action: "Sign up",
    run: async (sign, given) => {
      if (!given.display_name) delete given.display_name;
      await sign.bell.signup(given);
      sign.way("verify", { email: given.email, notice: MAILED });
    },
    others: [["password", "I have an account"]],
  },
  verify: {
    title: "Confirm your e-mail",
    fields: () => [field("Code", "code", CODE)],
    action: "Confirm and sign in",
    run: async (sign, { code }) => sign.done(await sign.bell.verify({ email: sign.email, code })),
    others: [["signup", "Begin again"]],
  },
  ask: {
    title: "Sign in with a code",
    fields: () => [field("E-mail", "email", EMAIL, "For lost passwords, too: set a new one in the settings")],
    action: "Mail me a code",
    run: async (sign, { email }) => {
      await sign.bell.requestCode(email);
      sign.way("code", { email, notice: MAILED });
    },
    others: [["password", "Sign in with a password"]],
  },
  code: {
    title: "Sign in with a code",
    fields: () => [field("Code", "code", CODE)],
    action: "Sign in",
    run: async (sign, { code }) => sign.done(await sign.bell.login({ email: sign.email, code })),
    others: [["ask", "Ask for another code"], ["password", "Sign in with a password"]],
  },
};

class Sign extends View {
  show() {
    this.way("password", { notice: this.notice });
  }

  way(name, { email = "", notice = "" } = {}) {
    const { title, fields, action, run, others } = WAYS[name];
    this.email = email;
    const problem = h("p.problem", { role: "alert", hidden: true });
    const button = h("button.primary", {}, action);
    const submit = async (event) => {
      event.preventDefault();
      problem.hidden = true;
      button.disabled = true;
      try {
        await run(this, Object.fromEntries(new FormData(form)));
      } catch (error) {
        problem.textContent = wordsOf(error);
        problem.hidden = false;
      } finally {
        button.disabled = false;
      }
    };
    const links = others.map(([other, text]) => h("button.link", { type: "button", onclick: () => this.way(other) }, text));
    const form = h("form", { onsubmit: submit }, fields(), problem, button);
    const card = h(
      "div.card",
      {},
      h("p.brand", {}, h("img", { src: "/static/shared/bell.svg", alt: "", width: 36, height: 36 }), "Bellwire"),
      h("h1", {}, title),
      notice && h("p.said", { role: "status" }, notice),
      form,
      h("div.others", {}, links),
    );
    fill(this, h("main.sign", { id: "main" }, card));
    form.querySelector("input")?.focus();
  }
}

customElements.define("bw-sign", Sign);
