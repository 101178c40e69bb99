/**
 * The steps of signing in, of signing up and of becoming the first admin. Each has `title` and `action` (keys), `about`
 * (a text), `fields`, `run(view, values)` for the form, and `links`: pairs of a key and what it does.
 */

import { field, fieldError } from "../shared/dialog.js";
import { errorText, h, toast } from "../shared/dom.js";
import { t } from "../shared/words.js";
import { withBrowserProfile } from "./adoption.js";

const EMAIL = { type: "email", autocomplete: "email", required: true };
const CODE = {
  inputmode: "numeric",
  autocomplete: "one-time-code",
  pattern: "[0-9]{6}",
  maxlength: 6,
  required: true,
  placeholder: "000000",
};

const loginField = () => field(t("sign.login"), "login", { autocomplete: "username", required: true });
const emailField = (value = "") => field(t("sign.email"), "email", { ...EMAIL, value });
const codeField = () => field(t("sign.code"), "code", CODE);

function passwordField(autocomplete, hint = null) {
  return field(t("sign.password"), "password", { type: "password", required: true, autocomplete }, hint);
}

/** A new password that may be left empty, after the address that password managers keep it for. */
function newPasswordFields(email) {
  const props = { type: "password", autocomplete: "new-password" };
  const owner = h("input", { type: "email", autocomplete: "username", value: email, hidden: true, readOnly: true });
  return [owner, field(t("password.new"), "new_password", props, t("sign.new-password-hint"))];
}

/** The fields of a new account, filled with those of an attempt. */
function accountFields({ username = "", display_name = "", email = "" }) {
  const nameProps = { autocomplete: "username", required: true, value: username };
  return [
    field(t("sign.username"), "username", nameProps, t("sign.username-hint")),
    field(t("sign.name"), "display_name", { autocomplete: "name", value: display_name }),
    emailField(email),
    passwordField("new-password", t("password.new-hint")),
  ];
}

/** Return the values without those that were left empty and may be left out. */
function filled({ display_name, organisation, ...required }) {
  return { ...required, ...(display_name && { display_name }), ...(organisation && { organisation }) };
}

const to = (view, step) => () => view.showStep(step);
const sendsNoMail = (view) => view.instance?.mail === false;
const codeSent = (view, email) => t(sendsNoMail(view) ? "sign.code-made" : "sign.code-sent", { email });

/** Show a refused code at its field. */
async function redeem(run) {
  try {
    return await run();
  } catch (error) {
    const isWrong = error.status === 401 || error.fields?.code;
    throw isWrong ? fieldError("code", t("sign.wrong-code")) : error;
  }
}

async function signInWithPassword(view, values) {
  try {
    return view.finishSignIn(await view.bell.login(values));
  } catch (error) {
    throw error.status === 401 ? fieldError("password", t("sign.wrong-password")) : error;
  }
}

async function requestCode(view, { email }, step) {
  await view.bell.requestCode(email);
  view.email = email;
  view.showStep(step);
}

/** Sign in with the mailed code, which may set a new password too. */
async function signInWithCode(view, { code, new_password }) {
  const credentials = { email: view.email, code, ...(new_password && { new_password }) };
  view.finishSignIn(await redeem(() => view.bell.login(credentials)));
  if (new_password) toast(t("password.changed"));
}

/** Have another code sent. */
async function sendAgain(view) {
  try {
    await view.sendAgain();
  } catch (error) {
    view.say(errorText(error));
  }
}

async function becomeAdmin(view, values) {
  try {
    const body = { ...filled(values), cookie: true };
    const { user } = await withBrowserProfile((profile) => view.bell.call("POST", "/setup", { ...body, ...profile }));
    view.done(user); // at #/setup, which goes on with the next steps
  } catch (error) {
    if (error.status === 404) view.refuseSetup();
    else throw withoutMailedCode(error);
  }
}

/** Return an error whose field `code` is that of the terminal, and not a mailed one. */
function withoutMailedCode(error) {
  const { code, ...fields } = error.fields ?? {};
  return code ? Object.assign(error, { fields, field: "code", message: t("setup.wrong-code") }) : error;
}

export const STEPS = {
  password: {
    title: "sign.in",
    fields: () => [loginField(), passwordField("current-password")],
    action: "sign.in",
    run: signInWithPassword,
    links: (view) => [
      view.attempt && ["sign.enter-code", to(view, "verify")],
      !view.attempt && view.canSignUp && ["sign.create-account", to(view, "signup")],
      ["sign.in-with-code-instead", to(view, "requestCode")],
      ["sign.forgot-password", to(view, "forgot")],
    ],
  },
  signup: {
    title: "sign.create-account",
    fields: (view) => accountFields(view.attempt ?? {}),
    action: "sign.up",
    run: (view, values) => view.signUp(filled(values)),
    links: (view) => [
      view.attempt && ["sign.enter-code", to(view, "verify")],
      ["sign.have-account", to(view, "password")],
    ],
  },
  verify: {
    title: "sign.confirm-email",
    about: (view) => codeSent(view, view.attempt.email),
    fields: () => [codeField()],
    action: "sign.confirm",
    run: async (view, { code }) => {
      const { email } = view.attempt;
      view.finishSignUp(await redeem(() => view.bell.verify({ email, code })));
    },
    links: (view) => [
      ["sign.send-again", () => sendAgain(view)],
      ["sign.change-address", to(view, "address")],
      ["sign.start-again", to(view, "signup")],
      ["sign.have-account", to(view, "password")],
    ],
  },
  address: {
    title: "sign.change-address",
    fields: (view) => [field(t("sign.right-address"), "email", { ...EMAIL, value: view.attempt.email })],
    action: "sign.send-there",
    run: (view, { email }) => view.sendAgain(email),
    links: (view) => [["sign.enter-code", to(view, "verify")]],
  },
  requestCode: {
    title: "sign.in-with-code",
    fields: () => [emailField()],
    action: "sign.request-code",
    run: (view, values) => requestCode(view, values, "code"),
    links: (view) => [["sign.in-with-password", to(view, "password")]],
  },
  forgot: {
    title: "sign.forgot-password",
    about: (view) => t(sendsNoMail(view) ? "sign.forgot-without-mail" : "sign.forgot-lead"),
    fields: () => [emailField()],
    action: "sign.request-code",
    run: (view, values) => requestCode(view, values, "reset"),
    links: (view) => [["sign.in-with-password", to(view, "password")]],
  },
  reset: {
    title: "sign.forgot-password",
    about: (view) => codeSent(view, view.email),
    fields: (view) => [codeField(), newPasswordFields(view.email)],
    action: "sign.in",
    run: signInWithCode,
    links: (view) => [
      ["sign.request-another", to(view, "forgot")],
      ["sign.in-with-password", to(view, "password")],
    ],
  },
  code: {
    title: "sign.in-with-code",
    about: (view) => codeSent(view, view.email),
    fields: () => [codeField()],
    action: "sign.in",
    run: signInWithCode,
    links: (view) => [
      ["sign.request-another", to(view, "requestCode")],
      ["sign.in-with-password", to(view, "password")],
    ],
  },
  setup: {
    title: "setup.title",
    about: () => t("setup.about"),
    fields: () => [
      field(t("setup.code"), "code", { required: true, autocomplete: "off", placeholder: "XXXXX-XXXXX" }, t("setup.code-hint")),
      field(t("setup.organisation"), "organisation", { autocomplete: "organization" }, t("setup.organisation-hint")),
      accountFields({}),
    ],
    action: "setup.become-admin",
    run: becomeAdmin,
    links: (view) => [["sign.have-account", to(view, "password")]],
  },
};
