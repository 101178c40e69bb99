/**
 * The scrolling list of a conversation's messages, of any length. Each page of the thread is one block. A block far
 * from the visible part has no content, only the height that it had. Changes above the visible part do not move it.
 */

import { View, fill, h, icon, oncePerFrame } from "../shared/dom.js";
import { dayKey } from "../shared/format.js";
import { t } from "../shared/words.js";
import { drawTicks, messageRow, unsentRow } from "./message.js";

const NEAR_MARGIN = "150% 0px"; // of the visible height: blocks within this distance have content
const LOAD_WITHIN_SCREENS = 2; // distance from the end of the loaded messages
const GROUP_WITHIN_MS = 5 * 60_000; // messages of one sender within this time are shown as one group
const AT_END_WITHIN_PX = 60;
const MARKER_OFFSET_PX = 40;
const HIGHLIGHT_MS = 2500;
const RETRY_AFTER_S = 1;

/**
 * Properties: `store`, `thread`, `target` (the id of a message to show) and `unreadFrom` (the last read message's id,
 * or null).
 */
class Messages extends View {
  render() {
    this.blocks = new Map(); // page -> {element, rows, isDrawn}
    this.atEnd = !this.target;
    this.newCount = 0; // messages that arrived below the visible part
    const region = {
      tabindex: "0",
      role: "region",
      "aria-label": t("message.list"),
      onscroll: () => this.#onScroll(),
    };
    this.scroller = h("div.scroll.messages", region);
    this.top = h("p.quiet.center", {}, t("loading"));
    this.unsent = h("div.unsent");
    const toNewest = { hidden: true, "aria-label": t("message.to-newest"), onclick: () => this.toEnd() };
    this.endButton = h("button.to-end", toNewest, icon("down"), h("span"));
    fill(this, this.scroller, this.endButton);
    fill(this.scroller, this.top, this.unsent);
    this.#observe();
    this.draw = oncePerFrame(() => this.#draw());
    const isOwn = (id) => id === this.thread.conversation;
    this.listen(this.store, "thread", (id) => isOwn(id) && this.draw());
    this.listen(this.store, "conversations", (id) => isOwn(id) && this.#drawTicks());
    this.listen(this.store, "people", this.draw);
    this.listen(this, "keydown", (_, event) => this.#onKey(event));
    this.listen(this, "jump", (id) => this.#jump(id));
    this.#open();
  }

  #observe() {
    const options = { root: this.scroller, rootMargin: NEAR_MARGIN };
    this.nearObserver = new IntersectionObserver((entries) => this.#onIntersection(entries), options);
    const sizeObserver = new ResizeObserver(() => this.atEnd && this.#scrollToEnd());
    sizeObserver.observe(this.scroller);
    this.lifetime.signal.addEventListener("abort", () => {
      this.nearObserver.disconnect();
      sizeObserver.disconnect();
    });
  }

  /** Load the first messages, then scroll to the target, to the first unread message, or to the end. */
  async #open() {
    const isLoaded = this.target && this.thread.find(this.target);
    if (this.target && !isLoaded) this.thread.goTo(this.target);
    else if (!this.target && !this.thread.atEnd) this.thread.goToEnd();
    await this.thread.loading.catch((error) => (this.top.textContent = error.message));
    this.#draw();
    if (this.unreadFrom && !this.firstUnread && !this.target) await this.#loadUnread();
    if (this.target) this.#show(this.target);
    else this.#scrollToUnread();
    this.#onScroll();
  }

  /** Load the messages around the read mark, when there are more unread messages than one page. */
  async #loadUnread() {
    await this.thread.goTo(this.unreadFrom).catch(() => {});
    this.atEnd = false;
    this.#draw();
  }

  #scrollToUnread() {
    const marker = this.querySelector(".new-marker");
    if (!marker) {
      this.#scrollToEnd();
      return;
    }
    const distance = marker.getBoundingClientRect().top - this.scroller.getBoundingClientRect().top;
    this.scroller.scrollTop += distance - MARKER_OFFSET_PX;
    this.#onScroll();
  }

  async toEnd() {
    if (!this.thread.atEnd) await this.thread.goToEnd();
    this.atEnd = true;
    this.newCount = 0;
    this.#draw();
    this.#scrollToEnd();
  }

  #scrollToEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  // Drawing

  #draw() {
    const { pages } = this.thread;
    if (!this.isConnected || (!pages.length && this.thread.older === undefined)) return;
    const count = this.thread.size;
    const hasNewer = this.thread.last?.id > this.newest;
    if (this.count && this.thread.atEnd && !this.atEnd && hasNewer) this.newCount += 1;
    this.#findFirstUnread();
    this.#keepPosition(() => {
      this.#removeOldBlocks(pages);
      this.#placeBlocks(pages);
      pages.forEach((page, n) => this.#drawBlock(page, pages[n - 1]?.at(-1)));
      this.top.textContent = this.#topText(count);
      this.#drawUnsent();
    });
    this.count = count;
    this.newest = this.thread.last?.id ?? 0;
    this.#drawEndButton();
    if (this.atEnd && this.thread.atEnd) this.thread.trim();
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

  #topText(count) {
    if (this.thread.older !== null) return t("message.loading-older");
    return t(count ? "message.beginning" : "message.none");
  }

