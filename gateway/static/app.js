/**
 * The start of the page: it shows the sign-in or the shell. Addresses are `#/conversations/12`, `#/posts/7`,
 * `#/settings`.
 */

import { Bellwire, BellwireError } from "./client.js";
import { createView, fill, h, icon, loadError } from "./shared/dom.js";
import { report } from "./shared/failures.js";
import { applyTheme, chosenLanguage, eraseTexts, signedInUser } from "./shared/storage.js";
import { languageFor, loadWords, t } from "./shared/words.js";
import "./account/sign-in.js";

/** The modules of the chat. They are requested together; import by import would cost one round trip each. */
const CHAT_MODULES = [
  "shell",
  "shared/limits",
  "shared/format",
  "chat/store",
  "chat/thread",
  "chat/conversations",
  "chat/chat",
  "chat/messages",
  "chat/message",
  "chat/composer",
];

const bell = new Bellwire();
const app = document.querySelector("#app");
const bar = document.querySelector("#bar");

applyTheme();
window.addEventListener("error", ({ error }) => error && report("page", error));
window.addEventListener("unhandledrejection", ({ reason }) => isDefect(reason) && report("page", reason));
bell.addEventListener("offline", () => showBar(t(navigator.onLine ? "bar.no-server" : "bar.offline")));
bell.addEventListener("online", () => showBar(""));
bell.addEventListener("signedout", () => showSignIn(t("sign.was-signed-out")));

/** Whether an error is one of the code, and not of the connection, of a refused call, or of a view that was left. */
function isDefect(error) {
  return error instanceof Error && !(error instanceof BellwireError) && !isLost(error);
}

const isLost = (error) => error instanceof TypeError && /fetch|network|load/i.test(error.message);

function showBar(text) {
  bar.hidden = !text;
  bar.textContent = text;
}

function showSignIn(notice = "") {
  signedInUser.remove();
  bell.user = null;
  showBar("");
  fill(app, createView("bw-sign", { bell, notice, done: showShell }));
}

async function showShell(user) {
  signedInUser.write(String(user.id));
  eraseTexts(user.id); // a session that ended by itself left the texts, for the same user to come back
  bell.user = user;
  const preloads = CHAT_MODULES.map((name) =>
    h("link", { rel: "modulepreload", href: `/static/${name}.js` }),
  );
  document.head.append(...preloads);
  try {
    const { Shell } = await import("./shell.js");
    if (!customElements.get("bw-shell")) customElements.define("bw-shell", Shell);
    fill(app, createView("bw-shell", { bell, leave: showSignIn }));
  } catch (error) {
    fill(app, loadError(error, () => location.reload())); // browsers remember a module that could not be loaded
  }
}

await loadWords(languageFor([chosenLanguage.read(), ...navigator.languages]));
document.querySelector(".skip").textContent = t("shell.skip");
document.querySelector("#announcer").setAttribute("aria-label", t("shell.new-messages"));

// Without a stored user nobody is signed in: the sign-in is shown without a request to the server.
const storedUser = Number(signedInUser.read());
if (storedUser) {
  fill(app, h("p.empty", { role: "status" }, icon("bell"), t("loading")));
  showShell({ id: storedUser });
} else showSignIn();
