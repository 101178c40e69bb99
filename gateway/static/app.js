/**
 * The start of the page: it shows the sign-in or the shell. Addresses are `#/conversations/12`, `#/posts/7`,
 * `#/settings`.
 */

import { Bellwire, BellwireError } from "./client.js";
import { closeDialogs, createView, fill, h, icon, loadError, toast } from "./shared/dom.js";
import { report } from "./shared/failures.js";
import "./shared/install.js";
import { keepKeysOfInputMethods } from "./shared/input-method.js";
import {
  applyTheme,
  chosenLanguage,
  eraseTexts,
  pushReport,
  signedInUser,
  whenNotStored,
  whenSignedInElsewhere,
} from "./shared/storage.js";
import { languageOf, loadWords, setLanguage, t } from "./shared/words.js";

/** The modules of the chat. They are requested together; import by import would cost one round trip each. */
const CHAT_MODULES = [
  "shell",
  "shared/limits",
  "shared/files",
  "shared/format",
  "shared/icons",
  "shared/load",
  "shared/matching",
  "shared/sizes",
  "shared/transfer",
  "chat/store",
  "chat/thread",
  "chat/conversations",
  "chat/chat",
  "chat/messages",
  "chat/message",
  "chat/changes",
  "chat/markup",
  "chat/composer",
];

const ATTEMPTS = 3; // of a call that somebody waits for: after a second they read what is wrong
const CHECK_VERSION_EVERY_MS = 600_000;

const bell = new Bellwire({ attempts: ATTEMPTS });
const app = document.querySelector("#app");
const bar = document.querySelector("#bar");
let isOutdated = false;
let versionCheckedAt = 0;

applyTheme();
keepKeysOfInputMethods();
window.addEventListener("error", ({ error }) => error && report("page", error));
window.addEventListener("unhandledrejection", ({ reason }) => isDefect(reason) && report("page", reason));
bell.addEventListener("offline", showConnection);
bell.addEventListener("online", () => {
  showConnection();
  checkVersion(); // a server that was away may be another one
});
window.addEventListener("online", showConnection);
window.addEventListener("offline", showConnection);
document.addEventListener("visibilitychange", () => document.hidden || checkVersion(CHECK_VERSION_EVERY_MS));
app.addEventListener("load-failed", () => checkVersion());
// The session is the browser's: what the user of this tab did not send would be sent as the other one.
whenSignedInElsewhere((id) => bell.user && Number(id) !== bell.user.id && location.reload());
bell.addEventListener("signedout", () => showSignIn(t("sign.was-signed-out")));
// The service worker asks for the address, or has one to open. In private windows there may be none.
navigator.serviceWorker?.addEventListener("message", ({ data, ports }) => {
  if (data.open) location.hash = data.open;
  else ports[0].postMessage(location.href);
});

/** Whether an error is one of the code, and not of the connection, of a refused call, or of a view that was left. */
function isDefect(error) {
  return error instanceof Error && !(error instanceof BellwireError) && !isLost(error);
}

const isLost = (error) => error instanceof TypeError && /fetch|network|load/i.test(error.message);

function showBar(...content) {
  bar.hidden = !content.length;
  fill(bar, content);
}

/** Say whether this device has no network, or the server does not answer. */
function showConnection() {
  if (!bell.online) showBar(t(navigator.onLine ? "bar.no-server" : "bar.offline"));
  else if (isOutdated) showBar(t("bar.new-version"), " ", reloadButton());
  else showBar();
}

function reloadButton() {
  return h("button.link", { type: "button", onclick: () => location.reload() }, t("bar.reload"));
}

/** Offer to load the page anew when the server has another version of it. `afterMs`: the pause between two checks. */
async function checkVersion(afterMs = 0) {
  if (isOutdated || performance.now() - versionCheckedAt < afterMs) return;
  versionCheckedAt = performance.now();
  const own = document.querySelector("meta[name='bellwire-version']").content;
  const index = await fetch("/", { cache: "no-cache" }).then((answer) => (answer.ok ? answer.text() : ""), () => "");
  const served = index.match(/"bellwire-version" content="(\w+)"/)?.[1] ?? own;
  isOutdated = served !== own;
  if (isOutdated) showConnection();
}

async function showSignIn(notice = "") {
  signedInUser.remove();
  pushReport.remove(); // the server forgets a device when its session ends
  bell.user = null;
  closeDialogs();
  showConnection();
  try {
    await import("./account/sign-in.js");
    fill(app, createView("bw-sign", { bell, notice, done: showShell }));
  } catch (error) {
    fill(app, loadError(error, () => location.reload()));
  }
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

const spoken = languageOf(chosenLanguage.read(), ...navigator.languages) ?? "en";
await loadWords(spoken, `/static/first/words/${spoken}.js`);
setLanguage(document.documentElement);
whenNotStored(() => toast(t("error.not-stored")));
const skip = document.querySelector(".skip");
skip.textContent = t("shell.skip");
skip.addEventListener("click", (event) => {
  event.preventDefault(); // its address is none of the page's
  document.querySelector(".view, .sign").focus();
});
document.querySelector("#announcer").setAttribute("aria-label", t("shell.new-messages"));

// Without a stored user nobody is signed in: the sign-in is shown without a request to the server.
const storedUser = Number(signedInUser.read());
if (storedUser) {
  fill(app, h("p.empty", { role: "status" }, icon("bell"), t("loading")));
  showShell({ id: storedUser });
} else showSignIn();
