/**
 * The files of a message or post: pictures in tiles, sound and videos with their players, and all else as documents. A
 * tile has its size before anything of its file is there, and keeps it.
 */

import { fill, fillKeyed, h, icon, toastErrors } from "./dom.js";
import { nameOf } from "./format.js";
import "./icons.js";
import { load } from "./load.js";
import { formatBytes } from "./sizes.js";
import { t } from "./words.js";

const LINKS = "shared/file-links.js";
const MIN_RATIO = 0.5; // of its width to its height, and the other way round
const WIDE_RATIO = 1.6;
const COLUMNS = 6; // of the grid: a tile is as wide as two, three or all of them
const RETRY_AFTER_MS = [1000, 3000, 8000, 20_000];
const ENDING = /.{0,3}\.[^.\s]{1,8}$/u; // the end of a name that stays visible
const KIND = /\.([a-z0-9]{1,4})$/i;

/**
 * Return the element that shows files. `before` is the one that showed them until now: parts that have not changed stay,
 * and a player goes on. `about`: {bell, sender (a name), gallery}; `gallery()` returns the pictures that one can go on to
 * from here, [{file, sender, at}].
 */
export function filesElement(files, about, before = null) {
  const element = before ?? h("div.files", {}, h("div.pictures"), h("ul.documents"));
  const [pictures, documents] = element.children;
  const tiles = (element.tiles ??= new Set()); // a picture that failed later stays where it was
  const hasTile = (file) => tiles.has(file.id) || isPicture(file);
  const shown = files.filter(hasTile);
  for (const { id } of shown) tiles.add(id);
  element.shape ??= shapeOf(shown); // a size that becomes known later changes nothing
  fillKeyed(pictures, shown, {
    key: ({ id }) => id,
    version: JSON.stringify,
    draw: (file) => tile(file, about),
  });
  fillKeyed(documents, files.filter((file) => !hasTile(file)), {
    key: ({ id }) => id,
    version: JSON.stringify,
    draw: (file) => h("li", {}, rowOf(file, about)),
  });
  [...pictures.children].forEach((child, n) => placeTile(child, element.shape, n));
  pictures.hidden = !shown.length;
  documents.hidden = shown.length === files.length;
  element.style.setProperty("--share", documents.hidden ? element.shape.share : 1);
  pictures.style.setProperty("--share", element.shape.share);
  return element;
}

/** Whether a file is shown as a picture, or will be. */
const isPicture = ({ type, state, thumbnail }) => type.startsWith("image/") && (state === "pending" || thumbnail);

/** How many columns each tile has, and the ratio of width to height of those that have all. */
function shapeOf(files) {
  if (files.length === 1) return shapeOfOne(files[0]);
  const inFirst = files.length === 4 ? 4 : files.length % 3; // tiles that fill what others would leave empty
  const wide = inFirst === 1 ? COLUMNS : COLUMNS / 2;
  return { spans: files.map((_, n) => (n < inFirst ? wide : COLUMNS / 3)), wideRatio: WIDE_RATIO, share: 1 };
}

/** A picture of a known size keeps its shape, within a square. `share`: its part of the square's width. */
function shapeOfOne({ width, height }) {
  const ratio = width && height ? Math.min(Math.max(width / height, MIN_RATIO), 1 / MIN_RATIO) : WIDE_RATIO;
  return { spans: [COLUMNS], wideRatio: ratio, share: Math.min(1, ratio) };
}

function placeTile(element, { spans, wideRatio }, n) {
  const span = spans[n] ?? COLUMNS / 3;
  element.style.setProperty("--span", span);
  element.style.aspectRatio = String(span === COLUMNS ? wideRatio : 1);
}

function tile(file, about) {
  const element = h("div.tile");
  const showLink = (note) => fill(element, tileLink(file, about, note));
  if (file.state === "pending") fill(element, placeholder("span", {}, file.name, t("files.pending")));
  else if (file.thumbnail) fill(element, pictureButton(file, about, () => showLink(t("files.not-loaded"))));
  else showLink(t("files.failed"));
  return element;
}

function pictureButton(file, about, fail) {
  const { name, width, height } = file;
  const image = h("img", { alt: t("files.picture", { name, sender: about.sender }), loading: "lazy", decoding: "async" });
  if (width) Object.assign(image, { width, height });
  const onclick = () => toastErrors(async () => (await load("shared/viewer.js")).openViewer(about, file));
  showPicture(image, (use, lost) => withAddress(about.bell, file, "/thumbnail", use, lost), fail);
  return h("button", { type: "button", onclick }, image);
}

