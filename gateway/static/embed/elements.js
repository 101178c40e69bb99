/**
 * Bellwire in the pages of other products. Their pages load `/static/embed.js`, which the server makes of this module and
 * those that it imports:
 *
 *     import { Bellwire } from "https://chat.example.org/static/embed.js";
 *     Bellwire.configure({ getToken: async () => (await fetch("/chat-token")).text() });
 *
 *     <bellwire-chat with="ext:42"></bellwire-chat>
 *
 * All elements of a page share one client and one store, and all tabs one stream of events. Each element has a shadow
 * root with the style sheets of the page, as constructed ones: a strict policy of the other page forbids no part of it.
 */

import { Bellwire as Client } from "../client.js";
import { closeDialogs, createView, fill, h, loadError, useLayer } from "../shared/dom.js";
import { guard, report, reportTo } from "../shared/failures.js";
import { nameOf } from "../shared/format.js";
import { keepKeysOfInputMethods } from "../shared/input-method.js";
import { embed, load } from "../shared/load.js";
import { language, languageAmong, loadWords, number, setLanguage, t } from "../shared/words.js";
import { summary } from "../chat/markup.js";
import { Store } from "../chat/store.js";
import { eraseTexts } from "../shared/storage.js";
import "../chat/chat.js";
import { LANGUAGES, OWN_STYLES, STYLES } from "./made.js";

const ATTEMPTS = 3; // of a call that somebody waits for
const MAX_ANNOUNCED = 5; // messages in the live region, which screen readers read
const UNUSED_MS = 2000; // without any element, until the session ends: a framework may show the next page meanwhile
const ORIGIN = new URL(import.meta.url).origin;

const [styles, moreStyles] = [new CSSStyleSheet(), new CSSStyleSheet()];
styles.replaceSync(adapted(STYLES) + OWN_STYLES);
const elements = new Set(); // that are connected
let options = null;
let session = null; // {bell, store, ending, hasWords, isReady, error}
let layer = null; // where dialogs and short messages appear
let unusedTimer;

/** What the other page's own scripts use. */
export const Bellwire = {
  /**
   * Begin. `getToken` returns a token of the user who is signed in there, {token, expires_at}, or a promise of one; it is
   * called again before the token ends, and when it is refused. `url`: Bellwire's address, if it is not this script's.
   * Calling it again begins anew, as for another user.
   */
  configure({ getToken, url = ORIGIN }) {
    if (typeof getToken !== "function") throw new TypeError("Bellwire.configure needs getToken, a function");
    options = { getToken, url };
    begin();
  },
};
globalThis.Bellwire = Bellwire;

/** Colours may be chosen by --bellwire-NAME, and sizes follow --bellwire-size. A narrow chat is one on a narrow page. */
function adapted(css) {
  const chosen = css.replace(/^--(\w[\w-]*):(light-dark.*|12px);$/gm, "--$1:var(--bellwire-$1,$2);");
  const sized = chosen.replace(/(?<![\w.-])(-?\d*\.?\d+)rem\b/g, "calc($1 * var(--size))");
  const narrow = /^@media \(max-width:640px\),\(hover:none\)(\{[\s\S]*?\n\})/m.exec(sized)?.[1];
  return narrow ? `${sized}\n@container (max-width: 640px) ${narrow}` : sized;
}

/** Load modules and words that only some elements and dialogs need, and their styles. */
const loadMore = once(async () => {
  const [sheet] = await Promise.all([
    fetch(`${ORIGIN}/static/shared/page.css`).then((answer) => answer.text()),
    loadWords(language(), `${ORIGIN}/static/words/${language()}.js`),
  ]);
  moreStyles.replaceSync(adapted(sheet));
});

const loadFirstWords = once(() => {
  const declared = [...elements][0]?.closest("[lang]")?.lang;
  const code = languageAmong(LANGUAGES, [declared, ...navigator.languages].filter(Boolean)) ?? "en";
  return loadWords(code, `${ORIGIN}/static/embed/words-${code}.js`);
});

/** A function that runs `run` once; again only after it has failed. */
function once(run) {
  let running = null;
  return () => {
    running ??= run().catch((error) => {
      running = null;
      throw error;
    });
    return running;
  };
}

/** Start the session, if there is an element for it. One that is there ends. */
function begin() {
  end();
  if (!options || !elements.size) return;
  const ending = new AbortController();
  const bell = new Client({ url: options.url, token: options.getToken, attempts: ATTEMPTS });
  ending.signal.addEventListener("abort", () => bell.close());
  session = { bell, ending, store: new Store(bell, ending.signal), hasWords: false };
  reportTo(options.url);
  follow(session);
}

function end() {
  session?.ending.abort();
  session = null;
  if (layer) closeDialogs();
}