  #drawEndButton() {
    this.endButton.hidden = this.atEnd;
    this.endButton.lastChild.textContent = this.newCount ? String(this.newCount) : "";
    const label = this.newCount ? t("message.to-new", { n: this.newCount }) : t("message.to-newest");
    this.endButton.setAttribute("aria-label", label);
  }

  /** Find the first unread message, as soon as it is loaded. */
  #findFirstUnread() {
    const { first, older, pages } = this.thread;
    if (this.firstUnread || this.unreadFrom === null || !first) return;
    if (first.id > this.unreadFrom && older !== null) return;
    const isUnread = (message) => message.id > this.unreadFrom && message.sender !== this.store.me.id;
    this.firstUnread = pages.flat().find(isUnread)?.id;
  }

  #addBlock(page) {
    const element = h("div.block");
    element.page = page;
    this.blocks.set(page, { element, rows: new Map(), isDrawn: true });
    this.nearObserver.observe(element);
  }

  /** Update a block's rows. Rows that have not changed stay in the document, with their focus. */
  #drawBlock(page, before) {
    const block = this.blocks.get(page);
    if (!block.isDrawn) return;
    const rows = new Map();
    page.forEach((message, n) => rows.set(message.id, this.#row(block, message, page[n - 1] ?? before)));
    const { element } = block;
    const elements = [...rows.values()].map((row) => row.element);
    const focused =
      element.contains(document.activeElement) && document.activeElement.closest("[data-message]");
    for (const old of [...element.children]) if (!elements.includes(old)) old.remove();
    elements.forEach((row, n) => {
      if (element.children[n] !== row) element.insertBefore(row, element.children[n] ?? null);
    });
    block.rows = rows;
    if (focused && !element.contains(document.activeElement))
      this.#rowElement(focused.dataset.message)?.focus();
  }

  #row(block, message, before) {
    const shape = this.#shape(message, before);
    const known = block.rows.get(message.id);
    const isSame =
      known?.message === message && known.shape === shape && !known.element.hasAttribute("data-unknown");
    return isSame ? known : { message, shape, element: messageRow(this.store, this.thread, message, shape) };
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
    fill(this.unsent, this.thread.atEnd ? messages.map((message) => unsentRow(this.store, message)) : []);
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

  #onScroll() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const below = scrollHeight - scrollTop - clientHeight;
    const wasAtEnd = this.atEnd;
    this.atEnd = below < AT_END_WITHIN_PX && this.thread.atEnd;
    if (this.atEnd) this.newCount = 0;
    this.endButton.hidden = this.atEnd;
    if (this.atEnd && !wasAtEnd) this.dispatchEvent(new CustomEvent("atend", { bubbles: true }));
    const nearby = LOAD_WITHIN_SCREENS * clientHeight;
    if (scrollTop < nearby && this.thread.older !== null) this.#load("loadOlder");
    if (below < nearby && !this.thread.atEnd) this.#load("loadNewer");
  }

  /** Load one page at a time. Scrolling continues meanwhile, so the distance is checked again afterwards. */
  async #load(method) {
    if (this.loading) return;
    this.loading = true;
    try {
      await this.thread[method]();
      this.#draw();
    } catch {
      await this.store.bell.pause(RETRY_AFTER_S, this.lifetime.signal);
    } finally {
      this.loading = false;
    }
    if (this.isConnected) this.#onScroll();
  }

  async #jump(id) {
    if (!this.thread.find(id)) await this.thread.goTo(id).catch(() => {});
    this.atEnd = false;
    this.#draw();
    this.#show(id);
  }

  #rowElement(id) {
    return this.querySelector(`article[data-message="${id}"]`);
  }

  /** Scroll to a loaded message, highlight it for a moment and focus it. */
  #show(id) {
    const page = this.thread.pages.find((messages) => messages.some((message) => message.id === id));
    if (!page) return;
    this.atEnd = false;
    const block = this.blocks.get(page);
    block.element.scrollIntoView({ block: "center" });
    if (!block.isDrawn) this.#onIntersection([{ target: block.element, isIntersecting: true }]);
    const element = this.#rowElement(id);
    element?.scrollIntoView({ block: "center" });
    element?.classList.add("found");
    element?.focus({ preventScroll: true });
    setTimeout(() => element?.classList.remove("found"), HIGHLIGHT_MS);
  }

  /** Arrow keys move from message to message; Tab then reaches the buttons of the focused one. */
  #onKey(event) {
    if (event.key === "End" && event.ctrlKey) this.toEnd();
    if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
    if (event.target.closest("input, textarea, .picker")) return;
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
