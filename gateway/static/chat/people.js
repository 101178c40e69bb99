/** Dialogs about the people of a conversation: starting one, and changing the members of a group. */

import { avatar, field, h, iconButton, openDialog, toastErrors } from "../shared/dom.js";
import { nameOf, titleOf } from "../shared/format.js";
import { PeoplePicker } from "../shared/people-picker.js";

/** Go to the direct conversation with a user; it is created if there is none. */
export async function openDirectConversation(store, user) {
  const options = { retry: true }; // the same members get the same conversation
  openConversation(store, await store.bell.call("POST", "/conversations", { members: [user] }, options));
}

/** Open a dialog for a new conversation: direct with one person; a group with several people or a title. */
export async function startConversation(store) {
  const picker = new PeoplePicker(store, []);
  const titleField = field("Title", "title", { maxlength: 200, placeholder: "For a group" });
  const create = ({ title }) => {
    if (!picker.chosen.size) throw new Error("Choose somebody first.");
    const body = { members: [...picker.chosen.keys()], ...(title.trim() && { title: title.trim() }) };
    return store.bell.call("POST", "/conversations", body);
  };
  const conversation = await openDialog("New conversation", [picker.element, titleField], "Start", create);
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
    isOwner && field("Title", "title", { value: oldTitle ?? "", maxlength: 200 }),
    h(
      "ul.people",
      { "aria-label": "Members" },
      members.map((member) => memberRow(store, path, member, isOwner)),
    ),
    isOwner && picker.element,
    h("button.link.dangerous", leaveButton, "Leave this conversation"),
  ];
  const save = async ({ title }) => {
    if (!isOwner) return;
    const newTitle = title.trim();
    if (newTitle && newTitle !== oldTitle) await store.bell.call("PATCH", path, { title: newTitle });
    for (const id of picker.chosen.keys()) await store.bell.call("PUT", `${path}/members/${id}`);
  };
  await openDialog(titleOf(conversation, store.me), fields, isOwner ? "Save" : "Close", save);
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
    h("small", {}, role === "owner" ? "owner" : `@${user.username}`),
    canRemove && iconButton("close", `Remove ${nameOf(user)}`, () => toastErrors(remove)),
  );
  return row;
}
