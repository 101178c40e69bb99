/** Dialogs about the people of a conversation: starting one, and changing the members of a group. */

import { avatar, field, h, iconButton, openDialog, toastErrors } from "../shared/dom.js";
import { nameOf, titleOf } from "../shared/format.js";
import { PeoplePicker } from "../shared/people-picker.js";
import { t } from "../shared/words.js";

/** Go to the direct conversation with a user; it is created if there is none. */
export async function openDirectConversation(store, user) {
  const options = { retry: true }; // the same members get the same conversation
  openConversation(store, await store.bell.call("POST", "/conversations", { members: [user] }, options));
}

/** Open a dialog for a new conversation: direct with one person; a group with several people or a title. */
export async function startConversation(store) {
  const picker = new PeoplePicker(store, []);
  const placeholder = t("conversation.title-hint");
  const titleField = field(t("conversation.title"), "title", { maxlength: 200, placeholder });
  const create = ({ title }) => {
    if (!picker.chosen.size) throw new Error(t("people.choose-first"));
    const body = { members: [...picker.chosen.keys()], ...(title.trim() && { title: title.trim() }) };
    return store.bell.call("POST", "/conversations", body);
  };
  const fields = [picker.element, titleField];
  const conversation = await openDialog(t("conversation.new"), fields, t("conversation.start"), create);
  if (conversation) openConversation(store, conversation);
}

function openConversation(store, conversation) {
  store.putConversation(conversation);
  location.hash = `#/conversations/${conversation.id}`;
}

/** Open a dialog with a group's members and title. Owners can change them; all members can leave. */
export async function openMembersDialog(store, conversation) {
  const { members, title: oldTitle } = conversation;
  const path = `/conversations/${conversation.id}`;
  const isOwner = members.find(({ user }) => user.id === store.me.id)?.role === "owner";
  const picker = new PeoplePicker(
    store,
    members.map(({ user }) => user.id),
  );
  const leave = async () => {
    await store.bell.call("DELETE", `${path}/members/${store.me.id}`);
    document.querySelector("dialog[open]")?.close();
    location.hash = "#/conversations";
  };
  const leaveButton = { type: "button", onclick: () => toastErrors(leave) };
  const fields = [
    isOwner && field(t("conversation.title"), "title", { value: oldTitle ?? "", maxlength: 200 }),
    h(
      "ul.people",
      { "aria-label": t("members.list") },
      members.map((member) => memberRow(store, path, member, isOwner)),
    ),
    isOwner && picker.element,
    h("button.link.dangerous", leaveButton, t("members.leave")),
  ];
  const save = async ({ title }) => {
    if (!isOwner) return;
    const newTitle = title.trim();
    if (newTitle && newTitle !== oldTitle) await store.bell.call("PATCH", path, { title: newTitle });
    for (const id of picker.chosen.keys()) await store.bell.call("PUT", `${path}/members/${id}`);
  };
  const action = t(isOwner ? "members.save" : "members.close");
  await openDialog(titleOf(conversation, store.me), fields, action, save);
}

function memberRow(store, path, { user, role }, isOwner) {
  const remove = async () => {
    await store.bell.call("DELETE", `${path}/members/${user.id}`);
    row.remove();
  };
  const canRemove = isOwner && user.id !== store.me.id;
  const row = h(
    "li",
    {},
    avatar(nameOf(user), user.id, Boolean(store.online.get(user.id))),
    h("span.title", {}, nameOf(user)),
    h("small", {}, role === "owner" ? t("members.owner") : `@${user.username}`),
    canRemove && iconButton("close", t("members.remove", { name: nameOf(user) }), () => toastErrors(remove)),
  );
  return row;
}
