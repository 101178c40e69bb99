/**
 * The messages of a conversation, as long as it may be. Each page of the thread is a block; a block that is far from the view has no
 * content, only the height that it had. Whatever changes above the view, what is seen stays where it is.
 */

import { fill, h, icon, soon } from "../shared/dom.js";
import { echo, row, ticks } from "./message.js";
import { View } from "../shared/view.js";
import { dayKey, plural } from "../shared/format.js";

const NEAR = "150% 0px"; // of the view's height: blocks within have their content
const LOAD_WITHIN = 2; // views from the end of what is loaded
const TOGETHER_MS = 5 * 60_000; // messages of one person within are one group
const END_PX = 60;

class Messages extends View {
  show() {
    this.blocks = new Map(); // page -> {element, rows, shown}
    this.atEnd = !this.target;
    this.news = 0;
    this.scroller = h("div.scroll.messages", { tabindex: "0", role: "region", "aria-label": "Messages", onscroll: () => this.#scrolled() });
    this.top = h("p.quiet.center", {}, "Loading…");
    this.tail = h("div.tail");
    this.down = h("button.to-end", { hidden: true, "aria-label": "To the newest message", onclick: () => this.toEnd() }, icon("down"), h("span"));
    fill(this, this.scroller, this.down);
    fill(this.scroller, this.top, this.tail);
    this.near = new IntersectionObserver((seen) => this.#seen(seen), { root: this.scroller, rootMargin: NEAR });
    this.size = new ResizeObserver(() => this.atEnd && this.#stick());
    this.size.observe(this.scroller);
    this.ended.signal.addEventListener("abort", () => (this.near.disconnect(), this.size.disconnect()));
    this.draw = soon(() => this.#draw());
    this.on(this.store, "thread", (id) => id === this.thread.conversation && this.draw());
    this.on(this.store, "conversations", (id) => id === this.thread.conversation && this.#ticks());
    this.on(this.store, "people", this.draw);
    this.on(this, "keydown", (_, event) => this.#keys(event));
    this.on(this, "jump", (id) => this.#jump(id));
    this.#open();
  }

  async #open() {
    const known = this.target && this.thread.find(this.target);
    if (this.target && !known) this.thread.goTo(this.target);
    else if (!this.target && !this.thread.atEnd) this.thread.goToEnd();
    await this.thread.loading.catch((error) => (this.top.textContent = error.message));
    this.#draw();
    if (this.unreadFrom && !this.marked && !this.target) await this.#toMark();
    if (this.target) this.#show(this.target);
    else this.#toNew();
    this.#scrolled();
  }

  /** There is more that is new than was loaded. */
  async #toMark() {
    await this.thread.goTo(this.unreadFrom).catch(() => {});
    this.atEnd = false;
    this.#draw();
  }

  /** Begins at what is new; else at the end. */
  #toNew() {
    const marker = this.querySelector(".new-marker");
    if (!marker) return this.#stick();
    this.scroller.scrollTop += marker.getBoundingClientRect().top - this.scroller.getBoundingClientRect().top - 40;
    return this.#scrolled();
  }

  async toEnd() {
    if (!this.thread.atEnd) await this.thread.goToEnd();
    this.atEnd = true;
    this.news = 0;
    this.#draw();
    this.#stick();
  }

  #stick() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  // Drawing

  #draw() {
    const { pages } = this.thread;
    if (!this.isConnected || (!pages.length && this.thread.older === undefined)) return;
    const count = this.thread.size;
    if (this.count && this.thread.atEnd && !this.atEnd && this.thread.last?.id > this.newest) this.news += 1;
    this.#mark();
    this.#keeping(() => {
      for (const [page, block] of this.blocks) {
        if (pages.includes(page)) continue;
        this.near.unobserve(block.element);
        block.element.remove();
        this.blocks.delete(page);
      }
      let place = this.top;
      for (const page of pages) {
        if (!this.blocks.has(page)) this.#insert(page);
        const block = this.blocks.get(page);
        if (place.nextSibling !== block.element) place.after(block.element);
        place = block.element;
      }
      pages.forEach((page, n) => this.#fill(page, pages[n - 1]?.at(-1)));
      const more = this.thread.older !== null;
      this.top.textContent = more ? "Loading older messages…" : count ? "This is the beginning." : "Say hello: nobody has written here yet.";
      this.#echo();
    });
    this.count = count;
    this.newest = this.thread.last?.id ?? 0;
    this.down.hidden = this.atEnd;
    this.down.lastChild.textContent = this.news ? String(this.news) : "";
    this.down.setAttribute("aria-label", this.news ? `To ${plural(this.news, "new message")}` : "To the newest message");
    if (this.atEnd && this.thread.atEnd) this.thread.trim();
  }

  /** Finds where the new ones begin, as soon as that is loaded. */
  #mark() {
    const { first, older, pages } = this.thread;
    if (this.marked || this.unreadFrom === null || !first || (first.id > this.unreadFrom && older !== null)) return;
    this.marked = pages.flat().find((message) => message.id > this.unreadFrom && message.sender !== this.store.me.id)?.id;
  }

  #insert(page) {
    const element = h("div.block");
    element.page = page;
    this.blocks.set(page, { element, rows: new Map(), shown: true });
    this.near.observe(element);
  }

  /** Brings a block's rows up to date; those that have not changed stay as they are, with their focus. */
  #fill(page, before) {
    const block = this.blocks.get(page);
    if (!block.shown) return;
    const rows = new Map();
    page.forEach((message, n) => {
      const shape = this.#shape(message, page[n - 1] ?? before);
      const known = block.rows.get(message.id);
      const same = known?.message === message && known.shape === shape && !known.element.hasAttribute("data-unknown");
      rows.set(message.id, same ? known : { message, shape, element: row(this.store, this.thread, message, shape) });
    });
    const wanted = [...rows.values()].map((one) => one.element);
    const focused = block.element.contains(document.activeElement) && document.activeElement.closest("[data-message]")?.dataset.message;
    for (const old of [...block.element.children]) if (!wanted.includes(old)) old.remove();
    wanted.forEach((element, n) => {
      if (block.element.children[n] !== element) block.element.insertBefore(element, block.element.children[n] ?? null);
    });
    block.rows = rows;
    if (focused && !block.element.contains(document.activeElement)) this.#row(Number(focused))?.focus();
  }

