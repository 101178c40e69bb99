/** Groups: the list of all groups, or one group with its posts; joining, leaving and creating groups. */

import { field, openDialog } from "../shared/dialog.js";
import { View, avatar, createView, errorText, fill, h, iconButton, loadError } from "../shared/dom.js";
import { t } from "../shared/words.js";
import "./feed.js";

const PAGE_SIZE = 200;
const MAX_TABS = 5; // groups in the tab bar

/** Load all groups: a Map of id -> GROUP, newest first. */
export async function loadGroups(store) {
  const groups = new Map();
  for (let page; page !== null;) {
    const answer = await store.bell.call("GET", "/groups", null, { query: { limit: PAGE_SIZE, page } });
    for (const group of answer.items) groups.set(group.id, group);
    page = answer.next;
  }
  return groups;
}

/**
 * Create the tab bar of posts: all, bookmarked, groups, and the groups that the user has joined. `current` is an
 * address.
 */
export function tabBar(groups, current) {
  const joined = [...groups.values()].filter((group) => group.joined).slice(0, MAX_TABS);
  const tabs = [
    ["posts", t("feed.all")],
    ["posts/bookmarked", t("feed.bookmarked")],
    ["groups", t("group.list")],
    ...joined.map((group) => [`groups/${group.id}`, group.name]),
  ];
  const links = tabs.map(([address, text]) => {
    return h("a", { href: `#/${address}`, "aria-current": address === current && "page" }, text);
  });
  const currentLink = links.find((link) => link.hasAttribute("aria-current"));
  requestAnimationFrame(() => currentLink?.scrollIntoView({ block: "nearest", inline: "nearest" }));
  return h("nav.places", { "aria-label": t("section.posts") }, links);
}

/** Properties: `store`, `item` (the id of a group from the address, if any). */
class Groups extends View {
  async render() {
    try {
      this.groups = await loadGroups(this.store);
    } catch (error) {
      fill(
        this,
        loadError(error, () => this.render()),
      );
      return;
    }
    if (this.isConnected) this.#draw();
  }

  #draw() {
    const tabs = tabBar(this.groups, this.item ? `groups/${this.item}` : "groups");
    fill(this, h("header.bar", {}, tabs), h("div.column", {}, this.item ? this.#group() : this.#list()));
  }

  #list() {
    const search = h("input", {
      type: "search",
      placeholder: t("group.find"),
      "aria-label": t("group.find"),
      oninput: () => this.#filter(search.value),
    });
    this.rows = h("ul.sheet.rows", { "aria-label": t("group.list") });
    this.#filter("");
    const create = iconButton("new", t("group.new"), () => this.#create());
    return [h("div.row", {}, h("h1.grow", {}, t("group.list")), create), search, this.rows];
  }

  #filter(text) {
    const q = text.trim().toLowerCase();
    const groups = [...this.groups.values()].filter((group) => group.name.toLowerCase().includes(q));
    const none = t(q ? "group.none-found" : "group.none");
    const row = (group) => {
      const title = h("a.title", { href: `#/groups/${group.id}` }, group.name);
      return h("li", {}, this.#summary(group, title));
    };
    fill(this.rows, groups.length ? groups.map(row) : h("li.quiet", {}, none));
  }

  /** A group's title, its number of members, and the button to join or leave it. */
  #summary(group, title) {
    const members = h("small");
    const problem = h("small.problem", { role: "alert" });
    const button = h("button", { type: "button", "data-group": String(group.id) });
    const draw = () => {
      const isOwn = group.owner === this.store.me.id && group.joined;
      const action = group.joined ? "leave" : "join";
      members.textContent = t(isOwn ? "group.members-own" : "group.members", { n: group.members_count });
      button.textContent = t(`group.${action}`);
      button.classList.toggle("primary", Boolean(this.item) && !group.joined);
      button.setAttribute("aria-label", t(`group.${action}-one`, { name: group.name }));
    };
    button.addEventListener("click", async () => {
      problem.textContent = "";
      try {
        await this.#toggleMembership(group);
        draw();
        this.querySelector(`[data-group="${group.id}"]`).focus();
      } catch (error) {
        problem.textContent = errorText(error);
      }
    });
    draw();
    return h(
      "div.about",
      {},
      avatar(group.name, group.id),
      h("div.grow", {}, title, members, problem),
      button,
    );
  }

  async #toggleMembership(group) {
    const change = (method) => this.store.bell.call(method, `/groups/${group.id}/members/me`);
    const changed = group.joined ? await this.#leave(group, change) : await change("PUT");
    if (!changed) return;
    Object.assign(group, changed);
    if (this.item) this.#draw();
    else this.querySelector(".places").replaceWith(tabBar(this.groups, "groups"));
  }

  /** Ask, and leave. Resolves to the answer, or to undefined. */
  #leave({ name }, change) {
    const about = h("p", {}, t("group.leave-about"));
    const leave = () => change("DELETE");
    return openDialog(t("group.leave-question", { name }), [about], t("group.leave"), leave, { dangerous: true });
  }

  #group() {
    const group = this.groups.get(Number(this.item));
    if (!group) return h("p.empty", {}, t("group.unknown"));
    const summary = h("div.sheet", {}, this.#summary(group, h("h1", {}, group.name)));
    if (!group.joined) return [summary, h("p.empty", {}, t("group.members-only"))];
    return [summary, createView("bw-feed", { store: this.store, groups: this.groups, group: group.id })];
  }

  async #create() {
    const props = { required: true, autocomplete: "off", dir: "auto" };
    const nameField = field(t("group.name"), "name", props, t("group.new-hint"));
    const create = ({ name }) => this.store.bell.call("POST", "/groups", { name: name.trim() });
    const group = await openDialog(t("group.new"), [nameField], t("group.create"), create);
    if (group) location.hash = `#/groups/${group.id}`;
  }
}

customElements.define("bw-groups", Groups);
