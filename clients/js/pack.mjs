/** Puts the client that gateways serve, and its types, into the package: `npm pack` runs this before, and --clean after. */

import { copyFileSync, rmSync } from "node:fs";

for (const name of ["client.js", "client.d.ts", "upload.js"]) {
  const copy = new URL(name, import.meta.url);
  if (process.argv.includes("--clean")) rmSync(copy, { force: true });
  else copyFileSync(new URL(`../../gateway/static/${name}`, import.meta.url), copy);
}
