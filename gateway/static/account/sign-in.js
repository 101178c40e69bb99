/** Signing in with a password or an e-mailed code, and signing up. */

import { View, errorText, field, fill, h } from "../shared/dom.js";
import { t } from "../shared/words.js";

const IS_LOCAL = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
const CODE_SENT = IS_LOCAL ? "sign.code-sent-local" : "sign.code-sent"; // a key
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

/**
 * The steps: title, fields, the button's text, `run(view, values)` for the form, and links to other steps. Texts are
 * keys.
 */
const STEPS = {
  password: {
    title: "sign.in",
    fields: () => [
      field(t("sign.login"), "login", { autocomplete: "username", required: true }),
      field(t("sign.password"), "password", { ...PASSWORD, autocomplete: "current-password" }),
    ],
    action: "sign.in",
    run: async (view, values) => view.done(await view.bell.login(values)),
    links: [
      ["signup", "sign.create-account"],
      ["requestCode", "sign.in-with-code-instead"],
    ],
  },
  signup: {
    title: "sign.create-account",
    fields: () => [
      field(
        t("sign.username"),
        "username",
        { autocomplete: "username", required: true },
        t("sign.username-hint"),
      ),
      field(t("sign.name"), "display_name", { autocomplete: "name" }),
      field(t("sign.email"), "email", EMAIL),
      field(
        t("sign.password"),
        "password",
        { ...PASSWORD, autocomplete: "new-password", minlength: 10 },
        t("password.new-hint"),
      ),
    ],
    action: "sign.up",
    run: async (view, values) => {
      if (!values.display_name) delete values.display_name;
      await view.bell.signup(values);
      view.showStep("verify", { email: values.email, notice: t(CODE_SENT) });
    },
    links: [["password", "sign.have-account"]],
  },
  verify: {
    title: "sign.confirm-email",
    fields: () => [field(t("sign.code"), "code", CODE)],
    action: "sign.confirm",
    run: async (view, { code }) => view.done(await view.bell.verify({ email: view.email, code })),
    links: [["signup", "sign.start-again"]],
  },
  requestCode: {
    title: "sign.in-with-code",
    fields: () => [
      field(t("sign.email"), "email", EMAIL, t("sign.request-code-hint")),
    ],
    action: "sign.request-code",
    run: async (view, { email }) => {
      await view.bell.requestCode(email);
      view.showStep("code", { email, notice: t(CODE_SENT) });
    },
    links: [["password", "sign.in-with-password"]],
  },
  code: {
    title: "sign.in-with-code",
    fields: () => [field(t("sign.code"), "code", CODE)],
    action: "sign.in",
    run: async (view, { code }) => view.done(await view.bell.login({ email: view.email, code })),
    links: [
      ["requestCode", "sign.request-another"],
      ["password", "sign.in-with-password"],
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
    const button = h("button.primary", {}, t(action));
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
    const others = links.map(([step, key]) => {
      return h("button.link", { type: "button", onclick: () => this.showStep(step) }, t(key));
    });
    const logo = h("img", { src: "/static/shared/bell.svg", alt: "", width: 36, height: 36 });
    const card = h(
      "div.card",
      {},
      h("p.brand", {}, logo, "Bellwire"),
      h("h1", {}, t(title)),
      notice && h("p.said", { role: "status" }, notice),
      form,
      h("div.others", {}, others),
    );
    fill(this, h("main.sign", { id: "main" }, card));
    form.querySelector("input")?.focus();
  }
}

customElements.define("bw-sign", SignIn);
