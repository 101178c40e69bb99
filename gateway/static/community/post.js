/** One post: its text, who likes it, its comments. */

import { ask, avatar, fill, h, icon, iconButton, linked } from "../shared/dom.js";
import { View, part } from "../shared/view.js";
import { exactly, nameOf, plural, shortly, wordsOf } from "../shared/format.js";
import "./comments.js";

/** Properties: `post` (POST), `groups` (id -> GROUP), `open` (whether its comments are shown). */
class Post extends View {
  #marking = new Set(); // "liked" and "bookmarked", while the server is told

  show() {
    const { post } = this;
    this.like = this.#button("heart", () => this.#mark("liked", "like"));
    this.talk = this.#button("comment", () => this.#toggle());
    this.keep = this.#button("bookmark", () => this.#mark("bookmarked", "bookmark"));
    this.problem = h("p.problem", { role: "alert", hidden: true });
    const mayDelete = post.author.id === this.store.me.id || this.store.me.role === "admin";
    const remove = mayDelete && iconButton("delete", "Delete this post", () => this.#remove());
    const foot = h("div.row", {}, this.like, this.talk, this.keep, h("span.grow"), remove);
    this.article = h("article.post", { "aria-label": `Post by ${nameOf(post.author)}`, tabindex: "-1" }, this.#head(), h("p.text", {}, linked(post.body)), foot, this.problem);
    fill(this, this.article);
    this.#draw();
    if (this.open) this.#toggle();
  }

  focus() {
    this.article.focus();
  }

  /** What an event says of it. A count that is just being changed here is told by the answer. */
  change({ likes_count, comments_count }) {
    if (!this.#marking.has("liked")) this.post.likes_count = likes_count;
    this.post.comments_count = comments_count;
    this.#draw();
  }

  #head() {
    const { post } = this;
    const group = post.group && h("a", { href: `#/groups/${post.group}` }, this.groups.get(post.group)?.name ?? "A group");
    const time = h("a.quiet", { href: `#/posts/${post.id}` }, h("time", { datetime: post.created_at, title: exactly(post.created_at) }, shortly(post.created_at)));
    return h("header", {}, avatar(nameOf(post.author), post.author.id), h("h2", {}, nameOf(post.author)), group && h("span.quiet", {}, "in ", group), time);
  }

  #button(name, onclick) {
    return h("button.mark", { type: "button", onclick }, icon(name), h("span"));
  }

  #draw() {
    const { liked, likes_count: likes, comments_count: comments, bookmarked } = this.post;
    const say = (button, label, count) => {
      button.setAttribute("aria-label", label);
      button.title = label;
      button.lastChild.textContent = count || "";
    };
    say(this.like, `Like, ${plural(likes, "like")}`, likes);
    say(this.talk, plural(comments, "comment"), comments);
    say(this.keep, "Bookmark", "");
    this.like.setAttribute("aria-pressed", String(Boolean(liked)));
    this.keep.setAttribute("aria-pressed", String(Boolean(bookmarked)));
    this.talk.setAttribute("aria-expanded", String(Boolean(this.comments)));
  }

  #toggle() {
    if (this.comments) this.comments.remove();
    this.comments = this.comments ? null : part("bw-comments", { store: this.store, post: this.post });
    if (this.comments) this.article.append(this.comments);
    this.#draw();
  }

  /** Shown at once and told then, again if it was changed meanwhile; taken back if the server refuses. */
  async #mark(what, path) {
    this.#set(what, !this.post[what]);
    if (this.#marking.has(what)) return;
    this.#marking.add(what);
    this.problem.hidden = true;
    let told;
    try {
      do {
        told = this.post[what];
        const answer = await this.store.bell.call(told ? "PUT" : "DELETE", `/posts/${this.post.id}/${path}`);
        if (this.post[what] === told) Object.assign(this.post, answer);
      } while (this.post[what] !== told);
    } catch (error) {
      if (this.post[what] === told) this.#set(what, !told);
      this.problem.textContent = wordsOf(error);
      this.problem.hidden = false;
    }
    this.#marking.delete(what);
    this.#draw();
  }

  #set(what, value) {
    this.post[what] = value;
    if (what === "liked") this.post.likes_count += value ? 1 : -1;
    this.#draw();
  }

  async #remove() {
    const what = h("p.text", {}, this.post.body.slice(0, 300));
    const run = async () => {
      await this.store.bell.call("DELETE", `/posts/${this.post.id}`);
      this.store.emit("posts", { type: "post.deleted", data: this.post });
    };
    await ask("Delete this post and its comments?", [what], "Delete", run, { dangerous: true });
  }
}

customElements.define("bw-post", Post);
