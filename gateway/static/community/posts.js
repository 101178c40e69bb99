/** The posts section: a feed, or one post by its address, which e-mails and notifications link to. */

import { View, createView, fill, h, icon, loadError } from "../shared/dom.js";
import { t } from "../shared/words.js";
import { loadGroups, tabBar } from "./groups.js";

const BOOKMARKED = "bookmarked";

/** Properties: `store`, `item` (from the address: the id of a post, "bookmarked", or nothing). */
class Posts extends View {
  async render() {
    const { store, item } = this;
    const isPost = item && item !== BOOKMARKED;
    try {
      const loadPost = isPost && store.bell.call("GET", `/posts/${Number(item)}`);
      const [groups, post] = await Promise.all([loadGroups(store), loadPost]);
      if (!this.isConnected) return;
      const address = isPost ? "" : ["posts", item].filter(Boolean).join("/");
      const header = h("header.bar", {}, h("h1.hidden", {}, t("section.posts")), tabBar(groups, address));
      const feed = () => createView("bw-feed", { store, groups, bookmarked: item === BOOKMARKED });
      fill(this, header, h("div.column", {}, isPost ? this.#post(post, groups) : feed()));
    } catch (error) {
      if (error.status === 404) this.#showMissing(t("post.unknown"));
      else
        fill(
          this,
          loadError(error, () => this.render()),
        );
    }
  }

  #post(post, groups) {
    this.listen(this.store, "posts", ({ type, data }) => {
      if (data.id !== post.id) return;
      if (type === "post.updated") this.querySelector("bw-post").update(data);
      else if (type === "post.deleted") this.#showMissing(t("post.deleted"));
    });
    const view = createView("bw-post", { store: this.store, post, groups, open: true });
    return [this.#backLink(), h("div.posts", {}, view)];
  }

  #backLink() {
    return h("a.to-feed", { href: "#/posts" }, icon("back"), t("feed.all"));
  }

  #showMissing(text) {
    fill(this, h("div.empty", {}, h("p", { role: "status" }, text), this.#backLink()));
  }
}

customElements.define("bw-posts", Posts);
