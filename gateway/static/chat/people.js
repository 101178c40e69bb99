/**
 * Dialogs about people: one person, starting a conversation, the members of a group, and who did not get a message.
 */

import { canBegin } from "../shared/contacts.js";
import { field, openDialog } from "../shared/dialog.js";
import { avatar, closeDialogs, fill, h, iconButton, toastErrors } from "../shared/dom.js";
import { handleOf, nameOf, receiverOf, titleOf } from "../shared/format.js";
import { goTo } from "../shared/load.js";
import { PeoplePicker } from "../shared/people-picker.js";
import { t } from "../shared/words.js";
import { blockButton } from "./blocks.js";

const SEARCH_AFTER_MS = 150;

/** Go to the chat with a person. One that does not exist yet is created by its first message only. */
export function openDirectConversation(_store, id) {
  goTo(addressOfPerson(id));
}

const addressOfPerson = (id) => `#/people/${id}`;

/** Open a dialog with a person's card. `canWrite`: whether it leads to the chat with them. */
export async function openPersonCard(store, user, { canWrite = user.id !== store.me.id } = {}) {
  const isOwn = user.id === store.me.id;
  if (canWrite && !store.chatWith(user.id)) canWrite = await canBegin(store);
  const online = isOwn || Boolean(store.online.get(user.id));
  const about = [handleOf(user), user.bot && t("person.bot"), t(online ? "presence.online" : "presence.offline")];
  const card = h(
    "div.row",
    {},
    avatar(nameOf(user), user.id, online),
    h("p.quiet", {}, about.filter(Boolean).join(" · ")),
  );
  const action = t(canWrite ? "person.write" : "members.close");
  const props = { isNotice: !canWrite, isAnswer: true };
  const fields = [card, !isOwn && h("p", {}, blockButton(store, user))];
  const isChosen = await openDialog(nameOf(user), fields, action, () => canWrite, props);
  if (!isChosen) return;
  closeDialogs();
  openDirectConversation(store, user.id);
}

/** Open a dialog for a new conversation: with one person; a group with several people or a title. */
export async function startConversation(store) {
  if (!(await canBegin(store))) {
    const about = h("p", {}, t("conversation.by-admins"));
    return openDialog(t("conversation.new"), [about], t("dialog.close"), () => true, { isNotice: true });
  }
  const picker = new PeoplePicker(store, []);
  const titleField = field(t("conversation.title"), "title", { placeholder: t("conversation.title-hint"), dir: "auto" });
  const create = async (values) => {
    const [members, title] = [[...picker.chosen.keys()], values.title.trim()];
    if (!members.length) throw new Error(t("people.choose-first"));
    if (members.length === 1 && !title) return addressOfPerson(members[0]);
    const conversation = await store.bell.call("POST", "/conversations", { members, ...(title && { title }) });
    if (!store.conversations.has(conversation.id)) store.putConversation(conversation); // else an event was faster
    return `#/conversations/${conversation.id}`;
  };
  const fields = [picker.element, titleField];
  const address = await openDialog(t("conversation.new"), fields, t("conversation.start"), create);
  if (address) goTo(address);
}

/** Open a dialog with a group's members and title. Owners can change them; all members can leave. */
export async function openMembersDialog(store, conversation) {
  const { members, title: oldTitle } = conversation;
  const path = `/conversations/${conversation.id}`;
  const isOwner = members.find(({ user }) => user.id === store.me.id)?.role === "owner";
  const list = new MemberList(store, conversation, { isOwner, choose: (user) => openPersonCard(store, user) });
  const canAdd = isOwner && (await canBegin(store));
  const picker = new PeoplePicker(store, [], (users) => list.membersAmong(users));
  const leave = () => toastErrors(() => leaveConversation(store, path));
  const fields = [
    isOwner && field(t("conversation.title"), "title", { value: oldTitle ?? "", dir: "auto" }),
    list.element,
    canAdd && picker.element,
    h("button.link.dangerous", { type: "button", onclick: leave }, t("members.leave")),
  ];
  const save = async ({ title }) => {
    if (!isOwner) return;
    const newTitle = title.trim();
    if (newTitle && newTitle !== oldTitle) await store.bell.call("PATCH", path, { title: newTitle });
    for (const id of picker.chosen.keys()) await store.bell.call("PUT", `${path}/members/${id}`);
  };
  const action = t(isOwner ? "members.save" : "members.close");
  await openDialog(titleOf(conversation, store.me), fields, action, save, { isNotice: !isOwner });
}

