/**
 * The scrolling list of a conversation's messages, of any length. Each page of the thread is one block. A block far
 * from the visible part has no content, only the height that it had. Changes above the visible part do not move it.
 */

import { View, errorText, fill, fillKeyed, focusWithin, h, icon, loadError, oncePerFrame, toastErrors } from "../shared/dom.js";
import { dayKey } from "../shared/format.js";
import { number, t } from "../shared/words.js";
import { Changes } from "./changes.js";
import { changeLine, changeText, drawTicks, messageRow, surroundings, unsentRow } from "./message.js";

const NEAR_MARGIN = "150% 0px"; // of the visible height: blocks within this distance have content
const LOAD_WITHIN_SCREENS = 2; // distance from the end of the loaded messages
const GROUP_WITHIN_MS = 5 * 60_000; // messages of one sender within this time are shown as one group
const AT_END_WITHIN_PX = 60;
const MARKER_OFFSET_PX = 40;
const HIGHLIGHT_MS = 2500;
const SEEN_WITHIN_PX = 8; // of a message's lower edge below the visible part
const RETRY_AFTER_S = 1;

/**
 * Properties: `store`, `thread`, `target` (the id of a message to show) and `unreadFrom` (the id of the last read
 * message, 0 if none was read, or null if there are no newer ones).
 *
 * The event "seen" has the id of the newest message of another user that was in view, each time that it grows.
 */
