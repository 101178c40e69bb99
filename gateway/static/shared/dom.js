/** Elements, views and dialogs. Text that users wrote becomes text nodes, never markup. */

import { guard } from "./failures.js";
import { LIMITS } from "./limits.js";
import { splitLinks } from "./links.js";
import { hasWords, t } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
/** The paths of icons, 24 by 24. shared/icons.js has those that not every page needs at first. */
export const ICONS = {
  bell: "M6 16V11a6 6 0 0 1 12 0v5l2 2H4zM10 21h4",
  muted: "M6 16V11a6 6 0 0 1 12 0v5l2 2H4zM10 21h4M4 4l16 16",
  back: "M15 5l-7 7 7 7",
  close: "M6 6l12 12M18 6L6 18",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  send: "M4 12l16-8-6 16-3-7z",
  attach: "M19 11l-8 8a5 5 0 0 1-7-7l8-8a3.5 3.5 0 0 1 5 5l-8 8a2 2 0 0 1-3-3l7-7",
  reply: "M9 6l-5 5 5 5M4 11h9a7 7 0 0 1 7 7v1",
  edit: "M4 20l1-5L16 4l4 4L9 19z",
  delete: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  smile: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM8 14a4 4 0 0 0 8 0M9 9h.01M15 9h.01",
  down: "M6 9l6 6 6-6",
  up: "M6 15l6-6 6 6",
  eye: "M2 12c3-5 6-7 10-7s7 2 10 7c-3 5-6 7-10 7s-7-2-10-7zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
  unread: "M20 11v8H4V7h9M4 8l8 6 4-3M19 3a2 2 0 1 0 0 4 2 2 0 0 0 0-4z",
  people: "M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM2 21c0-4 3-7 7-7s7 3 7 7M16 3a4 4 0 0 1 0 8M18 14c3 1 4 4 4 7",
  urgent: "M12 4v10M12 19h.01",
};

/** Icons that point to where lines begin or end. */
const MIRRORED = new Set(["back", "send", "reply", "previous", "next"]);
let layer = null; // the element that dialogs and short messages appear in, in the page of another product
const TOAST_MS = 5000;
const ACTION_TOAST_MS = 15_000; // long enough to read it and to reach its button

/**
 * Create an element: `h("button.primary", { onclick, "aria-label": "Send" }, "Send")`. Null and false children are left
 * out.
 */
export function h(selector, props = {}, ...children) {
  const [tag, ...classes] = selector.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(props)) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.startsWith("aria-") && typeof value !== "string") element[name] = value;
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...nodesOf(children));
  return element;
}

/** Replace the children of an element. Null and false children are left out. */
export function fill(element, ...children) {
  element.replaceChildren(...nodesOf(children));
  return element;
}

/**
 * Show one element for each item, in their order. The element of an item stays untouched as long as its `version`, a
 * text of all that is drawn of it, stays the same: it keeps its focus, and a press that has begun on it.
 */
export function fillKeyed(parent, items, { key, version, draw }) {
  const known = parent.keyed ?? new Map(); // key -> {element, version}
  const kept = new Map();
  for (const item of items) {
    const [itemKey, itemVersion] = [key(item), version(item)];
    const old = known.get(itemKey);
    const isSame = old?.version === itemVersion;
    kept.set(itemKey, isSame ? old : { element: draw(item), version: itemVersion });
  }
  parent.keyed = kept;
  const focused = focusWithin(parent);
  const focusedKey = focused && [...known].find(([, { element }]) => element.contains(focused))?.[0];
  placeInOrder(
    parent,
    [...kept.values()].map(({ element }) => element),
  );
  if (!focused || focusWithin(parent) === focused) return;
  const successor = focused.isConnected ? focused : focusable(kept.get(focusedKey)?.element);
  successor?.focus({ preventScroll: true }); // it was moved, or drawn again
}

/** Make these elements the children of `parent`, and move as few as possible. */
function placeInOrder(parent, elements) {
  const staying = new Set(elements);
  for (const child of [...parent.children]) if (!staying.has(child)) child.remove();
  let next = parent.firstElementChild;
  for (const element of elements) {
    const isNext = element === next || element === next?.nextElementSibling; // else the one before it moves down
    if (!isNext) parent.insertBefore(element, next);
    else next = element.nextElementSibling;
  }
}

/** The focused element, if it is in this one; else null. */
export function focusWithin(element) {
  const focused = element.getRootNode().activeElement;
  return focused && element.contains(focused) ? focused : null;
}

function focusable(element) {
  const selector = "a, button, input, [tabindex]";
  return element?.matches(selector) ? element : element?.querySelector(selector);
}

function nodesOf(children) {
  return children.flat(Infinity).filter((child) => child != null && child !== false);
}

/**
 * The base class of all custom elements here: it listens to events only while it is connected to the page. An error
 * ends neither the other views nor the session: it is reported, and a view that can't be drawn says so.
 */
export class View extends HTMLElement {
  connectedCallback() {
    this.#start();
  }

