/**
 * The words of the page in English. `{name}` is replaced by a value; a text that depends on a number has one form for
 * each plural form of the language. Keys are sorted within their part of the page.
 */

export default {
  // All parts
  "badge.unread": "unread",
  "bar.no-server": "The server can't be reached. Your messages are kept and will be sent when it is back.",
  "bar.offline": "You are offline. Your messages are kept and will be sent when you are back online.",
  "day.today": "Today",
  "day.yesterday": "Yesterday",
  "dialog.cancel": "Cancel",
  "error.broken": "Something went wrong here. Reload the page if it stays.",
  "error.no-server": "The server can't be reached.",
  "error.offline": "You are offline.",
  "error.timeout": "The server did not answer in time.",
  "error.try-again": "Try again",
  loading: "Loading…",
  "person.nameless": "Somebody",
  "presence.offline": "offline",
  "presence.online": "online",
  "problem.rate-limited": {
    one: "That was too much at once. Try again in a second.",
    other: "That was too much at once. Try again in {n} seconds.",
  },
  "problem.suspended": "This account is suspended. Ask the people who run this server.",
  "problem.unavailable": "The server has too much to do right now. Try again in a moment.",
  "section.admin": "Admin",
  "section.conversations": "Chats",
  "section.notifications": "Notifications",
  "section.posts": "Posts",
  "section.settings": "Settings",
  "shell.main": "Main",
  "shell.new-messages": "New messages",
  "shell.skip": "Skip to the content",
  "sign.was-signed-out": "You were signed out.",
  "welcome.choose": "Choose a conversation, or start a new one.",
  "welcome.hello": "Hello, {name}",

  // Chats
  "conversation.alone": "Notes to yourself",
  "conversation.more": { one: "{n} more", other: "{n} more" },
  "conversation.unknown": "There is no such conversation, or you are not in it.",

  // Posts and groups

  // Accounts, settings and notifications

  // Admin
};