class Messages extends View {
  render() {
    this.blocks = new Map(); // page -> {element, rows, isDrawn}
    this.atEnd = !this.target;
    this.seen = 0;
    this.hasSkippedUnread = Boolean(this.target); // whether the first unread message has not been in view
    const region = {
      tabindex: "0",
      part: "messages",
      role: "region",
      "aria-label": t("message.list"),
      onscroll: () => this.#onScroll(),
      onclick: (event) => this.#onClick(event),
      onfocusin: ({ target }) => this.#onFocus(target),
      // These get no focus from a pointer: their row would get higher, and they move, before they are clicked.
      onmousedown: (event) => event.target.closest(".quote, .reaction, .tile, .file") && event.preventDefault(),
    };
    this.scroller = h("div.scroll.messages", region);
    this.top = h("div");
    this.unsent = h("div.unsent");
    this.changes = new Changes(this.store, this.thread.conversation);
    this.lastChanges = h("div");
    const toNewest = { hidden: true, "aria-label": t("message.to-newest"), onclick: () => this.toEnd() };
    this.endButton = h("button.to-end", toNewest, icon("down"), h("span"));
    const toUnread = { hidden: true, onclick: () => this.#toUnread() };
    this.unreadButton = h("button.to-unread", toUnread, icon("up"), t("message.to-first-unread"));
    fill(this, this.unreadButton, this.scroller, this.endButton);
    fill(this.scroller, this.top, this.lastChanges, this.unsent);
    this.#observe();
    this.draw = oncePerFrame(() => this.#draw());
    const isOwn = (id) => id === this.thread.conversation;
    this.listen(this.store, "thread", (id) => isOwn(id) && this.draw());
    this.listen(this.store, "conversations", (id) => isOwn(id) && this.#drawTicks());
    this.listen(this.store, "conversations", (id) => isOwn(id) && this.#drawButtons());
    this.listen(this.store, "change", (event) => this.changes.add(event) && this.draw());
    this.listen(this.store, "reset", () => this.#reloadChanges());
    this.listen(window, "focus scroll", () => this.#noteSeen());
    this.listen(document, "visibilitychange", () => this.#noteSeen());
    this.listen(this.store, "people blocks", this.draw);
    this.listen(this.store.bell, "offline online", this.draw);
    this.listen(this, "keydown", (_, event) => this.#onKey(event));
    this.listen(this, "jump", (id) => this.#jump(id));
    this.thread.open().then(() => this.#draw());
  }

  #observe() {
    const options = { root: this.scroller, rootMargin: NEAR_MARGIN };
    this.nearObserver = new IntersectionObserver((entries) => this.#onIntersection(entries), options);
    this.sizeObserver = new ResizeObserver(() => this.#onScroll());
    this.sizeObserver.observe(this.scroller);
    this.sizeObserver.observe(this.unsent);
    this.lifetime.signal.addEventListener("abort", () => {
      this.nearObserver.disconnect();
      this.sizeObserver.disconnect();
    });
  }

  /** The first messages are loaded: scroll to the target, to the first unread message, or to the end. */
  async #open() {
    this.isOpening = true;
    const { target, thread } = this;
    if (target && !thread.find(target)) await toastErrors(() => thread.goTo(target));
    else if (!target && this.unreadFrom === null && !thread.atEnd) await thread.goToEnd().catch(() => {});
    this.#draw();
    if (this.target) this.#show(this.target);
    else await this.#showUnread();
    this.isOpen = true;
    this.#onScroll();
  }

  /** Scroll to the first unread message, which may not be loaded yet; without one, to the end. */
  async #showUnread() {
    if (this.unreadFrom !== null && !this.thread.find(this.firstUnread)) await this.#loadUnread();
    const row = this.#reveal(this.firstUnread);
    if (!row) return this.thread.atEnd ? this.#scrollToEnd() : this.toEnd();
    this.atEnd = false;
    const distance = row.getBoundingClientRect().top - this.scroller.getBoundingClientRect().top;
    this.scroller.scrollTop += distance - MARKER_OFFSET_PX;
  }

  /** Load the messages around the read mark. */
  async #loadUnread() {
    await toastErrors(() => this.thread.goTo(Math.max(this.unreadFrom, 1)));
    this.atEnd = false;
    this.#draw();
  }

  /** Show the marker after a message, as if it was the last one that was read. */
  markFrom(id) {
    this.unreadFrom = id;
    this.firstUnread = undefined;
    this.#draw();
  }

  async #toUnread() {
    this.hasSkippedUnread = false;
    await this.#showUnread();
    this.#rowElement(this.firstUnread)?.focus({ preventScroll: true });
    this.#onScroll();
  }

  async toEnd() {
    this.hasSkippedUnread = this.#unread > 0;
    if (!this.thread.atEnd) await toastErrors(() => this.thread.goToEnd());
    this.atEnd = this.thread.atEnd;
    this.#draw();
    this.#scrollToEnd();
    this.#onScroll();
  }

  #scrollToEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  // Drawing

  #draw() {
    const { pages, isLoaded } = this.thread;
    if (!this.isConnected) return;
    if (isLoaded && !this.isOpening) {
      this.#open();
      return;
    }
    this.#findFirstUnread();
    this.#keepPosition(() => {
      if (isLoaded || pages.length) this.#drawPages(pages); // the old ones stay until they are loaded again
      this.#drawTop();
      this.#drawUnsent();
    });
    this.#onScroll();
    if (this.atEnd && this.thread.atEnd) this.thread.trim();
  }

  #drawPages(pages) {
    this.#removeOldBlocks(pages);
    this.#placeBlocks(pages);
    pages.forEach((page, n) => this.#drawBlock(page, pages[n - 1]?.at(-1)));
    this.#drawLastChanges();
  }

  #removeOldBlocks(pages) {
    for (const [page, { element }] of this.blocks) {
      if (pages.includes(page)) continue;
      this.nearObserver.unobserve(element);
      element.remove();
      this.blocks.delete(page);
    }
  }

  #placeBlocks(pages) {
    let previous = this.top;
    for (const page of pages) {
      if (!this.blocks.has(page)) this.#addBlock(page);
      const { element } = this.blocks.get(page);
      if (previous.nextSibling !== element) previous.after(element);
      previous = element;
    }
  }

  /** Say what is before the messages, or why nothing can be loaded. */
  #drawTop() {
    const { thread } = this;
    const retry = () => thread.open();
    const draw = (top) => (top === thread.error ? loadError(top, retry) : h("p.quiet.center", {}, top));
    fillKeyed(this.top, [thread.error ?? this.#topText()], { key: () => "", version: String, draw });
  }

  #topText() {
    const { first, isLoaded, older } = this.thread;
    if (!isLoaded) return t("loading");
    const hasMore = older !== null || this.changes.older;
    if (!hasMore) return t(first ? "message.beginning" : "message.none");
    const problem = this.problem ?? (!this.store.bell.online && new TypeError()); // as a lost connection
    return problem ? errorText(problem) : t("message.loading-older");
  }

  get #unread() {
    return this.store.conversations.get(this.thread.conversation)?.unread ?? 0;
  }

  #drawButtons() {
    const unread = this.#unread;
    this.endButton.hidden = this.atEnd;
    this.endButton.lastChild.textContent = unread ? number(unread) : "";
    const label = unread ? t("message.to-new", { n: unread }) : t("message.to-newest");
    this.endButton.setAttribute("aria-label", label);
    this.unreadButton.hidden = !this.hasSkippedUnread || this.unreadFrom === null;
  }

