/**
 * All that the page keeps in the browser. No other file uses localStorage or sessionStorage.
 *
 *     bellwire:user                        id of the user who is signed in
 *     bellwire:theme                       "light" or "dark"; no entry follows the system
 *     bellwire:language                    "en", "de" …; no entry follows the browser
 *     bellwire:signup                      JSON {attempt, email, username, display_name?, invitation?, at}: a sign-up
 *     bellwire:draft:USER:CONVERSATION     text of a message that is not sent yet
 *     bellwire:reply:USER:CONVERSATION     id of the message that the draft replies to
 *     bellwire:files:USER                  JSON {place: [{key, name, type, bytes}]} of drafts; a database has this name, too
 *     bellwire:emoji:USER                  JSON [emoji] that were chosen last
 *     bellwire:draft:USER:announcement     JSON {field name: value} of an announcement that is not sent yet
 *     bellwire:post:USER:GROUP             text of a post; GROUP is empty for a post to everybody
 *     bellwire:comment:USER:POST           text of a comment
 *     bellwire:out:USER:CLIENT_ID          JSON {client_id, conversation, body, at, priority?, reply_to?, files?}: unsent
 *     bellwire:alerts:USER                 "on" if this device notifies the user
 *     bellwire:push                        JSON {endpoint, at}: what the server was told in this session, and when
 *     bellwire:docs-token                  token for the API documentation (sessionStorage: until the tab is closed)
 *
 * Storage may be forbidden (private windows), full, or damaged. A value that cannot be read counts as absent, and a
 * value that cannot be written lives as long as the page.
 */

const unwritten = new Map(); // key -> text
let onUnwritten = () => {};

/** Call `run` once, when a value could not be written for the first time. */
export function whenNotStored(run) {
  onUnwritten = run;
  if (unwritten.size) storageFailed();
}

function storageFailed() {
  onUnwritten();
  onUnwritten = () => {};
}

export const signedInUser = textEntry("bellwire:user");
/** Call `run(id)` when a user signs in in another tab. */
export const whenSignedInElsewhere = (run) =>
  window.addEventListener("storage", ({ key, newValue }) => key === "bellwire:user" && newValue && run(newValue));

export const theme = textEntry("bellwire:theme");
export const chosenLanguage = textEntry("bellwire:language");
export const deviceAlerts = (user) => textEntry(`bellwire:alerts:${user}`);
export const pushReport = jsonEntry("bellwire:push");
export const signupAttempt = jsonEntry("bellwire:signup");
export const docsToken = textEntry("bellwire:docs-token", "sessionStorage");

export const messageDraft = (user, conversation) => textEntry(`bellwire:draft:${user}:${conversation}`);
export const messageReply = (user, conversation) => textEntry(`bellwire:reply:${user}:${conversation}`);
/** Files of drafts by their place: the id of a conversation, or "post:" and that of a group. */
export const fileDrafts = (user) => jsonEntry(`bellwire:files:${user}`);
export const recentEmoji = (user) => jsonEntry(`bellwire:emoji:${user}`);
export const postDraft = (user, group) => textEntry(`bellwire:post:${user}:${group ?? ""}`);
export const commentDraft = (user, post) => textEntry(`bellwire:comment:${user}:${post}`);
export const announcementDraft = (user) => jsonEntry(`bellwire:draft:${user}:announcement`);
export const outboxEntry = (user, clientId) => jsonEntry(outboxPrefix(user) + clientId);

/** All unsent messages of a user, oldest first. Entries without the required fields are skipped. */
export function outboxMessages(user) {
  const keys = allKeys().filter((key) => key.startsWith(outboxPrefix(user)));
  const messages = keys.map((key) => jsonEntry(key).read()).filter(isMessage);
  return messages.sort((a, b) => (a.at < b.at ? -1 : 1));
}

/** Erase the drafts, unsent messages and their files of everybody but one user; without a user, of all. */
export function eraseTexts(exceptUser = "") {
  const texts = allKeys().filter((key) => /^bellwire:(draft|reply|emoji|post|comment|out|files):/.test(key));
  const erased = texts.filter((key) => key.split(":")[2] !== String(exceptUser));
  for (const key of erased) {
    textEntry(key).remove();
    if (key.startsWith("bellwire:files:")) attempt(() => indexedDB.deleteDatabase(key));
  }
}

/** Set the colours of this document to the stored theme. */
export function applyTheme() {
  document.documentElement.dataset.theme = theme.read();
}

function allKeys() {
  return [...attempt(() => Object.keys(localStorage), []), ...unwritten.keys()];
}

function outboxPrefix(user) {
  return `bellwire:out:${user}:`;
}

function isMessage(value) {
  return (
    typeof value?.client_id === "string" &&
    Number.isInteger(value.conversation) &&
    typeof value.body === "string"
  );
}

/** One key with a text. It reads as "" when there is none; writing "" removes it. `write` returns whether it outlives the page. */
function textEntry(key, area = "localStorage") {
  const remove = () => {
    unwritten.delete(key);
    attempt(() => globalThis[area].removeItem(key));
  };
  const write = (text) => {
    unwritten.delete(key);
    const isWritten = text && attempt(() => globalThis[area].setItem(key, text) ?? true);
    if (!isWritten) remove(); // the value before
    if (isWritten || !text) return true;
    unwritten.set(key, text);
    storageFailed();
    return false;
  };
  return {
    read: () => unwritten.get(key) ?? attempt(() => globalThis[area].getItem(key)) ?? "",
    write,
    remove,
  };
}

/** One key with a JSON object. It reads as null when there is none, or none that can be parsed. */
function jsonEntry(key) {
  const entry = textEntry(key);
  const parse = () => JSON.parse(entry.read());
  return {
    read: () => {
      const value = attempt(parse);
      return typeof value === "object" ? value : null;
    },
    write: (value) => entry.write(JSON.stringify(value)),
    remove: entry.remove,
  };
}

/** Return the result of `run`, or `fallback` when the browser throws. */
function attempt(run, fallback = undefined) {
  try {
    return run();
  } catch {
    return fallback;
  }
}
