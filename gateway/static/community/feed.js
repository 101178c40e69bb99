/** Posts, newest first: all, those bookmarked, or one group's. What others write meanwhile waits until it is asked for. */

import { fill, h } from "../shared/dom.js";
import { View, part } from "../shared/view.js";
import { plural, wordsOf } from "../shared/format.js";
import "./post.js";
import "./writer.js";

const NEAR = "800px 0px"; // of the end: the next page is loaded

/** Properties: `groups` (id -> GROUP); `group` (an id) or `bookmarked`, if it is one of these. */
class Feed extends View {
  show() {
    this.rows = new Map(); // id -> li, newest first
    this.fresh = new Map(); // id -> POST by others, not yet shown
    this.news = h("button.primary.news", { type: "button", hidden: true, onclick: () => this.#showNews() });
    this.list = h("ul.posts", { "aria-label": "Posts" });
    this.none = h("p.empty", { hidden: true }, this.bookmarked ? "Posts that you bookmark are found here." : "Nobody has written here yet.");
    this.problem = h("p.problem", { role: "alert", hidden: true });
    this.more = h("button.link", { type: "button", onclick: () => this.#load() }, "Show more");
    fill(this, !this.bookmarked && this.#writer(), h("div.waiting", { role: "status" }, this.news), this.list, this.none, this.problem, h("p.center", {}, this.more));
    this.on(this.store, "posts", (event) => this.#heard(event));
    this.on(this.store, "me", () => this.#lookAgain());
    const end = new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && this.problem.hidden && this.#load(), { root: this.closest(".view"), rootMargin: NEAR });
    end.observe(this.more);
    this.ended.signal.addEventListener("abort", () => end.disconnect());
  }

  #writer() {
    const joined = [...this.groups.values()].filter((group) => group.joined);
    const options = [["", "For everybody"], ...joined.map((group) => [String(group.id), group.name])];
    const choice = !this.group && joined.length > 0 && h("select", { "aria-label": "Who reads it" }, options.map(([value, text]) => h("option", { value }, text)));
    const send = async (body) => {
      const group = this.group ?? (Number(choice?.value) || null);
      this.#insert(await this.store.bell.call("POST", "/posts", { body, group }));
    };
    return part("bw-writer", { label: "Write a post", action: "Post", key: `bellwire:post:${this.store.me.id}:${this.group ?? ""}`, beside: choice, send });
  }

  async #load() {
    if (this.busy || this.next === null) return;
    this.busy = true;
    this.problem.hidden = true;
    try {
      const page = await this.#page(this.next);
      for (const post of page.items) this.#append(post);
      this.next = page.next;
      this.more.textContent = "Show more";
    } catch (error) {
      this.problem.textContent = wordsOf(error);
      this.problem.hidden = false;
      this.more.textContent = "Try again";
    }
    this.busy = false;
    this.#count();
    if (this.more.hidden || !this.problem.hidden || !this.isConnected) return;
    requestAnimationFrame(() => this.#isNear() && this.#load());
  }

  #append(post) {
    this.fresh.delete(post.id);
    if (!this.rows.has(post.id)) this.list.append(this.#row(post));
  }

  #page(page) {
    return this.store.bell.call("GET", "/posts", null, { query: { group: this.group, bookmarked: this.bookmarked || null, page, limit: 20 } });
  }

  /** The observer tells only of changes: an end that is still in view after a page was added is not one. */
  #isNear() {
    return this.more.getBoundingClientRect().top < innerHeight;
  }

  /** After a time without events: what is new waits, and what is known is brought up to date. */
  async #lookAgain() {
    const page = await this.#page(null).catch(() => ({ items: [] }));
    for (const post of page.items) {
      const row = this.rows.get(post.id);
      if (row) row.firstChild.change(post);
      else if (this.list.firstChild && post.id > Math.max(...this.rows.keys())) this.fresh.set(post.id, post);
    }
    this.#count();
  }

  #row(post) {
    const row = h("li", {}, part("bw-post", { store: this.store, post, groups: this.groups }));
    this.rows.set(post.id, row);
    return row;
  }

  #insert(post) {
    this.fresh.delete(post.id);
    if (!this.rows.has(post.id)) this.list.prepend(this.#row(post));
    this.#count();
  }

  #heard({ type, data }) {
    if (type === "post.created" && this.#belongs(data)) this.#meet(data);
    else if (type === "post.updated") this.rows.get(data.id)?.firstChild.change(data);
    else if (type === "post.deleted") this.#remove(data.id);
    this.#count();
  }

  #belongs(post) {
    return this.group ? post.group === this.group : !this.bookmarked;
  }

  /** One's own, perhaps from another device, is shown at once. */
  #meet(post) {
    if (post.author.id === this.store.me.id) this.#insert(post);
    else if (!this.rows.has(post.id)) this.fresh.set(post.id, post);
  }

  /** The focus goes on to the next post. */
  #remove(id) {
    this.fresh.delete(id);
    const row = this.rows.get(id);
    if (!row) return;
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    this.rows.delete(id);
    next?.firstChild.focus({ preventScroll: true });
  }

  #count() {
    const count = this.fresh.size;
    this.news.hidden = !count;
    this.news.textContent = `Show ${plural(count, "new post")}`;
    this.none.hidden = this.rows.size > 0 || this.next !== null;
    this.more.hidden = this.next === null;
  }

  #showNews() {
    for (const post of [...this.fresh.values()].sort((a, b) => a.id - b.id)) this.#insert(post);
    this.closest(".view").scrollTop = 0;
    this.list.firstChild.firstChild.focus();
  }
}

customElements.define("bw-feed", Feed);
