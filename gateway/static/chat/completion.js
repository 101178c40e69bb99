/**
 * The list of members that opens below `@` in a text field. It follows the pattern of a combobox (WAI-ARIA Authoring Practices):
 * the focus stays in the field, arrows move through the list, Enter and Tab choose, Escape closes it. Keys of an input
 * method do not reach it (shared/input-method.js).
 */

import { avatar, fill, h } from "../shared/dom.js";
import { handleOf, nameOf } from "../shared/format.js";
import { folded, marked } from "../shared/matching.js";
import { isolated, t } from "../shared/words.js";

const BEGUN = /(?<![\w@/\u00c0-\u024f\u0300-\u036f])@([\p{L}\p{M}\p{N}._-]{0,32})$/u; // a mention that ends at the caret
const SEARCH_AFTER_MS = 120;
const MAX_SHOWN = 8;
let lists = 0; // each has ids of its own

export class Completion {
  /** Complete mentions in a field. `place` is the element that shows the list; `conversationOf()` returns the CONVERSATION. */
  constructor(store, field, place, conversationOf) {
    Object.assign(this, { store, field, conversationOf });
    this.known = new Map(); // id -> USER, members whom the server has found
    this.q = null; // what follows the `@`; null while the list is closed
    this.dismissed = -1; // the place of an `@` for which the list was closed
    const id = `mentions-${(lists += 1)}`;
    this.list = h("ul.mentions", {
      ...{ id, role: "listbox", "aria-label": t("mention.list"), hidden: true },
      onmousedown: (event) => event.preventDefault(), // the field keeps the focus
    });
    this.status = h("p.hidden", { role: "status" });
    place.append(this.list, this.status);
    const attributes = { "aria-autocomplete": "list", "aria-controls": id, "aria-haspopup": "listbox" };
    for (const [name, value] of Object.entries(attributes)) field.setAttribute(name, value);
    // Also while an input method is composing: keyboards on screens do so all the time.
    for (const name of ["input", "click", "keyup"]) field.addEventListener(name, () => this.update());
    field.addEventListener("blur", () => this.#close());
    field.addEventListener("keydown", (event) => this.#onKey(event), true); // before the field's own
    this.update();
  }

  /** Show the members who match what stands before the caret, or close the list. */
  update() {
    const { selectionStart, selectionEnd, value } = this.field;
    const found = selectionStart === selectionEnd && BEGUN.exec(value.slice(0, selectionStart));
    if (!found || found.index === this.dismissed) return this.#close(found ? this.dismissed : -1);
    this.start = found.index;
    if (found[1] === this.q) return;
    this.q = found[1];
    this.#draw();
    clearTimeout(this.timer);
    if (this.conversationOf()?.members_count) this.timer = setTimeout(() => this.#search(this.q), SEARCH_AFTER_MS);
  }

  /** Of a large conversation only the server knows all members. An answer to an earlier text is only remembered. */
  async #search(q) {
    const { id } = this.conversationOf();
    const query = { q, limit: MAX_SHOWN };
    const { items } = await this.store.bell.call("GET", `/conversations/${id}/members`, null, { query }).catch(() => ({ items: [] }));
    for (const { user } of items) this.known.set(user.id, user);
    if (q === this.q && this.field.isConnected) this.#draw();
  }

  #draw() {
    const { members, kind, members_count } = this.conversationOf() ?? { members: [] };
    const { me } = this.store;
    const users = new Map([...members.map(({ user }) => [user.id, user]), ...this.known]);
    const people = [...users.values()].filter(({ id, status }) => id !== me.id && status === "active"); // only they are mentioned
    const found = people.map((user) => ({ user, rank: rankOf(user, this.q) })).filter(({ rank }) => rank < Infinity);
    found.sort((a, b) => a.rank - b.rank || Boolean(a.user.bot) - Boolean(b.user.bot) || nameOf(a.user).localeCompare(nameOf(b.user)));
    const options = found.slice(0, MAX_SHOWN).map(({ user }) => this.#option(user.username, avatar(nameOf(user), user.id), nameOf(user), handleOf(user)));
    const isOwner = members.find(({ user }) => user.id === me.id)?.role === "owner";
    if (kind === "group" && isOwner && "all".startsWith(this.q.toLowerCase())) {
      const everybody = t("mention.all", { n: members_count ?? members.length });
      options.push(this.#option("all", avatar("@", 0), everybody, isolated("@all")));
    }
    fill(this.list, options);
    options.forEach((option, n) => (option.id = `${this.list.id}-${n}`));
    this.list.hidden = !options.length;
    this.#select(this.q ? options[0] : null); // after a mere `@` Enter sends
    this.status.textContent = options.length ? t("mention.found", { n: options.length }) : "";
  }

  #option(name, picture, title, handle) {
    const props = {
      ...{ role: "option", "aria-selected": "false" },
      onclick: () => this.#choose(name),
      onpointermove: (event) => this.#select(event.currentTarget),
    };
    return h("li.hit", props, picture, h("span.title", { dir: "auto" }, marked(title, this.q)), h("small", {}, handle));
  }

  get #selected() {
    return this.list.querySelector("[aria-selected='true']");
  }

  #select(option) {
    this.#selected?.setAttribute("aria-selected", "false");
    if (option) {
      option.setAttribute("aria-selected", "true");
      option.scrollIntoView({ block: "nearest" });
      this.field.setAttribute("aria-activedescendant", option.id);
    } else this.field.removeAttribute("aria-activedescendant");
  }

  #onKey(event) {
    const options = [...this.list.children];
    if (this.list.hidden || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const at = options.indexOf(this.#selected);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const isChoosing = at >= 0 && (event.key === "Enter" || event.key === "Tab");
    if (step) this.#select(options.at((at + step + (at < 0 && step < 0 ? 1 : 0)) % options.length));
    else if (isChoosing) options[at].click();
    else if (event.key === "Escape") this.#close(this.start);
    if (!step && !isChoosing && event.key !== "Escape") return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  #choose(name) {
    const { selectionStart: caret, value } = this.field;
    const space = /^\s/.test(value.slice(caret)) ? "" : " ";
    this.field.setRangeText(`@${name}${space}`, this.start, caret, "end");
    if (!space) this.field.setSelectionRange(this.field.selectionEnd + 1, this.field.selectionEnd + 1);
    this.#close();
    this.field.dispatchEvent(new Event("input", { bubbles: true }));
    this.field.focus();
  }

  #close(dismissed = -1) {
    clearTimeout(this.timer);
    this.dismissed = dismissed;
    this.q = null;
    if (this.list.hidden) return;
    fill(this.list);
    this.list.hidden = true;
    this.status.textContent = "";
    this.#select(null);
  }
}

/** How well a person matches what follows the `@`: 0 by their username, 1 by a word of their name, else Infinity. */
function rankOf({ username, display_name }, q) {
  const text = folded(q);
  if (folded(username).startsWith(text)) return 0;
  return folded(display_name).split(/[\s\u2068\u2069-]+/).some((word) => word.startsWith(text)) ? 1 : Infinity;
}
