/** Modules that are loaded when they are needed. */

const failures = new Map(); // path -> number of failed attempts
const modules = new Map(); // path -> module that is loaded
let base = "/static/";
let prepare = () => undefined;
let open = (address) => (location.hash = address);

/** Let `run()` end before a module is loaded. */
export const prepareBy = (run) => (prepare = run);

/** In the page of another product: load modules from `url`, after `before()`, and open an address by `openAddress(address)`. */
export function embed(url, before, openAddress) {
  [base, prepare, open] = [url, before, openAddress];
}

/** Return a module if it is loaded, else undefined. */
export const loaded = (path) => modules.get(path);

/** A module that this page has from the beginning. */
export const provide = (path, module) => modules.set(path, module);

/** Go to an address of this page, such as "#/people/7". */
export const goTo = (address) => open(address);

/**
 * Import a module of this page by its path below /static. Browsers remember a module that could not be loaded: each
 * further attempt is made at another address.
 */
export async function load(path) {
  const failed = failures.get(path) ?? 0;
  try {
    await prepare();
    const module = await import(`${base}${path}${failed ? `?attempt=${failed}` : ""}`);
    modules.set(path, module);
    return module;
  } catch (error) {
    failures.set(path, failed + 1);
    throw error;
  }
}
