/** Signing in with a password or an e-mailed code, and signing up. */

import { View, errorText, field, fill, h } from "../shared/dom.js";

const IS_LOCAL = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
const CODE_SENT = IS_LOCAL
  ? "We sent you a code of six digits. Without a mail server, it is printed in the terminal of Bellwire."
  : "We sent you a code of six digits.";
const PASSWORD = { type: "password", required: true };
const EMAIL = { type: "email", autocomplete: "email", required: true };
const CODE = {
  inputmode: "numeric",
  autocomplete: "one-time-code",
  pattern: "[0-9]{6}",
  maxlength: 6,
  required: true,
  placeholder: "000000",
};

/** The steps: title, fields, the button's text, `run(view, values)` for the form, and links to other steps. */
const STEPS = {
  password: {
    title: "Sign in",
    fields: () => [
      field("Username or e-mail", "login", { autocomplete: "username", required: true }),
      field("Password", "password", { ...PASSWORD, autocomplete: "current-password" }),
    ],
    action: "Sign in",
    run: async (view, values) => view.done(await view.bell.login(values)),
    links: [
      ["signup", "Create an account"],
      ["requestCode", "Sign in with a code instead"],
    ],
  },
  signup: {
    title: "Create an account",
    fields: () => [
      field(
        "Username",
        "username",
        { autocomplete: "username", required: true },
        "Letters, digits, dots and dashes. Others can find you by it.",
      ),
      field("Your name", "display_name", { autocomplete: "name" }),
      field("E-mail", "email", EMAIL),
      field(
        "Password",
        "password",
        { ...PASSWORD, autocomplete: "new-password", minlength: 10 },
        "At least 10 characters",
      ),
    ],
    action: "Sign up",
    run: async (view, values) => {
      if (!values.display_name) delete values.display_name;
      await view.bell.signup(values);
      view.showStep("verify", { email: values.email, notice: CODE_SENT });
    },
    links: [["password", "I have an account"]],
  },
  verify: {
    title: "Confirm your e-mail address",
    fields: () => [field("Code", "code", CODE)],
    action: "Confirm and sign in",
    run: async (view, { code }) => view.done(await view.bell.verify({ email: view.email, code })),
    links: [["signup", "Start again"]],
  },
  requestCode: {
    title: "Sign in with a code",
    fields: () => [
      field(
        "E-mail",
        "email",
        EMAIL,
        "Use this too if you forgot your password: set a new one in the settings.",
      ),
    ],
    action: "E-mail me a code",
    run: async (view, { email }) => {
      await view.bell.requestCode(email);
      view.showStep("code", { email, notice: CODE_SENT });
    },
    links: [["password", "Sign in with a password"]],
  },
  code: {
    title: "Sign in with a code",
    fields: () => [field("Code", "code", CODE)],
    action: "Sign in",
    run: async (view, { code }) => view.done(await view.bell.login({ email: view.email, code })),
    links: [
      ["requestCode", "Request another code"],
      ["password", "Sign in with a password"],
    ],
  },
};

/** Properties: `bell`, `notice` (a text to show, if any), `done` (gets the USER who signed in). */
class SignIn extends View {
  render() {
    this.showStep("password", { notice: this.notice });
  }

  showStep(name, { email = "", notice = "" } = {}) {
    const { title, fields, action, run, links } = STEPS[name];
    this.email = email;
    const problem = h("p.problem", { role: "alert", hidden: true });
    const button = h("button.primary", {}, action);
    const onsubmit = async (event) => {
      event.preventDefault();
      problem.hidden = true;
      button.disabled = true;
      try {
        await run(this, Object.fromEntries(new FormData(form)));
      } catch (error) {
        problem.textContent = errorText(error);
        problem.hidden = false;
      } finally {
        button.disabled = false;
      }
    };
    const form = h("form", { onsubmit }, fields(), problem, button);
    const others = links.map(([step, text]) => {
      return h("button.link", { type: "button", onclick: () => this.showStep(step) }, text);
    });
    const logo = h("img", { src: "/static/shared/bell.svg", alt: "", width: 36, height: 36 });
    const card = h(
      "div.card",
      {},
      h("p.brand", {}, logo, "Bellwire"),
      h("h1", {}, title),
      notice && h("p.said", { role: "status" }, notice),
      form,
      h("div.others", {}, others),
    );
    fill(this, h("main.sign", { id: "main" }, card));
    form.querySelector("input")?.focus();
  }
}

customElements.define("bw-sign", SignIn);
