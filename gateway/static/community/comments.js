/** The comments of a post, oldest first: reading, answering, writing and deleting them. */

import { ask, avatar, fill, h, iconButton, linked } from "../shared/dom.js";
import { View, part } from "../shared/view.js";
import { exactly, nameOf, shortly, wordsOf } from "../shared/format.js";
import "./writer.js";

class Comments extends View {
  show() {
    this.known = new Map(); // id -> COMMENT
    this.list = h("ul", { "aria-label": "Comments" });
    this.more = h("button.link", { type: "button", hidden: true, onclick: () => this.#load() }, "Show more comments");
    this.problem = h("p.problem", { role: "alert", hidden: true });
    this.context = h("div.context", { hidden: true });
    this.writer = part("bw-writer", { label: "Write a comment", action: "Comment", key: `bellwire:comment:${this.store.me.id}:${this.post.id}`, above: this.context, send: (body) => this.#send(body) });
    fill(this, this.list, this.problem, this.more, this.writer);
    this.on(this.store, "posts", (event) => this.#heard(event));
    this.on(this.writer, "keydown", (_, { key }) => key === "Escape" && this.#answer(null));
    this.#load();
  }

  async #load() {
    this.problem.hidden = true;
    try {
      const page = await this.store.bell.call("GET", `/posts/${this.post.id}/comments`, null, { query: { page: this.next } });
      for (const comment of page.items) this.known.set(comment.id, comment);
      this.next = page.next;
      this.more.textContent = "Show more comments";
    } catch (error) {
      this.#say(error);
      this.more.textContent = "Try again";
      this.more.hidden = false;
      return;
    }
    this.more.hidden = !this.next;
    this.#draw();
  }

  /** A comment behind the last page that is loaded comes with its page; one that is made while the first page is on its way is kept. */
  #heard({ type, data }) {
    if (data.post !== this.post.id) return;
    if (type === "comment.created" && !this.next) this.#keep(data);
    else if (type === "comment.deleted") this.#drop(data.id);
  }

  /** A comment that is gone is no longer quoted, either. */
  #drop(id) {
    this.known.delete(id);
    for (const row of this.list.querySelectorAll(`[data-answers="${id}"]`)) row.remove();
    this.#draw();
  }

  #keep(comment) {
    this.known.set(comment.id, comment);
    this.#draw();
  }

  async #send(body) {
    const reply_to = this.answered?.id ?? null;
    this.#keep(await this.store.bell.call("POST", `/posts/${this.post.id}/comments`, { body, reply_to }));
    this.#answer(null);
  }

  /** Rows that are there stay, with their focus. */
  #draw() {
    const rows = new Map([...this.list.children].map((row) => [Number(row.dataset.comment), row]));
    const sorted = [...this.known.values()].sort((a, b) => a.id - b.id);
    for (const [id, row] of rows) if (!this.known.has(id)) row.remove();
    sorted.forEach((comment, n) => {
      if (Number(this.list.children[n]?.dataset.comment) === comment.id) return;
      this.list.insertBefore(rows.get(comment.id) ?? this.#row(comment), this.list.children[n] ?? null);
    });
  }

  #row(comment) {
    const { me } = this.store;
    const mayDelete = [comment.author.id, this.post.author.id].includes(me.id) || me.role === "admin";
    const name = nameOf(comment.author);
    return h(
      "li",
      { "data-comment": String(comment.id), "data-answers": comment.reply_to && String(comment.reply_to), tabindex: "-1" },
      avatar(name, comment.author.id),
      h(
        "div.grow",
        {},
        h("p", {}, h("strong", {}, name), " ", h("time.quiet", { datetime: comment.created_at, title: exactly(comment.created_at) }, shortly(comment.created_at))),
        this.#quote(comment),
        h("p.text", {}, linked(comment.body)),
      ),
      iconButton("reply", `Answer ${name}`, () => this.#answer(comment)),
      mayDelete && iconButton("delete", `Delete ${name}’s comment`, () => this.#remove(comment)),
    );
  }

  #quote(comment) {
    if (!comment.reply_to) return null;
    const original = this.known.get(comment.reply_to);
    const words = original ? [h("strong", {}, nameOf(original.author)), " ", original.body.slice(0, 120)] : "An earlier comment";
    const go = () => this.list.querySelector(`[data-comment="${comment.reply_to}"]`)?.focus();
    return h("button.quote", { type: "button", onclick: go, title: "Go to the comment that this one answers" }, words);
  }

  #answer(comment) {
    this.answered = comment;
    this.context.hidden = !comment;
    if (!comment) return;
    const stop = iconButton("close", "Stop answering", () => (this.#answer(null), this.writer.focus()));
    fill(this.context, h("p", {}, h("strong", {}, "Answering"), ` ${nameOf(comment.author)}: ${comment.body.slice(0, 140)}`), stop);
    this.writer.focus();
  }

  async #remove(comment) {
    const what = h("p.text", {}, comment.body.slice(0, 300));
    const run = async () => {
      await this.store.bell.call("DELETE", `/comments/${comment.id}`);
      this.#drop(comment.id);
      this.writer.focus();
    };
    await ask("Delete this comment?", [what], "Delete", run, { dangerous: true });
  }

  #say(error) {
    this.problem.textContent = wordsOf(error);
    this.problem.hidden = false;
  }
}

customElements.define("bw-comments", Comments);
