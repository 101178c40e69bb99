/** One post: its text, its buttons, and its comments. */

import { openDialog } from "../shared/dialog.js";
import { View, avatar, createView, errorText, fill, h, icon, iconButton, linkify, toastErrors } from "../shared/dom.js";
import { filesElement, picturesOf } from "../shared/files.js";
import { excerpt, nameOf, timeElement } from "../shared/format.js";
import { load } from "../shared/load.js";
import { t } from "../shared/words.js";
import { namesOf } from "../chat/markup.js";
import "./comments.js";

const EXCERPT_CHARACTERS = 300;

/** Properties: `store`, `post` (POST), `groups` (id -> GROUP), `open` (whether the comments are shown at first). */
class Post extends View {
  #saving = new Set(); // "liked" and "bookmarked", while a request for them is under way

  render() {
    const { post } = this;
    this.like = this.#button("heart", () => this.#toggleMark("liked", "like"));
    this.commentsButton = this.#button("comment", () => this.#toggleComments());
    this.bookmark = this.#button("bookmark", () => this.#toggleMark("bookmarked", "bookmark"));
    this.problem = h("p.problem", { role: "alert", hidden: true });
    const canDelete = post.author.id === this.store.me.id || this.store.me.role === "admin";
    const isOther = post.author.id !== this.store.me.id;
    const report = isOther && iconButton("urgent", t("report.post"), () => this.#report());
    const remove = canDelete && iconButton("delete", t("post.delete-this"), () => this.#delete());
    this.files = h("div", { hidden: !post.files.length });
    this.#drawFiles(post.files);
    this.article = h(
      "article.post",
      { "aria-label": t("post.by", { name: nameOf(post.author) }), tabindex: "-1" },
      this.#header(),
      post.body && h("p.text", {}, linkify(post.body)),
      this.files,
      h("div.row", {}, this.like, this.commentsButton, this.bookmark, h("span.grow"), report, remove),
      this.problem,
    );
    fill(this, this.article);
    this.#draw();
    if (this.open) this.#toggleComments();
  }

  focus() {
    this.article.focus();
  }

  #drawFiles(files) {
    const { post, store } = this;
    const sender = nameOf(post.author);
    post.files = files;
    const about = { bell: store.bell, sender, gallery: () => picturesOf(post, sender) };
    const shown = files.length && filesElement(files, about, this.files.firstChild);
    if (shown && !shown.isConnected) fill(this.files, shown);
  }

  /** Update the counts and files from an event. While the user's own like is being saved, its answer has the right count. */
  update({ likes_count, comments_count, files }) {
    this.#drawFiles(files);
    if (!this.#saving.has("liked")) this.post.likes_count = likes_count;
    this.post.comments_count = comments_count;
    this.#draw();
  }

  #header() {
    const { author, group, id, created_at } = this.post;
    return h(
      "header",
      {},
      avatar(nameOf(author), author.id),
      h("h2", {}, nameOf(author)),
      group && this.#place(group),
      h("a.quiet", { href: `#/posts/${id}` }, timeElement(created_at)),
    );
  }

  /** The name of a group, a link, within the words around it. */
  #place(group) {
    const link = h("a", { href: `#/groups/${group}` }, this.groups.get(group)?.name ?? t("group.nameless"));
    const [before, after] = t("post.in-group", { group: "\n" }).split("\n");
    return h("span.quiet", {}, before, link, after);
  }

  #button(iconName, onclick) {
    return h("button.mark", { type: "button", onclick }, icon(iconName), h("span"));
  }

  #draw() {
    const { liked, likes_count: likes, comments_count: comments, bookmarked } = this.post;
    drawButton(this.like, t("post.like", { n: likes }), likes);
    drawButton(this.commentsButton, t("post.comments", { n: comments }), comments);
    drawButton(this.bookmark, t("post.bookmark"), "");
    this.like.setAttribute("aria-pressed", String(Boolean(liked)));
    this.bookmark.setAttribute("aria-pressed", String(Boolean(bookmarked)));
    this.commentsButton.setAttribute("aria-expanded", String(Boolean(this.comments)));
  }

  #toggleComments() {
    if (this.comments) this.comments.remove();
    this.comments = this.comments ? null : createView("bw-comments", { store: this.store, post: this.post });
    if (this.comments) this.article.append(this.comments);
    this.#draw();
  }

  /**
   * Show the new value at once, then save it: again if it was changed meanwhile. If the server refuses, restore the old
   * value.
   */
  async #toggleMark(name, path) {
    this.#setMark(name, !this.post[name]);
    if (this.#saving.has(name)) return;
    this.#saving.add(name);
    this.problem.hidden = true;
    let sent;
    try {
      do {
        sent = this.post[name];
        const answer = await this.store.bell.call(sent ? "PUT" : "DELETE", `/posts/${this.post.id}/${path}`);
        if (this.post[name] === sent) Object.assign(this.post, answer);
      } while (this.post[name] !== sent);
    } catch (error) {
      if (this.post[name] === sent) this.#setMark(name, !sent);
      this.problem.textContent = errorText(error);
      this.problem.hidden = false;
    }
    this.#saving.delete(name);
    this.#draw();
  }

  #setMark(name, value) {
    this.post[name] = value;
    if (name === "liked") this.post.likes_count += value ? 1 : -1;
    this.#draw();
  }

  #report() {
    return toastErrors(async () => (await load("shared/reporting.js")).reportPost(this.store, this.post));
  }

  async #delete() {
    const text = h("p.text", {}, excerpt(this.post.body, EXCERPT_CHARACTERS) || namesOf(this.post.files));
    const run = async () => {
      await this.store.bell.call("DELETE", `/posts/${this.post.id}`);
      this.store.emit("posts", { type: "post.deleted", data: this.post });
    };
    await openDialog(t("post.delete-question"), [text], t("post.delete"), run, { dangerous: true });
  }
}

function drawButton(button, label, count) {
  button.setAttribute("aria-label", label);
  button.title = label;
  button.lastChild.textContent = count || "";
}

customElements.define("bw-post", Post);