/** End a session that no element shows, when all is sent. */
function endUnused() {
  if (elements.size || !session) return;
  const isSending = [...session.store.outbox.values()].some(({ refused }) => !refused);
  if (isSending && !session.error) unusedTimer = setTimeout(endUnused, UNUSED_MS);
  else end();
}

/** Apply events to the store. The elements draw themselves when the first state is there, or when nothing more comes. */
async function follow(own) {
  const { bell, store, ending } = own;
  try {
    await loadFirstWords();
    if (ending.signal.aborted) return;
    own.hasWords = true;
    drawAll();
    for await (const { state, events } of bell.batches({ shared: true, signal: ending.signal })) {
      if (state) guard("state", () => store.reset(state));
      for (const event of events) guard("event", () => store.apply(event));
      if (own.isReady) continue;
      own.isReady = true;
      eraseTexts(store.me.id); // those of another user of this browser
      drawAll();
    }
  } catch (error) {
    if (ending.signal.aborted) return;
    if (error.status === undefined && !(error instanceof TypeError)) report("events", error);
    own.error = error;
    ending.abort();
    drawAll();
  }
}

function drawAll() {
  for (const element of elements) element.draw();
}

/** Put the layer above the page, again where the page has got another body. */
function placeLayer() {
  layer ??= makeLayer();
  if (!layer.isConnected) document.body.append(layer);
}

function makeLayer() {
  const host = document.createElement("bellwire-layer");
  const content = h("div.embedded", {}, h("div", { id: "toasts", role: "status", "aria-live": "polite" }));
  attach(host, content);
  useLayer(content);
  return host;
}

/** Give an element a shadow root with all styles. */
function attach(host, content) {
  const root = host.attachShadow({ mode: "open" });
  root.adoptedStyleSheets = [styles, moreStyles];
  root.append(content);
  root.addEventListener("click", onClick);
  keepKeysOfInputMethods(root);
  setLanguage(content);
}

/** Links within Bellwire have addresses of its page. Here they lead to an element, or to what the other page makes of them. */
function onClick(event) {
  const link = event.target.closest?.("a[href^='#/']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  open(link.getAttribute("href"), event.currentTarget.host);
}

/**
 * Open an address such as "#/conversations/7". The page may do it, by listening to "bellwire-open" and preventing what
 * is done here: the first chat of the page shows the conversation.
 */
function open(address, from = document.body) {
  closeDialogs();
  if (from.openAddress?.(address)) return;
  const [section, id, message] = address.replace("#/", "").split("/");
  const detail = { section, id: Number(id) || null, message: Number(message) || null };
  const event = new CustomEvent("bellwire-open", { bubbles: true, composed: true, cancelable: true, detail });
  if (!from.dispatchEvent(event)) return;
  if (section === "notifications") document.querySelector("bellwire-inbox")?.openAddress(address);
  if (!detail.id) return;
  const chat = document.querySelector("bellwire-chat");
  if (section === "conversations") chat?.open(detail);
  if (section === "people") chat?.setAttribute("with", id);
}

embed(`${ORIGIN}/static/embed/`, loadMore, open);

/** What all elements do. Each draws itself in `content`, when the session is there. */
class Embedded extends HTMLElement {
  connectedCallback() {
    elements.add(this);
    if (session) this.draw();
    else begin();
  }

  disconnectedCallback() {
    elements.delete(this);
    this.lifetime?.abort();
    this.content?.replaceChildren();
    clearTimeout(unusedTimer);
    unusedTimer = setTimeout(endUnused, UNUSED_MS);
  }

  attributeChangedCallback(_, before, after) {
    if (this.isConnected && before !== after) this.draw();
  }

  draw() {
    if (!session?.hasWords) return;
    this.lifetime?.abort();
    this.lifetime = new AbortController();
    if (!this.content) {
      this.content = h("div.embedded", { part: "root" });
      attach(this, this.content);
    }
    setLanguage(this.content);
    placeLayer();
    const { isReady, error, store } = session;
    if (error) fill(this.content, this.problem(error));
    else if (!isReady) fill(this.content, this.loading());
    else this.run(() => this.show(store));
  }

  loading() {
    return h("p.empty", { role: "status" }, t("loading"));
  }

  problem(error) {
    return loadError(error, begin);
  }

  /** Draw; say what failed if that fails. */
  async run(show) {
    const { signal } = this.lifetime;
    try {
      await show();
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === undefined && !(error instanceof TypeError)) report(this.localName, error);
      const text = error.status === 404 && h("p.empty", { role: "alert" }, t(this.missing));
      fill(this.content, text || loadError(error, () => this.draw()));
    }
  }

  /** Call `handler(detail)` for events of the store, until it is drawn again. */
  listen(target, names, handler) {
    const { signal } = this.lifetime;
    for (const name of names.split(" "))
      target.addEventListener(name, ({ detail }) => guard(this.localName, () => handler(detail)), { signal });
  }
}

