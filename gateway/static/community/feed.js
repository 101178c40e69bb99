/**
 * A list of posts, newest first: all posts, bookmarked ones, or those of one group. New posts of others wait for a
 * click.
 */

import { View, createView, errorText, fill, h } from "../shared/dom.js";
import { LIMITS } from "../shared/limits.js";
import { postDraft } from "../shared/storage.js";
import { t } from "../shared/words.js";
import "./post.js";
import "./writer.js";

const LOAD_MARGIN = "800px 0px"; // distance from the end at which the next page is loaded
const PAGE_SIZE = 20;

/**
 * Properties: `store`, `groups` (id -> GROUP), and either `group` (an id) or `bookmarked` (true) for a part of the
 * posts.
 */
class Feed extends View {
  render() {
    this.rows = new Map(); // id -> li, newest first
    this.waiting = new Map(); // id -> POST by other users, not shown yet
    const button = (onclick) => ({ type: "button", onclick });
    this.newPosts = h("button.primary.news", { ...button(() => this.#showNewPosts()), hidden: true });
    this.list = h("ul.posts", { "aria-label": t("section.posts") });
    const none = t(this.bookmarked ? "feed.none-bookmarked" : "feed.none");
    this.none = h("p.empty", { hidden: true }, none);
    this.problem = h("p.problem", { role: "alert", hidden: true });
    this.more = h(
      "button.link",
      button(() => this.#load()),
      t("feed.more"),
    );
    fill(
      this,
      !this.bookmarked && this.#writer(),
      h("div.waiting", { role: "status" }, this.newPosts),
      this.list,
      this.none,
      this.problem,
      h("p.center", {}, this.more),
    );
    this.listen(this.store, "posts", (event) => this.#onEvent(event));
    this.listen(this.store, "me", () => this.#refresh());
    this.#observeEnd();
  }

  #observeEnd() {
    const options = { root: this.closest(".view"), rootMargin: LOAD_MARGIN };
    const onChange = ([{ isIntersecting }]) => isIntersecting && this.problem.hidden && this.#load();
    const observer = new IntersectionObserver(onChange, options);
    observer.observe(this.more);
    this.lifetime.signal.addEventListener("abort", () => observer.disconnect());
  }

  #writer() {
    const select = this.#groupSelect();
    const send = async (body, files) => {
      const group = this.group ?? (Number(select?.value) || null);
      this.#insert(await this.store.bell.call("POST", "/posts", { body, group, files }));
    };
    const draft = postDraft(this.store.me.id, this.group);
    const texts = { label: t("post.write"), action: t("post.send"), max: LIMITS.NewPost.body.max };
    const files = { store: this.store, place: `post:${this.group ?? ""}` };
    return createView("bw-writer", { ...texts, ...files, draft, beside: select, send });
  }

  /** A choice of the groups that the user has joined; null in a group's own feed, and without groups. */
  #groupSelect() {
    const joined = [...this.groups.values()].filter((group) => group.joined);
    if (this.group || !joined.length) return null;
    const choices = [["", t("feed.everybody")], ...joined.map((group) => [String(group.id), group.name])];
    const options = choices.map(([value, text]) => h("option", { value }, text));
    return h("select", { "aria-label": t("feed.audience") }, options);
  }

  async #load() {
    if (this.loading || this.next === null) return;
    this.loading = true;
    this.problem.hidden = true;
    try {
      const page = await this.#fetch(this.next);
      for (const post of page.items) this.#append(post);
      this.next = page.next;
      this.more.textContent = t("feed.more");
    } catch (error) {
      this.problem.textContent = errorText(error);
      this.problem.hidden = false;
      this.more.textContent = t("error.try-again");
    }
    this.loading = false;
    this.#updateControls();
    if (this.more.hidden || !this.problem.hidden || !this.isConnected) return;
    requestAnimationFrame(() => this.#isEndVisible() && this.#load());
  }

  #append(post) {
    this.waiting.delete(post.id);
    if (!this.rows.has(post.id)) this.list.append(this.#row(post));
  }

  #fetch(page) {
    const query = { group: this.group, bookmarked: this.bookmarked || null, page, limit: PAGE_SIZE };
    return this.store.bell.call("GET", "/posts", null, { query });
  }

  /** The observer reports only changes: an end that is still visible after a page was added is not one. */
  #isEndVisible() {
    return this.more.getBoundingClientRect().top < innerHeight;
  }

  /** Load the newest page after a time without events: update known posts, and let new ones wait. */
  async #refresh() {
    const page = await this.#fetch(null).catch(() => ({ items: [] }));
    for (const post of page.items) {
      const row = this.rows.get(post.id);
      if (row) row.firstChild.update(post);
      else if (this.list.firstChild && post.id > Math.max(...this.rows.keys()))
        this.waiting.set(post.id, post);
    }
    this.#updateControls();
  }

  #row(post) {
    const row = h("li", {}, createView("bw-post", { store: this.store, post, groups: this.groups }));
    this.rows.set(post.id, row);
    return row;
  }

  #insert(post) {
    this.waiting.delete(post.id);
    if (!this.rows.has(post.id)) this.list.prepend(this.#row(post));
    this.#updateControls();
  }

  #onEvent({ type, data }) {
    if (type === "post.created" && this.#belongsHere(data)) this.#onNewPost(data);
    else if (type === "post.updated") this.#update(data);
    else if (type === "post.deleted") this.#remove(data.id);
    this.#updateControls();
  }

  #update(post) {
    const waiting = this.waiting.get(post.id);
    if (waiting) waiting.files = post.files;
    this.rows.get(post.id)?.firstChild.update(post);
  }

  #belongsHere(post) {
    return this.group ? post.group === this.group : !this.bookmarked;
  }

  /** Show the user's own post at once: it may come from another device. Posts of others wait. */
  #onNewPost(post) {
    if (post.author.id === this.store.me.id) this.#insert(post);
    else if (!this.rows.has(post.id)) this.waiting.set(post.id, post);
  }

  /** Remove a post and move the focus to its neighbour. */
  #remove(id) {
    this.waiting.delete(id);
    const row = this.rows.get(id);
    if (!row) return;
    const neighbour = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    this.rows.delete(id);
    neighbour?.firstChild.focus({ preventScroll: true });
  }

  #updateControls() {
    const count = this.waiting.size;
    this.newPosts.hidden = !count;
    this.newPosts.textContent = t("feed.show-new", { n: count });
    this.none.hidden = this.rows.size > 0 || this.next !== null;
    this.more.hidden = this.next === null;
  }

  #showNewPosts() {
    for (const post of [...this.waiting.values()].sort((a, b) => a.id - b.id)) this.#insert(post);
    this.closest(".view").scrollTop = 0;
    this.list.firstChild.firstChild.focus();
  }
}

customElements.define("bw-feed", Feed);
