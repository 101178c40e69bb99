/** Modules that are loaded when they are needed. */

const failures = new Map(); // path -> number of failed attempts

/**
 * Import a module of this page by its path below /static. Browsers remember a module that could not be loaded: each
 * further attempt is made at another address.
 */
export async function load(path) {
  const failed = failures.get(path) ?? 0;
  try {
    return await import(`/static/${path}${failed ? `?attempt=${failed}` : ""}`);
  } catch (error) {
    failures.set(path, failed + 1);
    throw error;
  }
}
