/** Bounds of fields in the admin area, which are said before anything is sent. */

import { number, t } from "../shared/words.js";

/**
 * Return properties of a field whose text has bounds, one of LIMITS. Nothing is cut: a text that is too long is refused
 * when the form is sent. The API counts code points.
 */
export function bounded({ max }) {
  const oninput = ({ target }) => {
    const n = [...target.value].length;
    target.setCustomValidity(n > max ? t("admin.too-long", { n: max, count: number(n) }) : "");
  };
  return { oninput };
}
