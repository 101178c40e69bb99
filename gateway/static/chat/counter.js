/** How many characters of a message are left, which is said near the limit. */

import { t } from "../shared/words.js";

/** Draw the counter of a field with a limit: from `from` characters before it on. */
export function drawCounter(counter, field, limit, from) {
  const left = limit - [...field.value].length;
  counter.hidden = left > from;
  if (counter.hidden) counter.textContent = "";
  else counter.textContent = left < 0 ? t("composer.too-long", { n: -left }) : t("composer.left", { n: left });
  counter.classList.toggle("problem", left < 0);
  field.setAttribute("aria-invalid", String(left < 0));
}
