/** Files that are pasted, or dragged over a part of the page. */

import { h } from "./dom.js";

/**
 * Return {files, hasFolders} of an event, whose default is prevented; null if it has no files. A text that comes with its
 * picture, as from a table, is a text.
 */
export function transferOf(event) {
  const { types, files, items } = event.clipboardData ?? event.dataTransfer;
  const isText = ["text/plain", "text/html"].every((type) => types.includes(type));
  if (!types.includes("Files") || isText) return null;
  event.preventDefault();
  return { files: [...files], hasFolders: [...items].some((item) => item.webkitGetAsEntry?.()?.isDirectory) };
}

/**
 * The field by which the user chooses files, which a button clicks. It is a part of the page, so that the dialog opens at once.
 * Without a list of types, phones offer their camera and gallery as well.
 */
export function fileField(use) {
  const onchange = ({ target }) => {
    use([...target.files]);
    target.value = "";
  };
  return h("input", { type: "file", multiple: true, hidden: true, onchange });
}
