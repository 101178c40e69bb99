/**
 * How files get to a composer or a writer: by the dialog of the browser, pasted, or dropped. `host` has what `Tray` says;
 * its form comes below the tray.
 */

import { h, toast } from "./dom.js";
import "./icons.js";
import { trayFor } from "./tray.js";
import { t } from "./words.js";

const DRAGGING_MS = 700; // browsers repeat "dragover" every 50 to 350 ms, until the pointer leaves or Escape is pressed
const SCREENSHOT_NAME = "image.png"; // of a picture that is pasted, in all browsers

function trayOf(host) {
  if (!host.tray) {
    host.tray = trayFor(host);
    host.querySelector("form").before(host.tray);
  }
  return host.tray;
}

/** Show the files of a draft again. */
export function restore(host) {
  trayOf(host).restore();
}

export function paste(host, { files }) {
  add(host, files.map(named));
}

/** A screenshot has a name that says when it was made. */
function named(file) {
  if (file.name !== SCREENSHOT_NAME) return file;
  const at = new Date(file.lastModified);
  const two = (part) => String(part).padStart(2, "0");
  const date = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join("-");
  const time = [at.getHours(), at.getMinutes()].map(two).join(".");
  const name = [t("attach.screenshot"), date, time].join(" ") + ".png";
  return new File([file], name, { type: file.type, lastModified: file.lastModified });
}

export function drop(host, { files, hasFolders }) {
  hideZone(host);
  if (hasFolders) toast(t("attach.folder"));
  else add(host, files);
}

/** Show where files may be dropped, while they are dragged over it. */
export function dragover(host) {
  const area = host.closest("bw-chat, bw-writer");
  host.zone ??= h("div.drop-zone", {}, h("p", {}, t("attach.drop")));
  if (!host.zone.isConnected) area.append(host.zone);
  clearTimeout(host.zoneTimer);
  host.zoneTimer = setTimeout(() => hideZone(host), DRAGGING_MS);
}

function hideZone(host) {
  clearTimeout(host.zoneTimer);
  host.zone?.remove();
}

export function add(host, files) {
  if (host.edited) toast(t("attach.not-in-edits"));
  else trayOf(host).add(files);
  host.focus();
}
