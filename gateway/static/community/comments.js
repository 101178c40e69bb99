/** The comments of a post, oldest first, with a field for a new one. */

import { openDialog } from "../shared/dialog.js";
import { View, avatar, createView, errorText, fill, h, iconButton, linkify } from "../shared/dom.js";
import { excerpt, nameOf, timeElement } from "../shared/format.js";
import { LIMITS } from "../shared/limits.js";
import { commentDraft } from "../shared/storage.js";
import { t } from "../shared/words.js";
import "./writer.js";

const QUOTE_CHARACTERS = 120;
const EXCERPT_CHARACTERS = 140;
const DELETED_CHARACTERS = 300;

/** Properties: `store`, `post` (POST). */
class Comments extends View {
  render() {
    this.comments = new Map(); // id -> COMMENT
    this.list = h("ul", { "aria-label": t("comment.list") });
    const load = { type: "button", hidden: true, onclick: () => this.#load() };
    this.more = h("button.link", load, t("comment.more"));
    this.problem = h("p.problem", { role: "alert", hidden: true });
    this.context = h("div.context", { hidden: true });
    this.writer = createView("bw-writer", {
      label: t("comment.write"),
      action: t("comment.send"),
      max: LIMITS.NewComment.body.max,
      draft: commentDraft(this.store.me.id, this.post.id),
      above: this.context,
      send: (body) => this.#send(body),
    });
    fill(this, this.list, this.problem, this.more, this.writer);
    this.listen(this.store, "posts", (event) => this.#onEvent(event));
    this.listen(this.writer, "keydown", (_, { key }) => key === "Escape" && this.#replyTo(null));
    this.#load();
  }

  async #load() {
    this.problem.hidden = true;
    const options = { query: { page: this.next } };
    try {
      const page = await this.store.bell.call("GET", `/posts/${this.post.id}/comments`, null, options);
      for (const comment of page.items) this.comments.set(comment.id, comment);
      this.next = page.next;
      this.more.textContent = t("comment.more");
    } catch (error) {
      this.problem.textContent = errorText(error);
      this.problem.hidden = false;
      this.more.textContent = t("error.try-again");
      this.more.hidden = false;
      return;
    }
    this.more.hidden = !this.next;
    this.#draw();
  }

  /** Add a new comment only if all earlier ones are loaded; otherwise it comes with its page. */
  #onEvent({ type, data }) {
    if (data.post !== this.post.id) return;
    if (type === "comment.created" && !this.next) this.#add(data);
    else if (type === "comment.deleted") this.#drop(data.id);
  }

  #add(comment) {
    this.comments.set(comment.id, comment);
    this.#draw();
  }

  /** Remove a comment. Rows that quote it are drawn again without its text. */
  #drop(id) {
    this.comments.delete(id);
    for (const row of this.list.querySelectorAll(`[data-reply-to="${id}"]`)) row.remove();
    this.#draw();
  }

  async #send(body) {
    const reply_to = this.original?.id ?? null;
    this.#add(await this.store.bell.call("POST", `/posts/${this.post.id}/comments`, { body, reply_to }));
    this.#replyTo(null);
  }

  /** Add and remove rows. Rows that have not changed stay in the document, with their focus. */
  #draw() {
    const rows = new Map([...this.list.children].map((row) => [Number(row.dataset.comment), row]));
    const sorted = [...this.comments.values()].sort((a, b) => a.id - b.id);
    for (const [id, row] of rows) if (!this.comments.has(id)) row.remove();
    sorted.forEach((comment, n) => {
      const current = this.list.children[n] ?? null;
      if (Number(current?.dataset.comment) === comment.id) return;
      this.list.insertBefore(rows.get(comment.id) ?? this.#row(comment), current);
    });
  }

  #row(comment) {
    const { me } = this.store;
    const canDelete = [comment.author.id, this.post.author.id].includes(me.id) || me.role === "admin";
    const name = nameOf(comment.author);
    const props = {
      "data-comment": String(comment.id),
      "data-reply-to": comment.reply_to && String(comment.reply_to),
      tabindex: "-1",
    };
    return h(
      "li",
      props,
      avatar(name, comment.author.id),
      h(
        "div.grow",
        {},
        h("p", {}, h("strong", {}, name), " ", timeElement(comment.created_at, "time.quiet")),
        this.#quote(comment),
        h("p.text", {}, linkify(comment.body)),
      ),
      iconButton("reply", t("comment.reply-to", { name }), () => this.#replyTo(comment)),
      canDelete && iconButton("delete", t("comment.delete-of", { name }), () => this.#delete(comment)),
    );
  }

  #quote(comment) {
    if (!comment.reply_to) return null;
    const original = this.comments.get(comment.reply_to);
    const text = original && [h("strong", {}, nameOf(original.author)), " ", excerpt(original.body, QUOTE_CHARACTERS)];
    const onclick = () => this.list.querySelector(`[data-comment="${comment.reply_to}"]`)?.focus();
    const props = { type: "button", onclick, title: t("comment.to-original") };
    return h("button.quote", props, text ?? t("comment.earlier"));
  }

  /** Start replying to a comment; null stops replying. */
  #replyTo(comment) {
    this.original = comment;
    this.context.hidden = !comment;
    if (!comment) return;
    const stop = iconButton("close", t("comment.stop-replying"), () => {
      this.#replyTo(null);
      this.writer.focus();
    });
    const text = ` ${nameOf(comment.author)}: ${excerpt(comment.body, EXCERPT_CHARACTERS)}`;
    fill(this.context, h("p", {}, h("strong", {}, t("comment.replying-to")), text), stop);
    this.writer.focus();
  }

  async #delete(comment) {
    const text = h("p.text", {}, excerpt(comment.body, DELETED_CHARACTERS));
    const run = async () => {
      await this.store.bell.call("DELETE", `/comments/${comment.id}`);
      this.#drop(comment.id);
      this.writer.focus();
    };
    await openDialog(t("comment.delete-question"), [text], t("comment.delete"), run, { dangerous: true });
  }
}

customElements.define("bw-comments", Comments);
