/**
 * The bytes of files that are not sent yet, in IndexedDB: they outlive the page. A record is {key, name, type, bytes, blob,
 * id, uploaded}; `id` is that of the uploaded file, and `uploaded` the time. Where the browser stores nothing (private
 * windows, a full disk), files live as long as the page.
 */

import { fileDrafts, outboxMessages } from "./storage.js";

const MAX_FILES = 50;
const MAX_BYTES = 200_000_000;
const STORE = "files";

export class FullError extends Error {}

export class FileStore {
  /** `user`: their id. The name of the database is that of the entry in storage.js, which erases both. */
  constructor(user) {
    this.user = user;
    this.name = `bellwire:files:${user}`;
    this.sizes = new Map(); // key -> bytes of those that are stored
  }

  /** Store a record. Throws FullError; returns whether it is stored. */
  async write(record) {
    const db = await this.#open();
    if (!db) return false;
    const others = [...this.sizes].filter(([key]) => key !== record.key);
    const bytes = others.reduce((sum, [, size]) => sum + size, record.bytes);
    if (others.length >= MAX_FILES || bytes > MAX_BYTES) throw new FullError();
    this.sizes.set(record.key, record.bytes);
    const isWritten = await this.#run("readwrite", (files) => files.put(record)).then(() => true, () => false);
    if (!isWritten) this.sizes.delete(record.key);
    return isWritten;
  }

  /** Return a record, or undefined. */
  read(key) {
    return this.#run("readonly", (files) => files.get(key)).catch(() => undefined);
  }

  async remove(key) {
    this.sizes.delete(key);
    await this.#run("readwrite", (files) => files.delete(key)).catch(() => {});
  }

  async #run(mode, request) {
    const db = await this.#open();
    return db && done(request(db.transaction(STORE, mode).objectStore(STORE)));
  }

  /** The database, or null where there is none. */
  #open() {
    this.opening ??= this.#openOnce().catch(() => null);
    return this.opening;
  }

  async #openOnce() {
    const request = indexedDB.open(this.name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "key" });
    const db = await done(request);
    db.onclose = () => (this.opening = null);
    db.onversionchange = () => {
      db.close();
      this.opening = Promise.resolve(null); // it is being erased: nothing is stored any more
    };
    const drafts = fileDrafts(this.user);
    drafts.write(drafts.read() ?? {}); // it says that there is a database
    await this.#count(db);
    return db;
  }

  /** Count what is stored, and remove what no draft and no unsent message has: it was left by a crash. */
  async #count(db) {
    const files = db.transaction(STORE, "readwrite").objectStore(STORE);
    const stored = await done(files.getAll()); // before the drafts, which another tab writes before it stores
    const drafts = Object.values(fileDrafts(this.user).read() ?? {}).flat();
    const unsent = outboxMessages(this.user).flatMap(({ files }) => files ?? []);
    const used = new Set([...drafts, ...unsent].map(({ key }) => key));
    for (const { key, bytes } of stored)
      if (used.has(key)) this.sizes.set(key, bytes);
      else files.delete(key);
  }
}

/** The result of a request of IndexedDB. */
function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
