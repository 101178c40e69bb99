/** The emoji picker: the most recent ones, all by category, and a search by words. */

import { fill, h } from "../shared/dom.js";
import { moveByArrows, openPopover } from "../shared/popover.js";
import { recentEmoji } from "../shared/storage.js";
import { t } from "../shared/words.js";

const CATEGORIES = ["faces", "people", "nature", "food", "activities", "objects", "symbols"];
const FIRST = ["👍", "❤️", "😂", "🎉", "😮", "😢", "🙏", "✅"];
const MAX_RECENT = 8;

/**
 * Open the picker next to a button. `choose(emoji)` is called after it has closed. `label` is the key of the words for
 * one of the recent emoji, and `user` an id: each one has their own recent ones.
 */
export function openEmojiPicker(button, { user, label, choose, closed }) {
  const pick = (emoji) => {
    const recent = recentEmoji(user);
    recent.write([emoji, ...recentOf(user).filter((other) => other !== emoji)].slice(0, MAX_RECENT));
    picker.hidePopover();
    choose(emoji);
  };
  const lists = h("div.emoji-lists");
  const show = () => fill(lists, contents(search.value, user, label, pick));
  const search = h("input", {
    type: "search",
    "aria-label": t("emoji.search"),
    placeholder: t("emoji.search"),
    dir: "auto",
    oninput: show,
  });
  const onkeydown = (event) => {
    if (event.key === "Escape") picker.hidePopover(); // a search field would only empty itself
    else onKey(event, search, [...lists.querySelectorAll("button")]);
  };
  const picker = h("div.emoji-picker", { role: "dialog", "aria-label": t("emoji.choose"), onkeydown }, search, lists);
  show();
  openPopover(button, picker, closed);
  lists.querySelector("button").focus();
}

function onKey(event, search, buttons) {
  if (event.target === search) {
    const first = { ArrowDown: buttons[0], Enter: buttons[0] }[event.key];
    if (!first) return;
    event.preventDefault();
    if (event.key === "Enter") first.click();
    else first.focus();
  } else if (event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey) search.focus();
  else moveByArrows(event, buttons);
}

function recentOf(user) {
  const stored = recentEmoji(user).read();
  const recent = Array.isArray(stored) ? stored.filter((emoji) => typeof emoji === "string") : [];
  return [...new Set([...recent, ...FIRST])].slice(0, MAX_RECENT);
}

/** The emoji that have all searched words; without any, the recent ones and all. */
function contents(text, user, label, pick) {
  const searched = folded(text).split(/\s+/).filter(Boolean);
  if (!searched.length) {
    const buttons = recentOf(user).map((emoji) => emojiButton(emoji, t(label, { emoji }), pick));
    return [section("recent", buttons), CATEGORIES.map((name) => section(name, namedButtons(emojiOf(name), pick)))];
  }
  const matches = ([, words]) => searched.every((word) => folded(words).split(" ").some((own) => own.startsWith(word)));
  const found = CATEGORIES.flatMap(emojiOf).filter(matches);
  return found.length ? h("div.emoji-grid", {}, namedButtons(found, pick)) : h("p.quiet", { role: "status" }, t("emoji.none"));
}

/** Pairs of an emoji and its words. */
function emojiOf(category) {
  const parts = t(`emoji.${category}.words`).split(", ");
  return parts.map((part) => [part.slice(0, part.indexOf(" ")), part.slice(part.indexOf(" ") + 1)]);
}

const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

function section(name, buttons) {
  const title = t(`emoji.${name}`);
  return h("section", { "aria-label": title }, h("h2", {}, title), h("div.emoji-grid", {}, buttons));
}

function namedButtons(pairs, pick) {
  return pairs.map(([emoji, words]) => emojiButton(emoji, words, pick));
}

function emojiButton(emoji, name, pick) {
  return h("button", { type: "button", "aria-label": name, title: name, onclick: () => pick(emoji) }, emoji);
}
