/** Small boxes above everything else, such as menus, which close by themselves. */

import { h } from "./dom.js";

const GAP_PX = 6;
const MARGIN_PX = 8;

/**
 * Show an element next to a button until Escape, a press elsewhere, or its own `hidePopover()`. `closed` is called
 * afterwards. It is no part of the button's surroundings: they may be drawn anew meanwhile.
 */
export function openPopover(button, element, closed = () => button.focus()) {
  const anchor = button.getBoundingClientRect();
  const root = button.getRootNode();
  element.popover = "auto";
  element.addEventListener("toggle", ({ newState }) => {
    if (newState !== "closed") return;
    const hadFocus = element.contains(root.activeElement) || document.activeElement === document.body;
    element.remove();
    if (hadFocus) closed();
  });
  (button.closest("main, .embedded") ?? document.body).append(element);
  element.showPopover();
  place(element, anchor);
}

/**
 * Open a menu next to a button. An item is {text, run, checked?, …}, and has further attributes: with `checked`, true or
 * false, it is one of a choice. `run` is called after the menu has closed. `about` is a text above the items.
 */
export function openMenu(button, label, items, { about = null, closed } = {}) {
  const buttons = items.map(({ text, run, checked, ...props }) => {
    const onclick = () => {
      menu.hidePopover();
      run();
    };
    const choice = checked === undefined ? { role: "menuitem" } : { role: "menuitemradio", "aria-checked": String(checked) };
    return h("button", { type: "button", onclick, ...choice, ...props }, text);
  });
  const onkeydown = (event) => moveByArrows(event, buttons);
  const menu = h("div.menu", { role: "menu", "aria-label": label, onkeydown }, about && h("p.quiet", { role: "presentation" }, about), buttons);
  openPopover(button, menu, closed);
  (buttons[items.findIndex(({ checked }) => checked)] ?? buttons[0]).focus();
}

/** Place it above the button, or below it where there is no room, and within the window. */
function place(element, anchor) {
  const { width, height } = element.getBoundingClientRect();
  const middle = anchor.left + anchor.width / 2;
  const above = anchor.top - height - GAP_PX;
  const top = above >= MARGIN_PX ? above : anchor.bottom + GAP_PX;
  element.style.left = `${within(middle - width / 2, innerWidth - width)}px`;
  element.style.top = `${within(top, innerHeight - height)}px`;
}

function within(at, end) {
  return Math.max(MARGIN_PX, Math.min(at, end - MARGIN_PX));
}

/** Move the focus by arrow keys among the buttons of an element, which may be in several rows. */
export function moveByArrows(event, buttons) {
  const next = NEXT[event.key]?.(buttons, buttons.indexOf(event.currentTarget.getRootNode().activeElement));
  if (!next) return;
  event.preventDefault();
  next.focus();
}

const NEXT = {
  ArrowRight: (buttons, at) => beside(buttons, at, 1),
  ArrowLeft: (buttons, at) => beside(buttons, at, -1),
  ArrowDown: (buttons, at) => nearest(buttons, at, 1),
  ArrowUp: (buttons, at) => nearest(buttons, at, -1),
};

/** The button at the right of a button (`way` is 1), or at its left (-1). Right to left, the next one is at the left. */
function beside(buttons, at, way) {
  const isNext = way > 0 === (getComputedStyle(buttons[0]).direction !== "rtl");
  return isNext ? buttons[(at + 1) % buttons.length] : buttons.at(at < 0 ? -1 : at - 1);
}

/** The button of the next row (`way` is 1), or of the one before (-1), that is nearest to a button. */
function nearest(buttons, at, way) {
  if (at < 0) return buttons.at(way > 0 ? 0 : -1);
  const from = buttons[at].getBoundingClientRect();
  let best;
  for (const button of buttons) {
    const { left, top } = button.getBoundingClientRect();
    const rows = (top - from.top) * way;
    const distance = rows * 1000 + Math.abs(left - from.left);
    if (rows > 4 && !(best?.distance <= distance)) best = { button, distance };
  }
  return best?.button;
}