  /** What a message's neighbours make of it: "new", "day" and "start", of a group by one person. */
  #shape(message, before) {
    const day = !before ? this.thread.older === null : dayKey(before.created_at) !== dayKey(message.created_at);
    const close = before?.sender === message.sender && new Date(message.created_at) - new Date(before.created_at) < TOGETHER_MS;
    const fresh = this.marked === message.id;
    return [fresh && "new", day && "day", (day || fresh || !close) && "start"].filter(Boolean).join(" ");
  }

  /** What is being sent stands behind everything else. */
  #echo() {
    const mine = [...this.store.outbox.values()].filter((out) => out.conversation === this.thread.conversation);
    fill(this.tail, this.thread.atEnd ? mine.map((out) => echo(this.store, out)) : []);
  }

  #ticks() {
    const about = this.store.conversations.get(this.thread.conversation);
    if (!about) return;
    const read = this.store.readByAll(about);
    for (const element of this.scroller.querySelectorAll(".ticks")) ticks(element, Number(element.dataset.of) <= read);
  }

  /** Runs a change; what was seen is where it was afterwards, or the end is, if that was seen. */
  #keeping(change) {
    const top = this.scroller.getBoundingClientRect().top;
    const seen = this.atEnd ? null : this.#firstSeen(top);
    const before = seen?.getBoundingClientRect().top;
    change();
    if (this.atEnd) this.#stick();
    else if (seen) {
      const same = seen.isConnected ? seen : this.#row(seen.dataset.message); // it was drawn anew
      if (same) this.scroller.scrollTop += same.getBoundingClientRect().top - before;
    }
  }

  #firstSeen(top) {
    const below = (element) => element.getBoundingClientRect().bottom > top;
    const block = [...this.blocks.values()].map((one) => one.element).sort((a, b) => a.page[0].id - b.page[0].id).find(below);
    return (block && [...block.children].find(below)) ?? block;
  }

  /** Blocks come near, and go far. */
  #seen(entries) {
    const changed = entries.filter(({ target, isIntersecting }) => this.blocks.get(target.page)?.shown !== isIntersecting);
    if (!changed.length) return;
    this.#keeping(() => {
      for (const { target, isIntersecting } of changed) {
        const block = this.blocks.get(target.page);
        if (!block) continue;
        block.shown = isIntersecting;
        if (isIntersecting) {
          const { pages } = this.thread;
          target.style.height = "";
          this.#fill(target.page, pages[pages.indexOf(target.page) - 1]?.at(-1));
        } else {
          target.style.height = `${target.offsetHeight}px`;
          block.rows = new Map();
          target.replaceChildren();
        }
      }
    });
  }

  // Going about

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const below = scrollHeight - scrollTop - clientHeight;
    const wasAtEnd = this.atEnd;
    this.atEnd = below < END_PX && this.thread.atEnd;
    if (this.atEnd) this.news = 0;
    this.down.hidden = this.atEnd;
    if (this.atEnd && !wasAtEnd) this.dispatchEvent(new CustomEvent("atend", { bubbles: true }));
    if (scrollTop < LOAD_WITHIN * clientHeight) this.#load("loadOlder", this.thread.older !== null);
    if (below < LOAD_WITHIN * clientHeight) this.#load("loadNewer", !this.thread.atEnd);
  }

  /** One page at a time; the scrolling goes on meanwhile, and asks again. */
  async #load(which, wanted) {
    if (!wanted || this.busy) return;
    this.busy = true;
    try {
      await this.thread[which]();
      this.#draw();
    } catch {
      await this.store.bell.pause(1, this.ended.signal);
    } finally {
      this.busy = false;
    }
    if (this.isConnected) this.#scrolled();
  }

  async #jump(id) {
    if (!this.thread.find(id)) await this.thread.goTo(id).catch(() => {});
    this.atEnd = false;
    this.#draw();
    this.#show(id);
  }

  #row(id) {
    return this.querySelector(`[data-message="${id}"]`);
  }

  #show(id) {
    const page = this.thread.pages.find((one) => one.some((message) => message.id === id));
    if (!page) return;
    this.atEnd = false;
    this.blocks.get(page).element.scrollIntoView({ block: "center" });
    const block = this.blocks.get(page);
    if (!block.shown) this.#seen([{ target: block.element, isIntersecting: true }]);
    const element = this.#row(id);
    element?.scrollIntoView({ block: "center" });
    element?.classList.add("found");
    element?.focus({ preventScroll: true });
    setTimeout(() => element?.classList.remove("found"), 2500);
  }

  /** Arrow keys go from message to message, whose buttons Tab then reaches. */
  #keys(event) {
    const here = event.target.closest("[data-message]");
    if (event.key === "End" && event.ctrlKey) this.toEnd();
    if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
    if (event.target.closest("input, textarea, .picker")) return;
    const all = [...this.scroller.querySelectorAll("[data-message]")];
    const place = here ? all.indexOf(here) + (event.key === "ArrowUp" ? -1 : 1) : all.length - 1;
    if (!all[place]) return;
    event.preventDefault();
    all[place].focus();
    all[place].scrollIntoView({ block: "nearest" });
  }
}

customElements.define("bw-messages", Messages);
