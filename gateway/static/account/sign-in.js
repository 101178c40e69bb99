/** The page without a session: signing in and up, accepting an invitation, becoming the first admin. */

import { fieldError } from "../shared/dialog.js";
import { View, fill, h } from "../shared/dom.js";
import { form } from "../shared/form.js";
import { signupAttempt } from "../shared/storage.js";
import { language, languages, t } from "../shared/words.js";
import { adoptProfile, useLanguage, withBrowserProfile } from "./adoption.js";
import { STEPS } from "./sign-steps.js";

const ATTEMPT_MS = 24 * 3_600_000; // the server forgets one that was not confirmed by then
const UNKNOWN = { organisation: null, signup: "open" }; // the server did not answer

/** Properties: `bell`, `notice` (a text to show, if any), `done` (gets the USER who signed in). */
class SignIn extends View {
  async render() {
    this.instance = null; // until the server has answered
    this.attempt = storedAttempt();
    this.listen(window, "hashchange", () => this.#enter());
    this.#enter(this.notice);
    this.instance = await this.bell.call("GET", "/instance", null, { retry: false }).catch(() => UNKNOWN);
    if (this.isConnected) this.#drawInstance();
  }

  /** Show the step of the address, or the code's of a sign-up that has begun. */
  #enter(notice = "") {
    const [section, code] = location.hash.replace(/^#\//, "").split("/");
    this.invitation = section === "invitation" && code ? decode(code) : undefined;
    const isOther = this.invitation && this.attempt?.invitation !== this.invitation;
    if (section === "setup") this.showStep("setup");
    else if (this.attempt && !isOther) this.#resume();
    else if (this.invitation) this.#showInvitation();
    else this.showStep("password", notice);
  }

  #resume() {
    this.invitation = this.attempt.invitation;
    this.showStep("verify");
  }

  async #showInvitation() {
    this.showStep("signup");
    try {
      const path = `/invitations/${encodeURIComponent(this.invitation)}`;
      const { group } = await this.bell.call("GET", path, null, { retry: false });
      const key = group ? "invitation.welcome-group" : "invitation.welcome";
      if (this.step === "signup") this.say(t(key, { group }));
    } catch (error) {
      if (error.status === 404) this.#refuseInvitation();
    }
  }

  /** Show a step, with a text above its form. */
  showStep(name, notice = "") {
    const { title, fields, action, run } = STEPS[name];
    Object.assign(this, { step: name, said: notice });
    this.about = h("p.said", { role: "status" });
    const element = form(fields(this), t(action), (values) => run(this, values));
    this.brand = h("span", { dir: "auto" });
    this.links = h("div.others");
    const logo = h("img", { src: "/static/shared/bell.svg", alt: "", width: 36, height: 36 });
    const card = [h("p.brand", {}, logo, this.brand), h("h1", {}, t(title)), this.about, element, this.links, otherLanguages()];
    fill(this, h("main.sign", { id: "main", tabindex: "-1" }, h("div.card", {}, card)));
    this.#drawInstance();
    const inputs = [...element.querySelectorAll("input:not([readonly])")];
    (inputs.find((input) => !input.value) ?? inputs[0])?.focus();
  }

  /** Show a text above the form. */
  say(text) {
    this.said = text;
    this.#drawAbout();
  }

  #drawAbout() {
    const text = this.said || (STEPS[this.step].about?.(this) ?? "");
    if (this.about.textContent !== text) this.about.textContent = text;
  }

  /** Draw what depends on the instance: its organisation's name, and what may be done instead. */
  #drawInstance() {
    const { organisation, setup } = this.instance ?? {};
    this.brand.textContent = organisation ?? "Bellwire";
    this.#drawAbout();
    if (setup && this.step === "password") fill(this.about, h("a", { href: "#/setup" }, t("setup.needed")));
    if (setup === false && this.step === "setup") this.refuseSetup();
    else fill(this.links, STEPS[this.step].links(this).filter(Boolean).map(linkButton));
  }

  /** The invitation lets nobody sign up any more. */
  #refuseInvitation() {
    this.#leaveInvitation();
    this.showStep("password", t("invitation.over"));
  }

  /** Go on at the address of the chats, without the invitation. */
  #leaveInvitation() {
    this.invitation = undefined;
    if (location.hash.startsWith("#/invitation")) history.replaceState(null, "", "#/conversations");
  }

  /** There is an admin already: ask for signing in instead. */
  refuseSetup() {
    history.replaceState(null, "", "#/conversations");
    this.showStep("password", t("setup.done-already"));
  }

  /** Whether a sign-up may begin here. */
  get canSignUp() {
    return Boolean(this.invitation) || this.instance?.signup === "open";
  }

  /** Sign up, in the place of an attempt that has begun, and ask for the mailed code. */
  async signUp({ email, username, display_name, password }) {
    const { invitation } = this;
    const path = invitation ? `/invitations/${encodeURIComponent(invitation)}` : "/signup";
    const account = { email, username, ...(display_name && { display_name }) };
    const earlier = this.attempt && { attempt: this.attempt.attempt };
    try {
      const body = { ...account, password, ...earlier };
      const post = (profile) => this.bell.call("POST", path, { ...body, ...profile });
      const { attempt } = await withBrowserProfile(post);
      this.#keep({ ...account, attempt, ...(invitation && { invitation }), at: Date.now() });
    } catch (error) {
      if (error.status === 409) throw fieldError("username", t("invalid.username-taken"));
      throw error.status === 404 ? new Error(t("invitation.over")) : error;
    }
    this.showStep("verify");
  }

  /** Have another code sent for the attempt, to another address if one is given. */
  async sendAgain(email = this.attempt.email) {
    try {
      await this.bell.call("POST", "/signup/code", { attempt: this.attempt.attempt, email });
      this.#keep({ ...this.attempt, email });
      this.showStep("verify", t("sign.sent-again", { email }));
    } catch (error) {
      if (!error.fields?.attempt) throw error;
      this.#keep(null); // it is over
      this.showStep("signup", t("sign.attempt-over"));
    }
  }

  /** Keep the attempt in the browser too, for a reload. */
  #keep(attempt) {
    this.attempt = attempt;
    if (attempt) signupAttempt.write(attempt);
    else signupAttempt.remove();
  }

  /** The code was right: the account is there. */
  finishSignUp(user) {
    signupAttempt.remove();
    this.#leaveInvitation();
    this.done(user);
  }

  finishSignIn(user) {
    this.#leaveInvitation(); // it is for somebody who has no account
    this.done(user);
    adoptProfile(this.bell);
  }
}

function linkButton([key, run]) {
  return h("button.link", { type: "button", onclick: run }, t(key));
}

function otherLanguages() {
  const others = languages().filter(([code]) => code !== language());
  const button = ([lang, name]) => h("button.link", { type: "button", lang, onclick: () => useLanguage(lang) }, name);
  return h("div.row", {}, others.map(button));
}

function storedAttempt() {
  const attempt = signupAttempt.read();
  return attempt?.attempt && Date.now() - attempt.at < ATTEMPT_MS ? attempt : null;
}

function decode(code) {
  try {
    return decodeURIComponent(code);
  } catch {
    return code;
  }
}

customElements.define("bw-sign", SignIn);