/** `<bellwire-unread>`: how many conversations and notifications are unread; nothing if none are. Its property `count` says it, too. */
class Unread extends Embedded {
  count = 0;

  loading() {
    return [];
  }

  problem() {
    return [];
  }

  show(store) {
    const draw = () => {
      const count = store.unread + store.unreadOthers;
      const shown = count > 99 ? "99+" : number(count);
      const label = h("span.hidden", {}, ` ${t("badge.unread")}`);
      fill(this.content, count > 0 && h("span.badge", { part: "badge" }, shown, label));
      if (count !== this.count) this.dispatchEvent(new CustomEvent("bellwire-unread", { bubbles: true, detail: count }));
      this.count = count;
    };
    this.listen(store, "conversations notifications", draw);
    draw();
  }
}

/** `<bellwire-chat with="ext:42">`, or `conversation="7"`: one conversation, or the chat with a person, which may not have begun. */
class Chat extends Embedded {
  static observedAttributes = ["with", "conversation"];

  async show(store) {
    const id = await this.find(store);
    if (id === null) return;
    this.announcer = h("div.hidden", { role: "log", "aria-live": "polite", "aria-label": t("shell.new-messages") });
    this.chat = createView("bw-chat", { store, conversation: id, message: this.message, isEmbedded: true });
    this.message = undefined;
    fill(this.content, this.chat, this.announcer);
    this.listen(store, "begun", (begun) => begun.before === this.chat.conversation && this.chat.begin(begun.id));
    this.listen(store, "removed", (removed) => removed.id === this.chat.conversation && this.showMissing());
    this.listen(store, "message", (message) => this.announce(store, message));
  }

  /** The id of the conversation, which may have to be loaded; null without one, and when the element was drawn again. */
  async find(store) {
    const { signal } = this.lifetime;
    const person = this.getAttribute("with");
    const id = Number(this.getAttribute("conversation"));
    if (person) {
      this.missing = "people.unknown";
      const user = await store.bell.call("GET", `/users/${encodeURIComponent(person)}`, null, { signal });
      return signal.aborted ? null : store.withPerson(store.putUser(user).id);
    }
    this.missing = "conversation.unknown";
    if (id && !store.conversations.has(id))
      store.putConversation(await store.bell.call("GET", `/conversations/${id}`, null, { signal }));
    if (!id) fill(this.content, h("p.empty", {}, t("welcome.choose")));
    return id && !signal.aborted ? id : null;
  }

  showMissing() {
    fill(this.content, h("p.empty", { role: "alert" }, t("conversation.unknown")));
  }

  /** Show another conversation, at a message if one is named. */
  open({ id, message }) {
    this.message = message;
    this.removeAttribute("with");
    if (this.getAttribute("conversation") === String(id)) this.draw();
    else this.setAttribute("conversation", id);
  }

  /** Let screen readers read new messages of others. */
  async announce(store, message) {
    const { conversation, sender } = message;
    if (conversation !== this.chat.conversation || sender === store.me.id) return;
    const name = nameOf(await store.loadedPerson(sender));
    this.announcer.append(h("p", {}, t("composer.original", { name, text: summary(message, Infinity) })));
    while (this.announcer.children.length > MAX_ANNOUNCED) this.announcer.firstChild.remove();
  }
}

/** `<bellwire-inbox>`: the notifications, and their preferences. */
class Inbox extends Embedded {
  item = "";

  async show(store) {
    const { signal } = this.lifetime;
    await load("account/notifications.js");
    if (!signal.aborted) fill(this.content, createView("bw-notifications", { store, item: this.item }));
  }

  /** Show another of its lists. Returns whether the address is one of them. */
  openAddress(address) {
    const [section, item = ""] = address.replace("#/", "").split("/");
    if (section !== "notifications") return false;
    this.item = item;
    this.draw();
    return true;
  }
}

/** `<bellwire-conversations>`: the list of conversations, with its search. */
class Conversations extends Embedded {
  async show(store) {
    const { signal } = this.lifetime;
    await load("chat/conversations.js");
    this.list = createView("bw-conversations", { store });
    if (!signal.aborted) fill(this.content, this.list);
  }

  /** The conversation that is opened is marked in the list. */
  openAddress(address) {
    const [section, id] = address.replace("#/", "").split("/");
    this.list.selected = section === "people" ? -id : Number(id);
    return false;
  }
}

customElements.define("bellwire-unread", Unread);
customElements.define("bellwire-chat", Chat);
customElements.define("bellwire-inbox", Inbox);
customElements.define("bellwire-conversations", Conversations);
