/** Posts: the feed, and one post by its address, which mails and notifications lead to. */

import { fill, h, icon } from "../shared/dom.js";
import { allGroups, bar } from "./groups.js";
import { View, part } from "../shared/view.js";
import { wordsOf } from "../shared/format.js";

const BOOKMARKED = "bookmarked";

class Posts extends View {
  async show() {
    const { store, item } = this;
    const one = item && item !== BOOKMARKED;
    try {
      const [groups, post] = await Promise.all([allGroups(store), one && store.bell.call("GET", `/posts/${Number(item)}`)]);
      if (!this.isConnected) return;
      const content = one ? this.#one(post, groups) : part("bw-feed", { store, groups, bookmarked: item === BOOKMARKED });
      fill(this, h("header.bar", {}, h("h1.hidden", {}, "Posts"), bar(groups, one ? "" : ["posts", item].filter(Boolean).join("/"))), h("div.column", {}, content));
    } catch (error) {
      this.#refused(error);
    }
  }

  #one(post, groups) {
    this.on(this.store, "posts", ({ type, data }) => {
      if (data.id !== post.id) return;
      if (type === "post.updated") this.querySelector("bw-post").change(data);
      else if (type === "post.deleted") this.#gone("This post was deleted.");
    });
    return [this.#back(), h("div.posts", {}, part("bw-post", { store: this.store, post, groups, open: true }))];
  }

  #back() {
    return h("a.to-feed", { href: "#/posts" }, icon("back"), "All posts");
  }

  #gone(words) {
    fill(this, h("div.empty", {}, h("p", { role: "status" }, words), this.#back()));
  }

  #refused(error) {
    if (error.status === 404) this.#gone("There is no such post, or it is for members of a group.");
    else fill(this, h("div.empty", {}, h("p.problem", { role: "alert" }, wordsOf(error)), h("button", { type: "button", onclick: () => this.show() }, "Try again")));
  }
}

customElements.define("bw-posts", Posts);