/** For admins: go to the reasons why a person was not notified of a message. In a group, the person is chosen first. */
export async function askWhyNot(store, { id, sender, conversation }) {
  const details = store.conversations.get(conversation);
  const explain = (user) => {
    closeDialogs();
    goTo(`#/admin/explain/${id}/${user.id}`);
  };
  const receiver = receiverOf(details, store.me, sender);
  if (receiver) return explain(receiver);
  const list = new MemberList(store, details, { choose: explain, without: sender });
  return openDialog(t("message.why-not-group"), [list.element], t("dialog.close"), () => true, { isNotice: true });
}

async function leaveConversation(store, path) {
  const about = h("p", {}, t("members.leave-about"));
  const run = async () => {
    await store.bell.call("DELETE", `${path}/members/${store.me.id}`);
    return true;
  };
  const hasLeft = await openDialog(t("members.leave-question"), [about], t("members.leave-now"), run, { dangerous: true });
  if (!hasLeft) return;
  closeDialogs();
  goTo("#/conversations");
}

/**
 * The members of a group, with a search if there are more than CONVERSATION lists. `choose` gets the USER whose row is
 * pressed; owners can remove the others. The user with the id `without` is left out.
 */
class MemberList {
  constructor(store, conversation, { isOwner = false, choose, without = null }) {
    Object.assign(this, { store, conversation, isOwner, choose, without });
    this.path = `/conversations/${conversation.id}/members`;
    this.list = h("ul.people", { "aria-label": t("members.list") });
    this.search = h("input", {
      type: "search",
      "aria-label": t("members.find"),
      placeholder: t("members.find"),
      autocomplete: "off",
      hidden: !this.isLarge,
      oninput: () => this.#onInput(),
      onkeydown: (event) => event.key === "Enter" && event.preventDefault(),
    });
    const more = { type: "button", hidden: true, onclick: () => toastErrors(() => this.#load(this.next)) };
    this.more = h("button.link", more, t("members.more"));
    this.element = h("div.picker", {}, this.search, this.list, this.more);
    if (this.isLarge) toastErrors(() => this.#load());
    else fill(this.list, this.#rows(conversation.members));
  }

  get isLarge() {
    const { members, members_count } = this.conversation;
    return (members_count ?? members.length) > members.length;
  }

  #onInput() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => toastErrors(() => this.#load()), SEARCH_AFTER_MS);
  }

  /** Load the members who are found: the first page, or the page `page` of more. */
  async #load(page = null) {
    const q = this.search.value.trim();
    const { items, next } = await this.store.bell.call("GET", this.path, null, { query: { q, page } });
    if (q !== this.search.value.trim()) return;
    const rows = this.#rows(items);
    if (page) this.list.append(...rows);
    else fill(this.list, rows.length ? rows : h("li.quiet", {}, t("people.none-found")));
    this.next = next;
    this.more.hidden = !next;
  }

  /** Return the ids of those of these USERs who are members. */
  async membersAmong(users) {
    if (!this.isLarge) return this.conversation.members.map(({ user }) => user.id);
    const query = { ids: users.map(({ id }) => id).join(","), limit: users.length };
    const { items } = users.length ? await this.store.bell.call("GET", this.path, null, { query }) : { items: [] };
    return items.map(({ user }) => user.id);
  }

  #rows(members) {
    return members.filter(({ user }) => user.id !== this.without).map((member) => this.#row(member));
  }

  #row({ user, role }) {
    const { store } = this;
    const name = nameOf(user);
    const open = { type: "button", onclick: () => this.choose(user) };
    const isOnline = user.id === store.me.id || Boolean(store.online.get(user.id));
    const person = h(
      "button.hit",
      open,
      avatar(name, user.id, isOnline),
      h("span.title", { dir: "auto" }, name),
      h("small", {}, role === "owner" ? t("members.owner") : handleOf(user)),
    );
    const canRemove = this.isOwner && user.id !== store.me.id;
    const remove = () => toastErrors(() => this.#remove(user, row));
    const row = h("li", {}, person, canRemove && iconButton("close", t("members.remove", { name }), remove));
    return row;
  }

  async #remove(user, row) {
    const name = nameOf(user);
    const run = async () => {
      await this.store.bell.call("DELETE", `${this.path}/${user.id}`);
      row.remove();
    };
    const about = h("p", {}, t("members.remove-about", { name }));
    await openDialog(t("members.remove-question", { name }), [about], t("members.remove-now"), run, { dangerous: true });
  }
}