  /** Find the first unread message, as soon as it is loaded. */
  #findFirstUnread() {
    const { first, older, pages } = this.thread;
    if (this.firstUnread || this.unreadFrom === null || !first) return;
    if (first.id > this.unreadFrom && older !== null) return;
    const isUnread = ({ id, sender, deleted_at }) =>
      id > this.unreadFrom && sender !== this.store.me.id && !deleted_at;
    this.firstUnread = pages.flat().find(isUnread)?.id;
  }

  #addBlock(page) {
    const element = h("div.block");
    element.page = page;
    this.blocks.set(page, { element, rows: new Map(), isDrawn: true });
    this.nearObserver.observe(element);
    this.sizeObserver.observe(element);
  }

  /** Update a block's rows. Rows that have not changed stay in the document, with their focus. */
  #drawBlock(page, before) {
    const block = this.blocks.get(page);
    if (!block.isDrawn) return;
    const rows = new Map();
    page.forEach((message, n) => rows.set(message.id, this.#row(block, message, page[n - 1] ?? before)));
    const { element } = block;
    const elements = [...rows.values()].map((row) => row.element);
    const focused = focusWithin(element)?.closest("[data-message]");
    for (const old of [...element.children]) if (!elements.includes(old)) old.remove();
    elements.forEach((row, n) => {
      if (element.children[n] !== row) element.insertBefore(row, element.children[n] ?? null);
    });
    block.rows = rows;
    if (focused && !focusWithin(element))
      this.#rowElement(focused.dataset.message)?.focus();
  }

  #row(block, message, before) {
    const shape = this.#shape(message, before);
    const changes = before || this.thread.older === null ? this.#changesBetween(before, message) : [];
    const around = surroundings(this.store, this.thread, message);
    const version = [shape, around, ...changes.map(({ id, text }) => `${id} ${text}`)].join("\n");
    const known = block.rows.get(message.id);
    if (known?.message === message && known.version === version) return known;
    const element = messageRow(this.store, this.thread, message, shape, changes, known?.element);
    return { message, version, element };
  }

  /** The changes after one message and before another, {id, at, text}; without them, before the first or after the last. */
  #changesBetween(before, message) {
    const { store } = this;
    return this.changes.between(before, message).map((event) => ({ ...event, text: changeText(store, event) }));
  }

  /** There was a time without events. */
  #reloadChanges() {
    this.changes.restart();
    this.#onScroll();
  }

  #drawLastChanges() {
    const changes = this.thread.atEnd ? this.#changesBetween(this.thread.last) : [];
    fillKeyed(this.lastChanges, changes, { key: ({ id }) => id, version: ({ text }) => text, draw: changeLine });
  }

  /**
   * Words that say how a message is drawn after the one before it: "new" and "day" for a line above, "start" for a
   * sender's name.
   */
  #shape(message, before) {
    const isNewDay = before
      ? dayKey(before.created_at) !== dayKey(message.created_at)
      : this.thread.older === null;
    const isSameSender = before?.sender === message.sender;
    const isClose =
      isSameSender && new Date(message.created_at) - new Date(before.created_at) < GROUP_WITHIN_MS;
    const isFirstUnread = this.firstUnread === message.id;
    const isStart = isNewDay || isFirstUnread || !isClose;
    return [isFirstUnread && "new", isNewDay && "day", isStart && "start"].filter(Boolean).join(" ");
  }

  /** Draw unsent messages behind all others. */
  #drawUnsent() {
    const { conversation } = this.thread;
    const messages = [...this.store.outbox.values()].filter(
      (message) => message.conversation === conversation,
    );
    fillKeyed(this.unsent, this.thread.atEnd ? messages : [], {
      key: ({ client_id }) => client_id,
      version: ({ failed }) => failed ?? "",
      draw: (message) => unsentRow(this.store, message),
    });
  }

  #drawTicks() {
    const conversation = this.store.conversations.get(this.thread.conversation);
    if (!conversation) return;
    const read = this.store.readByAll(conversation);
    for (const element of this.scroller.querySelectorAll(".ticks")) {
      drawTicks(element, Number(element.dataset.message) <= read);
    }
  }

  /** Run a change of the list and restore the scroll position: at the end, or at the first visible row. */
  #keepPosition(change) {
    const top = this.scroller.getBoundingClientRect().top;
    const visible = this.atEnd ? null : this.#firstVisible(top);
    const before = visible?.getBoundingClientRect().top;
    change();
    if (this.atEnd) this.#scrollToEnd();
    else if (visible) {
      const row = visible.isConnected ? visible : this.#rowElement(visible.dataset.message); // it was drawn again
      if (row) this.scroller.scrollTop += row.getBoundingClientRect().top - before;
    }
  }

  #firstVisible(top) {
    const isBelowTop = (element) => element.getBoundingClientRect().bottom > top;
    const blocks = [...this.blocks.values()].map((block) => block.element);
    const block = blocks.sort((a, b) => a.page[0].id - b.page[0].id).find(isBelowTop);
    return (block && [...block.children].find(isBelowTop)) ?? block;
  }

  /** Draw blocks that came near the visible part; empty those that are far. */
  #onIntersection(entries) {
    const hasChanged = ({ target, isIntersecting }) =>
      this.blocks.get(target.page)?.isDrawn !== isIntersecting;
    const changed = entries.filter(hasChanged);
    if (!changed.length) return;
    this.#keepPosition(() => {
      for (const { target, isIntersecting } of changed) {
        const block = this.blocks.get(target.page);
        if (!block) continue;
        block.isDrawn = isIntersecting;
        if (isIntersecting) this.#restoreBlock(target);
        else this.#emptyBlock(block);
      }
    });
  }

  #restoreBlock(element) {
    const { pages } = this.thread;
    element.style.height = "";
    this.#drawBlock(element.page, pages[pages.indexOf(element.page) - 1]?.at(-1));
  }

  #emptyBlock(block) {
    block.element.style.height = `${block.element.offsetHeight}px`;
    block.rows = new Map();
    block.element.replaceChildren();
  }

  // Scrolling

  /** Besides scrolling, the size of the list may have changed, or that of files in it: at the end it stays at the end. */
  #onScroll() {
    const { scrollHeight, clientHeight } = this.scroller;
    const size = scrollHeight + clientHeight / 1e5;
    if (this.atEnd && size !== this.size) this.#scrollToEnd();
    this.size = size;
    if (!this.isOpen) return;
    const { scrollTop } = this.scroller;
    const below = scrollHeight - scrollTop - clientHeight;
    this.atEnd = below < AT_END_WITHIN_PX && this.thread.atEnd;
    if (this.#isUnreadInView()) this.hasSkippedUnread = false;
    this.#drawButtons();
    this.#noteSeen();
    const nearby = LOAD_WITHIN_SCREENS * clientHeight;
    const { thread, changes } = this;
    const isNearTop = scrollTop < nearby;
    if (isNearTop && thread.hasOlder) this.#load(() => thread.loadOlder());
    if (below < nearby && thread.hasNewer) this.#load(() => thread.loadNewer());
    if (changes.isMissing(thread) || (isNearTop && changes.older)) this.#load(() => changes.loadPage());
  }

  /** Announce what was seen, unless nobody looks at the window. */
  #noteSeen() {
    if (!this.isOpen || document.hidden || !document.hasFocus()) return;
    const newest = this.#newestInView();
    if (newest <= this.seen) return;
    this.seen = newest;
    this.dispatchEvent(new CustomEvent("seen", { bubbles: true, detail: newest }));
  }

  /** The id of the last message of another user whose lower edge is in view, or above it; 0 if there is none. */
  #newestInView() {
    const { top, bottom } = this.scroller.getBoundingClientRect();
    if (top >= innerHeight || bottom <= 0) return 0; // in a page that scrolls
    const end = this.atEnd ? Infinity : Math.min(bottom, innerHeight) + SEEN_WITHIN_PX;
    const rows = [...this.scroller.querySelectorAll("article[data-message]:not(.mine)")];
    const last = rows.findLast((row) => row.getBoundingClientRect().bottom <= end);
    return Number(last?.dataset.message ?? 0);
  }

  #isUnreadInView() {
    const { top, bottom } = this.scroller.getBoundingClientRect();
    const at = this.#rowElement(this.firstUnread)?.getBoundingClientRect().top;
    return at >= top && at < bottom;
  }

  /** A focused message has a row of buttons more. A link in it stays where it is pressed. */
  #onFocus(target) {
    if (this.atEnd && target.matches("article")) this.#scrollToEnd();
  }

  /** A message gets the focus, and shows its buttons, when it is tapped. */
  #onClick(event) {
    if (event.target.closest("a, button, audio, video") || !getSelection().isCollapsed) return;
    event.target.closest("article[data-message]")?.focus({ preventScroll: true });
  }

  /** Load one page at a time. Scrolling continues meanwhile, so the distance is checked again afterwards. */
  async #load(run) {
    if (this.loading) return;
    this.loading = true;
    try {
      await run();
      this.problem = null;
      this.#draw();
    } catch (error) {
      this.problem = error;
      this.#drawTop();
      await this.store.bell.pause(RETRY_AFTER_S, this.lifetime.signal);
    } finally {
      this.loading = false;
    }
    if (this.isConnected) this.#onScroll();
  }

  async #jump(id) {
    if (!this.thread.find(id)) await toastErrors(() => this.thread.goTo(id));
    this.atEnd = false;
    this.#draw();
    this.#show(id);
    this.#onScroll(); // in a short conversation nothing was scrolled: it is at its end as before
  }

  #rowElement(id) {
    return this.querySelector(`article[data-message="${id}"]`);
  }

  /** Scroll to a loaded message, whose block may be empty until then. Returns its row. */
  #reveal(id) {
    const page = this.thread.pages.find((messages) => messages.some((message) => message.id === id));
    const block = this.blocks.get(page); // there is none once the view was left
    if (!block) return null;
    this.atEnd = false;
    block.element.scrollIntoView({ block: "center" });
    if (!block.isDrawn) this.#onIntersection([{ target: block.element, isIntersecting: true }]);
    return this.#rowElement(id);
  }

  /** Scroll to a loaded message, highlight it for a moment and focus it. */
  #show(id) {
    const element = this.#reveal(id);
    element?.scrollIntoView({ block: "center" });
    element?.classList.add("found");
    element?.focus({ preventScroll: true });
    setTimeout(() => element?.classList.remove("found"), HIGHLIGHT_MS);
  }

  /** Arrow keys move from message to message; Tab then reaches the buttons of the focused one. */
  #onKey(event) {
    if (event.key === "End" && event.ctrlKey) this.toEnd();
    if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
    if (event.target.closest("input, textarea, audio, video")) return;
    const rows = [...this.scroller.querySelectorAll("article[data-message]")];
    const current = event.target.closest("article[data-message]");
    const index = current ? rows.indexOf(current) + (event.key === "ArrowUp" ? -1 : 1) : rows.length - 1;
    if (!rows[index]) return;
    event.preventDefault();
    rows[index].focus();
    rows[index].scrollIntoView({ block: "nearest" });
  }
}

customElements.define("bw-messages", Messages);
