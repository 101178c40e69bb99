/** Groups: all of them, or one with its posts; joining, leaving and making them. */

import { ask, avatar, field, fill, h, iconButton } from "../shared/dom.js";
import { View, part } from "../shared/view.js";
import { plural, wordsOf } from "../shared/format.js";
import "./feed.js";

const A_PAGE = 200;
const IN_BAR = 5;

/** All groups by id, newest first. */
export async function allGroups(store) {
  const found = new Map();
  for (let page; page !== null; ) {
    const answer = await store.bell.call("GET", "/groups", null, { query: { limit: A_PAGE, page } });
    for (const group of answer.items) found.set(group.id, group);
    page = answer.next;
  }
  return found;
}

/** What one can look at: all posts, those bookmarked, those of one's groups. `here` is the address. */
export function bar(groups, here) {
  const joined = [...groups.values()].filter((group) => group.joined).slice(0, IN_BAR);
  const places = [["posts", "All posts"], ["posts/bookmarked", "Bookmarked"], ["groups", "Groups"], ...joined.map((group) => [`groups/${group.id}`, group.name])];
  const links = places.map(([where, text]) => h("a", { href: `#/${where}`, "aria-current": where === here && "page" }, text));
  requestAnimationFrame(() => links.find((link) => link.hasAttribute("aria-current"))?.scrollIntoView({ block: "nearest", inline: "nearest" }));
  return h("nav.places", { "aria-label": "Posts" }, links);
}

class Groups extends View {
  async show() {
    try {
      this.groups = await allGroups(this.store);
    } catch (error) {
      fill(this, h("p.empty.problem", { role: "alert" }, wordsOf(error), h("button", { type: "button", onclick: () => this.show() }, "Try again")));
      return;
    }
    if (this.isConnected) this.#draw();
  }

  #draw() {
    const group = this.groups.get(Number(this.item));
    const content = !this.item ? this.#all() : group ? this.#one(group) : h("p.empty", {}, "There is no such group.");
    fill(this, h("header.bar", {}, bar(this.groups, this.item ? `groups/${this.item}` : "groups")), h("div.column", {}, content));
  }

  #all() {
    const search = h("input", { type: "search", placeholder: "Find a group", "aria-label": "Find a group", oninput: () => this.#list(search.value) });
    this.rows = h("ul.sheet.rows", { "aria-label": "Groups" });
    this.#list("");
    return [h("div.row", {}, h("h1.grow", {}, "Groups"), iconButton("new", "New group", () => this.#make())), search, this.rows];
  }

  #list(words) {
    const q = words.trim().toLowerCase();
    const found = [...this.groups.values()].filter((group) => group.name.toLowerCase().includes(q));
    const none = h("li.quiet", {}, q ? "No group is called so." : "There are no groups yet. Make the first one.");
    fill(this.rows, found.length ? found.map((group) => h("li", {}, this.#about(group, h("a.title", { href: `#/groups/${group.id}` }, group.name)))) : none);
  }

  /** A group's name, how many are in it, and the button to be one of them. */
  #about(group, name) {
    const members = h("small");
    const problem = h("small.problem", { role: "alert" });
    const button = h("button", { type: "button", "data-group": String(group.id) });
    const draw = () => {
      members.textContent = plural(group.members_count, "member") + (group.owner === this.store.me.id && group.joined ? ", yours" : "");
      button.textContent = group.joined ? "Leave" : "Join";
      button.classList.toggle("primary", Boolean(this.item) && !group.joined);
      button.setAttribute("aria-label", `${group.joined ? "Leave" : "Join"} ${group.name}`);
    };
    button.addEventListener("click", async () => {
      problem.textContent = "";
      try {
        Object.assign(group, await this.store.bell.call(group.joined ? "DELETE" : "PUT", `/groups/${group.id}/members/me`));
        if (this.item) this.#draw();
        else this.querySelector(".places").replaceWith(bar(this.groups, "groups"));
        draw();
        this.querySelector(`[data-group="${group.id}"]`).focus();
      } catch (error) {
        problem.textContent = wordsOf(error);
      }
    });
    draw();
    return h("div.about", {}, avatar(group.name, group.id), h("div.grow", {}, name, members, problem), button);
  }

  #one(group) {
    const posts = group.joined ? part("bw-feed", { store: this.store, groups: this.groups, group: group.id }) : h("p.empty", {}, "Its posts are for its members. Join to read them.");
    return [h("div.sheet", {}, this.#about(group, h("h1", {}, group.name))), posts];
  }

  async #make() {
    const name = field("Name", "name", { maxlength: 80, required: true, autocomplete: "off" }, "Anybody can find and join it; its posts are for its members");
    const made = await ask("New group", [name], "Make it", ({ name: given }) => this.store.bell.call("POST", "/groups", { name: given.trim() }));
    if (made) location.hash = `#/groups/${made.id}`;
  }
}

customElements.define("bw-groups", Groups);
