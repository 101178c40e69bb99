/** How sizes of files are written. */

import { language } from "./words.js";

/** Write a number of bytes as "3 kB" or "1.5 MB". */
export function formatBytes(bytes) {
  if (bytes < 1e6) return inUnit(Math.ceil(bytes / 1e3), "kilobyte", 0);
  return inUnit(bytes / 1e6, "megabyte", 1);
}

function inUnit(value, unit, decimals) {
  const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return new Intl.NumberFormat(language(), { style: "unit", unit, ...digits }).format(value);
}