  #start() {
    this.lifetime?.abort(); // of a drawing that failed
    this.lifetime = new AbortController();
    const fallback = (error) => fill(this, loadError(error, () => this.#start()));
    guard(this.localName, () => this.render(), fallback);
  }

  disconnectedCallback() {
    this.lifetime.abort();
  }

  /** Call `handler(detail, event)` for each of these events, until the view is disconnected. */
  listen(target, eventNames, handler) {
    const { signal } = this.lifetime;
    for (const name of eventNames.split(" ")) {
      const run = (event) => guard(this.localName, () => handler(event.detail, event));
      target.addEventListener(name, run, { signal });
    }
  }
}

/** Create a custom element and set its properties. */
export function createView(name, properties) {
  return Object.assign(document.createElement(name), properties);
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon");
  if (MIRRORED.has(name)) svg.classList.add("directed");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** Create a button that shows an icon and has a label for screen readers. */
export function iconButton(name, label, onclick, props = {}) {
  return h(
    "button.icon-button",
    { type: "button", "aria-label": label, title: label, onclick, ...props },
    icon(name),
  );
}

/** Create a circle with initials. `key`, a user's or group's id, chooses its colour; `online` adds a presence dot. */
export function avatar(name, key, online = null) {
  const words = name.replace(/\p{Cf}/gu, "").split(/\s+/).filter(Boolean).slice(0, 2); // without marks of direction
  const initials = words.map((word) => Array.from(word)[0].toUpperCase()).join("\u200c"); // which Arabic would join
  const dot = online === null ? null : h("span.dot", {}, h("span.hidden"));
  if (dot) setPresence(dot, online);
  return h(
    "span.avatar",
    { "data-hue": String(key % 8) },
    h("span", { "aria-hidden": "true" }, initials || "?"),
    dot,
  );
}

/** Change a presence dot in place. */
export function setPresence(dot, online) {
  dot.classList.toggle("online", online);
  dot.firstChild.textContent = t(online ? "presence.online" : "presence.offline");
}

/** Split text into strings and links. */
export function linkify(text) {
  return splitLinks(text).map((part) => (typeof part === "string" ? part : linkElement(part)));
}

/** Create a link to another site, of {href, text}. */
export function linkElement({ href, text }) {
  return h("a", { href, target: "_blank", rel: "noopener noreferrer" }, text);
}

/** Return a function that calls `run` once before the next frame, however often it is called until then. */
export function oncePerFrame(run) {
  let scheduled = false;
  return () => {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      run();
    });
  };
}

/** Let dialogs and short messages appear in an element of a shadow root. It has one with the id "toasts". */
export function useLayer(element) {
  layer = element;
}

/** The element that dialogs appear in. */
export const layerOf = () => layer ?? document.body;

export function closeDialogs() {
  for (const dialog of (layer ?? document).querySelectorAll("dialog[open]")) dialog.close();
}

/** Show a short message for some seconds, and a button if `action` is [text, run]. Screen readers announce it. */
export function toast(text, action = null) {
  const onclick = () => {
    element.remove();
    action[1]();
  };
  const button = action && h("button.link", { type: "button", onclick }, action[0]);
  const element = h("div.toast", {}, text, button && " ", button);
  (layer ?? document).querySelector("#toasts").append(element);
  setTimeout(() => element.remove(), action ? ACTION_TOAST_MS : TOAST_MS);
}

/** Run an action; show its error, if it throws one, as a toast. */
export async function toastErrors(run) {
  try {
    return await run();
  } catch (error) {
    toast(errorText(error));
    return undefined;
  }
}

/** Create a text for a view that could not be loaded, with a button that loads it again. */
export function loadError(error, retry) {
  const button = h("button", { type: "button", onclick: retry }, t("error.try-again"));
  return h("div.empty", {}, h("p.problem", { role: "alert" }, errorText(error)), button);
}

/**
 * Return the text of an error for people. The browser's own texts are not meant for them, and those of the server only
 * where there are no words for what went wrong.
 */
export function errorText(error) {
  if (error instanceof TypeError) return t(navigator.onLine ? "error.no-server" : "error.offline");
  if (error.name === "TimeoutError") return t("error.timeout");
  if (error.slug === undefined) return error.constructor === Error ? error.message : t("error.broken");
  const fields = Object.entries(error.fields ?? {}).map(([name, message]) => fieldText(name, message));
  if (fields.length) return fields.join(" ");
  if (hasWords(`problem.${error.slug}`)) return t(`problem.${error.slug}`, { n: error.retryAfter || 1 });
  return error.detail || t("error.no-server"); // without words: the answer of something that stands in between
}

/** Return what is wrong with a field's value: the server's text where there are no words for it. */
export function fieldText(name, message) {
  if (/taken/.test(message) && hasWords(`invalid.${name}-taken`)) return t(`invalid.${name}-taken`);
  return hasWords(`invalid.${name}`) ? t(`invalid.${name}`, boundsOf(name)) : message;
}

/** The `min` and `max` of a field with this name, of the first body that has bounds for it. */
function boundsOf(name) {
  return Object.values(LIMITS).find((fields) => Object.hasOwn(fields, name))?.[name] ?? {};
}
