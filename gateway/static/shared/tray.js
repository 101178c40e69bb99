/** The files of a message or post that is being written, or waits to be sent: pictures, names, sizes and progress. */

import { attachmentsOf } from "./attachments.js";
import { View, createView, fill, h, icon, iconButton, toast } from "./dom.js";
import "./icons.js";
import { LIMITS } from "./limits.js";
import { formatBytes } from "./sizes.js";
import { fileDrafts } from "./storage.js";
import { number, t } from "./words.js";

const MIB = 2 ** 20;
const PREVIEW_PX = 96; // twice its size on the page, for fine displays

/**
 * The files of a composer or writer. Properties: `host`, which has `store`, `place` (of the files among drafts) and
 * `focus()`.
 */
class Tray extends View {
  list = []; // of Attachment

  render() {
    this.items ??= h("ul.tray", { "aria-label": t("attach.list") });
    this.status ??= h("p.hidden", { role: "status" });
    fill(this, this.items, this.status);
    this.hidden = !this.list.length;
  }

  get #attachments() {
    return attachmentsOf(this.host.store);
  }

  /** What a draft or an unsent message has of the files; undefined without any. */
  get facts() {
    return this.list.length ? this.list.map(({ facts }) => facts) : undefined;
  }

  /** Add files and begin to upload them, but those that can't be sent: the user is told why. */
  add(files) {
    const max = LIMITS.Upload.file.max;
    const sized = files.filter((file) => {
      if (!file.size) toast(t("attach.empty", { name: file.name }));
      else if (file.size > max) toast(t("attach.too-large", { name: file.name, max: number(Math.floor(max / MIB)) }));
      return file.size && file.size <= max;
    });
    const room = LIMITS.NewMessage.files.max - this.list.length;
    if (sized.length > room) toast(t("attach.too-many", { n: LIMITS.NewMessage.files.max }));
    for (const file of sized.slice(0, room)) this.#append(this.#attachments.add(file, file.name));
    this.keep();
  }

  /** Show the files of a draft again. */
  restore() {
    const facts = fileDrafts(this.host.store.me.id).read()?.[this.host.place] ?? [];
    for (const attachment of this.#attachments.of(facts)) this.#append(attachment);
    this.keep();
  }

  #append(attachment) {
    if (this.list.includes(attachment)) return;
    this.list.push(attachment);
    const onRemoved = () => attachment.isRemoved && this.#takeOut(attachment);
    attachment.addEventListener("change", onRemoved, { signal: this.lifetime.signal }); // a tray that has gone keeps no draft
    this.items.append(fileItem(attachment, this.#attachments, (button) => this.#remove(attachment, button)));
    this.#attachments.begin(attachment);
  }

  #remove(attachment, button) {
    const item = button.closest("li");
    const next = item.nextElementSibling ?? item.previousElementSibling;
    this.#attachments.remove([attachment]);
    (next?.querySelector(".remove") ?? this.host).focus();
  }

  #takeOut(attachment) {
    const at = this.list.indexOf(attachment);
    if (at < 0) return;
    this.list.splice(at, 1);
    this.items.children[at].remove();
    this.keep();
  }

  /** Keep the draft, and say how many files there are. */
  keep() {
    const { store, place } = this.host;
    const draft = fileDrafts(store.me.id);
    const keys = new Set(this.list.map(({ key }) => key));
    const isOther = ([at, files]) => at !== place && !files.some(({ key }) => keys.has(key));
    const others = Object.entries(draft.read() ?? {}).filter(isOther);
    draft.write(Object.fromEntries(this.list.length ? [...others, [place, this.facts]] : others));
    this.hidden = !this.list.length;
    this.status.textContent = t("attach.count", { n: this.list.length });
  }

  /** Resolve to whether the files may be sent: they are stored here as well as they can be, and none was refused. */
  async prepare() {
    if (this.isPreparing) return false;
    this.isPreparing = true;
    await Promise.all(this.list.map(({ saved }) => saved));
    this.isPreparing = false;
    const refused = this.list.findIndex(({ isRefused }) => isRefused);
    if (refused >= 0) toast(t("attach.refused"));
    this.items.children[refused]?.querySelector(".remove").focus();
    return refused < 0;
  }

  /** Upload what is not yet, call `send(ids)`, and forget the files. */
  async send(send) {
    const { facts } = this;
    await this.#attachments.send(facts, send);
    this.#attachments.remove(facts);
  }

  /** The files belong to a message now. */
  clear() {
    this.list = [];
    fill(this.items);
    this.keep();
  }
}

customElements.define("bw-tray", Tray);

/** Create a tray for a host. */
export const trayFor = (host) => createView("bw-tray", { host });

/** Show the files of a message in the outbox. */
export function showUnsent(place, store, files) {
  const attachments = attachmentsOf(store);
  const items = attachments.of(files).map((attachment) => fileItem(attachment, attachments));
  fill(place, h("ul.tray", { "aria-label": t("attach.list") }, items));
}

/** One file. With `remove` it has buttons to remove it, and to try again. */
function fileItem(attachment, attachments, remove = null) {
  const { name, bytes } = attachment;
  const picture = h("span.attachment-picture", {}, icon("file"));
  const bar = h("progress", { max: 1, value: 0, "aria-label": t("attach.progress", { name }) });
  const state = h("span.attachment-state");
  const onclick = () => attachments.begin(attachment);
  const retry = remove && h("button.link", { type: "button", hidden: true, onclick, "aria-label": t("attach.try-again", { name }) }, t("error.try-again"));
  const onremove = ({ currentTarget }) => remove(currentTarget);
  const removeButton = remove && iconButton("close", t("attach.remove", { name }), onremove);
  removeButton?.classList.add("remove");
  const text = h("span.attachment-text", {}, h("span.attachment-name", { dir: "auto", title: name }, name), state, retry, bar);
  const item = h("li.attachment", {}, picture, text, removeButton);
  let isPreviewed = false;
  const draw = () => {
    const { error, progress } = attachment;
    if (attachment.blob && !isPreviewed) drawPreview(picture, attachment);
    isPreviewed ||= Boolean(attachment.blob);
    item.classList.toggle("failed", Boolean(error));
    bar.hidden = progress === 1 || Boolean(error);
    bar.value = progress;
    if (retry) retry.hidden = !error;
    drawState(state, error, formatBytes(bytes));
  };
  attachment.addEventListener("change", draw);
  draw();
  return item;
}

function drawState(state, error, size) {
  if (state.textContent === (error ?? size)) return;
  state.textContent = error ?? size;
  state.classList.toggle("problem", Boolean(error));
  if (error) state.setAttribute("role", "alert");
  else state.removeAttribute("role");
}

/** Draw a small picture in place of the icon, if it is one. A canvas needs no address that a policy would have to allow. */
async function drawPreview(place, { blob, type }) {
  if (!type.startsWith("image/")) return;
  const picture = await createImageBitmap(blob, { resizeHeight: PREVIEW_PX, resizeQuality: "medium" }).catch(() => null);
  if (!picture) return;
  const canvas = h("canvas", { width: picture.width, height: picture.height });
  canvas.getContext("2d").drawImage(picture, 0, 0);
  picture.close();
  fill(place, canvas);
}
