/**
 * The start of the page: it shows the sign-in or the shell. Addresses are `#/conversations/12`, `#/posts/7`,
 * `#/settings`.
 */

import { Bellwire } from "./client.js";
import { createView, fill, h, icon } from "./shared/dom.js";
import { applyTheme, eraseTexts, signedInUser } from "./shared/storage.js";
import "./account/sign-in.js";

/** The modules of the chat. They are requested together; import by import would cost one round trip each. */
const CHAT_MODULES = [
  "shell",
  "chat/store",
  "chat/thread",
  "chat/conversations",
  "chat/chat",
  "chat/messages",
  "chat/message",
  "chat/composer",
];
const OFFLINE = "You are offline. Your messages are kept and will be sent when you are back online.";

const bell = new Bellwire();
const app = document.querySelector("#app");
const bar = document.querySelector("#bar");

applyTheme();
bell.addEventListener("offline", () => showBar(OFFLINE));
bell.addEventListener("online", () => showBar(""));
bell.addEventListener("signedout", () => showSignIn("You were signed out."));

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
  const { Shell } = await import("./shell.js");
  if (!customElements.get("bw-shell")) customElements.define("bw-shell", Shell);
  fill(app, createView("bw-shell", { bell, leave: showSignIn }));
}

// Without a stored user nobody is signed in: the sign-in is shown without a request to the server.
const storedUser = Number(signedInUser.read());
if (storedUser) {
  fill(app, h("p.empty", { role: "status" }, icon("bell"), "Loading…"));
  showShell({ id: storedUser });
} else showSignIn();
