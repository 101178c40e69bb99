/** The viewer of pictures: one fills the window, and one goes on to the others by keys, buttons or a swipe. */

import { fill, focusWithin, h, icon, iconButton, layerOf } from "./dom.js";
import { formatDateTime } from "./format.js";
import { number, t } from "./words.js";
import { showPicture, withAddress } from "./files.js";
import { Zoom } from "./zoom.js";

const SWIPE_PX = 60;
const STEP = 1.5;

/** Open the viewer at a file of `about.gallery()`. The focus goes back to where it was when it is closed. */
export function openViewer(about, file) {
  const items = about.gallery();
  return new Viewer(about.bell, items, Math.max(0, items.findIndex((item) => item.file.id === file.id)));
}

class Viewer {
  constructor(bell, items, at) {
    Object.assign(this, { bell, items, at });
    this.stage = h("div.stage");
    this.zoom = new Zoom(this.stage, { onswipe: (dx) => this.#onSwipe(dx) });
    this.title = h("h2");
    this.about = h("p");
    this.position = h("p.position", { role: "status" });
    this.save = h("a.icon-button", { "aria-label": t("viewer.save"), title: t("viewer.save") }, icon("download"));
    const zooms = h(
      "div.zooms",
      {},
      iconButton("minus", t("viewer.smaller"), () => this.zoom.by(1 / STEP)),
      iconButton("new", t("viewer.larger"), () => this.zoom.by(STEP)),
    );
    const close = iconButton("close", t("dialog.close"), () => this.dialog.close());
    this.back = iconButton("previous", t("viewer.previous"), () => this.#show(this.at - 1));
    this.next = iconButton("next", t("viewer.next"), () => this.#show(this.at + 1));
    for (const [button, side] of [[this.back, "back"], [this.next, "on"]]) button.classList.add("aside", side);
    const bar = h("header", {}, h("div.grow", {}, this.title, this.about), this.position, zooms, this.save, close);
    const props = { "aria-label": t("viewer.title"), tabindex: "-1", onclose: () => this.#end(), onkeydown: (event) => this.#onKey(event) };
    this.dialog = h("dialog.viewer", props, bar, this.stage, this.back, this.next);
    layerOf().append(this.dialog);
    this.dialog.showModal();
    this.dialog.focus();
    this.#show(at);
  }

  #end() {
    this.zoom.end();
    this.dialog.remove();
  }

  #show(at) {
    const item = this.items[at];
    if (!item) return;
    this.at = at;
    const { file, sender, at: sentAt } = item;
    this.title.textContent = file.name;
    fill(this.about, h("bdi", {}, sender), " · ", h("time", { datetime: sentAt }, formatDateTime(sentAt)));
    fill(this.position, h("span.hidden", {}, file.name, " "), t("viewer.position", { n: at + 1, of: number(this.items.length) }));
    const [first, last] = [at === 0, at === this.items.length - 1];
    if (focusWithin(this.dialog)?.matches(".aside") && (first || last)) this.dialog.focus(); // its button may go
    [this.back.disabled, this.next.disabled] = [first, last];
    this.back.hidden = this.next.hidden = this.items.length === 1;
    this.save.setAttribute("download", file.name);
    this.save.removeAttribute("href");
    withAddress(this.bell, file, "", (address) => item === this.items[this.at] && (this.save.href = address));
    this.#load(item);
  }

  /** Show the thumbnail, which is there already, until the picture itself is loaded. */
  #load({ file, sender }) {
    const image = h("img", { alt: t("files.picture", { name: file.name, sender }), draggable: false });
    if (file.width) Object.assign(image.style, { maxWidth: `${file.width}px`, maxHeight: `${file.height}px` });
    const isShown = () => image.isConnected;
    const fail = () => isShown() && !image.naturalWidth && fill(this.stage, h("p.empty", { role: "alert" }, t("files.not-loaded")));
    fill(this.stage, image);
    this.zoom.use(image);
    const whole = new Image();
    whole.addEventListener("load", () => isShown() && (image.src = whole.src));
    if (file.thumbnail) withAddress(this.bell, file, "/thumbnail", (address) => !image.src && (image.src = address));
    showPicture(whole, (use, lost) => isShown() && withAddress(this.bell, file, "", use, lost), fail);
  }

  #onSwipe(dx) {
    const isRtl = getComputedStyle(this.dialog).direction === "rtl";
    if (Math.abs(dx) > SWIPE_PX) this.#show(this.at + (dx < 0 !== isRtl ? 1 : -1));
  }

  #onKey(event) {
    const { key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const toRight = getComputedStyle(this.dialog).direction === "rtl" ? -1 : 1;
    const run = {
      ArrowLeft: () => this.#show(this.at - toRight),
      ArrowRight: () => this.#show(this.at + toRight),
      ArrowUp: () => this.zoom.move(0, 1),
      ArrowDown: () => this.zoom.move(0, -1),
      Home: () => this.#show(0),
      End: () => this.#show(this.items.length - 1),
      "+": () => this.zoom.by(STEP),
      "=": () => this.zoom.by(STEP),
      "-": () => this.zoom.by(1 / STEP),
      0: () => this.zoom.reset(),
    }[key];
    event.stopPropagation(); // shortcuts of the page are not for what is behind
    if (!run) return;
    event.preventDefault();
    run();
  }
}
