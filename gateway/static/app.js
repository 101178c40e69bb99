/** The page: who is signed in, where one is, and what is shown there. Addresses are `#/conversations/12`, `#/posts/7`, `#/settings`. */

import { Bellwire } from "./client.js";
import { fill, h, icon } from "./shared/dom.js";
import { part } from "./shared/view.js";
import "./account/sign-in.js";

const REMEMBERED = "bellwire:user"; // who was signed in here: only then is it worth asking
const CHAT = ["shell", ...["store", "thread", "conversations", "chat", "messages", "message", "composer"].map((name) => `chat/${name}`)]; // asked for in one go
const theme = localStorage.getItem("bellwire:theme");
if (theme) document.documentElement.dataset.theme = theme;

const bell = new Bellwire();
const app = document.querySelector("#app");
const bar = document.querySelector("#bar");

bell.addEventListener("offline", () => tell("You are offline. What you write is kept, and sent when there is a connection again."));
bell.addEventListener("online", () => tell(""));
bell.addEventListener("signedout", () => signIn("You were signed out."));

function tell(text) {
  bar.hidden = !text;
  bar.textContent = text;
}

function signIn(notice = "") {
  localStorage.removeItem(REMEMBERED);
  bell.user = null;
  tell("");
  fill(app, part("bw-sign", { bell, notice, done: begin }));
}

async function begin(user) {
  localStorage.setItem(REMEMBERED, user.id);
  bell.user = user;
  document.head.append(...CHAT.map((name) => h("link", { rel: "modulepreload", href: `/static/${name}.js` })));
  const { Shell } = await import("./shell.js");
  if (!customElements.get("bw-shell")) customElements.define("bw-shell", Shell);
  fill(app, part("bw-shell", { bell, leave: signIn }));
}

const known = Number(localStorage.getItem(REMEMBERED));
if (known) {
  fill(app, h("p.empty", { role: "status" }, icon("bell"), "Loading…"));
  begin({ id: known });
} else signIn();