/** What stands in the place of a picture that can't be shown: it can be saved. */
function tileLink(file, { bell }, note) {
  const label = t("files.save", { name: file.name, size: formatBytes(file.bytes) });
  const link = placeholder("a", { download: file.name, "aria-label": label }, file.name, note);
  leadTo(link, bell, file);
  return link;
}

function placeholder(tag, props, name, note) {
  return h(`${tag}.waiting`, props, icon("picture"), h("span.name", { dir: "auto" }, name), h("small", {}, note));
}

/** Load a picture, several times if it fails. `find(use, lost)` calls `use(address)`. */
export function showPicture(image, find, fail) {
  let failures = 0;
  const start = () => find((address) => (image.src = address), again);
  const again = () => {
    const pause = RETRY_AFTER_MS[failures++];
    if (pause === undefined) fail();
    else if (navigator.onLine) setTimeout(start, pause);
    else addEventListener("online", start, { once: true });
  };
  image.addEventListener("error", again);
  start();
}

/** Call `use` with the address of a file, or of a part of it. Other products have none that stay: theirs are loaded. */
export function withAddress(bell, { id }, part, use, fail = () => {}) {
  if (!bell.url) use(`/api/v1/files/${id}${part}`);
  else load(LINKS).then(({ withLink }) => withLink(bell, id, part, use)).catch(fail);
}

/** Let an element `a` lead to a file. */
function leadTo(element, bell, { id }) {
  if (!bell.url) element.href = `/api/v1/files/${id}`;
  else load(LINKS).then(({ keepLink }) => keepLink(bell, id, element)).catch(() => {});
}

function rowOf(file, about) {
  const player = !isFailed(file) && /^(audio|video)\//.exec(file.type)?.[1];
  return [documentLink(file, about), player && media(player, file, about)];
}

const isFailed = ({ state }) => state === "failed";

/** A player, which goes on where it was if its address has ended. */
function media(kind, file, { bell, sender }) {
  const label = t(`files.${kind}`, { name: file.name, sender });
  const player = h(kind, { controls: true, preload: "metadata", playsinline: "", "aria-label": label });
  let failures = 0;
  const start = () => withAddress(bell, file, "", (address) => (player.src = address));
  player.addEventListener("error", () => {
    const { currentTime } = player;
    const isLost = player.error?.code === MediaError.MEDIA_ERR_NETWORK && failures++ < RETRY_AFTER_MS.length;
    if (!isLost) return player.remove(); // a sound that this browser does not know: it can be saved
    player.addEventListener("loadedmetadata", () => (player.currentTime = currentTime), { once: true });
    setTimeout(start, RETRY_AFTER_MS[failures - 1]);
  });
  start();
  return player;
}

/** A link to a file, with its kind, name and size. It is saved, or opened in a new tab if it is a PDF. */
function documentLink(file, { bell }) {
  const size = formatBytes(file.bytes);
  const opens = file.type === "application/pdf";
  const target = opens ? { target: "_blank", rel: "noopener" } : { download: file.name };
  const label = t(opens ? "files.open" : "files.save", { name: file.name, size });
  const note = file.type.startsWith("image/") && isFailed(file) && t("files.failed");
  const link = h(
    "a.file",
    { ...target, "aria-label": label, title: file.name },
    h("span.kind", { "aria-hidden": "true" }, KIND.exec(file.name)?.[1].toUpperCase() ?? icon("file")),
    h("span.about-file", {}, nameElement(file.name), h("small", {}, note ? `${size} · ${note}` : size)),
  );
  leadTo(link, bell, file);
  return link;
}

/** A name whose end stays visible. */
function nameElement(name) {
  const at = name.search(ENDING);
  return h("span.name", { dir: "auto" }, h("span", {}, at > 0 ? name.slice(0, at) : name), at > 0 && h("span", {}, name.slice(at)));
}

/** The files of a message in its conversation, where one can go on to all pictures that are loaded. */
export function messageFiles(store, thread, message, before) {
  const sender = nameOf(store.person(message.sender));
  const gallery = () => thread.pages.flat().filter((one) => !store.isFolded(one)).flatMap((one) => picturesOf(one, nameOf(store.person(one.sender))));
  return filesElement(message.files, { bell: store.bell, sender, gallery }, before?.querySelector(".files"));
}

/** What a gallery has of a message or post. */
export function picturesOf({ files, created_at: at }, sender) {
  return (files ?? []).filter(isPicture).map((file) => ({ file, sender, at }));
}
