/**
 * Files that are to be sent: they are uploaded at once, before the message that they belong to, and kept until it is sent.
 * Each tab has one object for each of them. A file that two tabs have is uploaded by one of them.
 */

import { BellwireError, uniqueId } from "../client.js";
import { upload } from "../upload.js";
import { errorText, toast } from "./dom.js";
import { FileStore, FullError } from "./file-store.js";
import { formatBytes } from "./sizes.js";
import { t } from "./words.js";

const MAX_AT_ONCE = 2;
const ATTEMPTS = 8; // about half a minute; then the user is told, and it begins again with the next connection
const REUSED_FOR_MS = 23 * 3600_000; // the server keeps what is not sent for 24 hours

/** One file. It dispatches "change" when any of its properties changes. */
export class Attachment extends EventTarget {
  constructor({ key = uniqueId(), name, type, bytes, blob = null, id = null, uploaded = 0 }) {
    super();
    Object.assign(this, { key, name, type, bytes, blob, id, uploaded });
    this.sent = 0; // bytes
    this.error = null; // a text
    this.isRefused = false; // whether another attempt would end in the same way
    this.removing = new AbortController();
    this.saved = null; // the promise that it is stored, or can't be
  }

  /** Whether it is on the server, and will still be there when it is sent. */
  get isUploaded() {
    return Boolean(this.id) && Date.now() - this.uploaded < REUSED_FOR_MS;
  }

  /** How much of it is uploaded, from 0 to 1. */
  get progress() {
    return this.isUploaded ? 1 : Math.min(0.99, this.sent / Math.max(1, this.bytes));
  }

  /** What a draft or an unsent message has of it. */
  get facts() {
    const { key, name, type, bytes } = this;
    return { key, name, type, bytes };
  }

  change(values) {
    Object.assign(this, values);
    this.dispatchEvent(new Event("change"));
  }

  get isRemoved() {
    return this.removing.signal.aborted;
  }

  end() {
    this.removing.abort();
    this.change({ blob: null });
  }
}

const attachments = new WeakMap(); // store -> Attachments

/** The files of the user of a store. */
export function attachmentsOf(store) {
  if (!attachments.has(store)) attachments.set(store, new Attachments(store));
  return attachments.get(store);
}

class Attachments {
  constructor(store) {
    this.store = store;
    this.files = new FileStore(store.me.id);
    this.known = new Map(); // key -> Attachment
    this.uploading = new Map(); // key -> the promise of its id
    this.waiting = []; // functions that let an upload look whether it may begin
    this.running = 0;
    const again = () => this.#uploadAgain();
    store.bell.addEventListener("online", again, { signal: store.signal });
  }

  /** Begin to upload a file. */
  add(file, name) {
    const attachment = new Attachment({ name, type: file.type, bytes: file.size, blob: file });
    this.known.set(attachment.key, attachment);
    attachment.saved = this.#save(attachment);
    return attachment;
  }

  /** The files of a draft or an unsent message, which this or another page has added. */
  of(list) {
    return list.map((facts) => {
      if (!this.known.has(facts.key)) this.known.set(facts.key, this.#restored(facts));
      return this.known.get(facts.key);
    });
  }

  #restored(facts) {
    const attachment = new Attachment(facts);
    attachment.saved = this.files.read(facts.key).then((record) => {
      if (record) attachment.change({ blob: record.blob, id: record.id, uploaded: record.uploaded });
    });
    return attachment;
  }

  async #save(attachment) {
    try {
      const { facts, blob, id, uploaded } = attachment;
      const isStored = await this.files.write({ ...facts, blob, id, uploaded });
      if (attachment.isRemoved) this.files.remove(attachment.key);
      else if (!isStored) this.#tellNotStored();
    } catch (error) {
      if (!(error instanceof FullError)) throw error;
      this.remove([attachment]);
      toast(t("attach.store-full"));
    }
  }

  #tellNotStored() {
    if (!this.isTold) toast(t("attach.not-stored"));
    this.isTold = true;
  }

  /** They were sent, or are not to be. */
  remove(list) {
    for (const { key } of list) {
      this.known.get(key)?.end();
      this.known.delete(key);
      this.files.remove(key);
    }
  }

  /** Resolve to the id of an uploaded file; upload it if it is not. */
  upload(attachment) {
    const { key } = attachment;
    if (!this.uploading.has(key))
      this.uploading.set(key, this.#upload(attachment).finally(() => this.uploading.delete(key)));
    return this.uploading.get(key);
  }

  /** Upload without waiting: what fails is said by the attachment. */
  begin(attachment) {
    this.upload(attachment).catch(() => {});
  }

  async #upload(attachment) {
    await attachment.saved;
    if (attachment.isUploaded) return attachment.id;
    const signal = AbortSignal.any([this.store.signal, attachment.removing.signal]);
    await this.#slot(signal);
    try {
      signal.throwIfAborted();
      attachment.change({ error: null, isRefused: false, sent: 0 });
      return await locked(`bellwire:upload:${attachment.key}`, signal, () => this.#send(attachment, signal));
    } catch (refusal) {
      const error = explained(refusal);
      if (!signal.aborted) attachment.change({ error: errorText(error), isRefused: isRefusal(error), sent: 0 });
      throw error;
    } finally {
      this.#free();
    }
  }

  /** Upload it, unless another tab has done that meanwhile. */
  async #send(attachment, signal) {
    const { key, name } = attachment;
    const record = await this.files.read(key);
    if (record?.id && record.id !== attachment.id) attachment.change({ id: record.id, uploaded: record.uploaded });
    if (attachment.isUploaded) return attachment.id;
    if (!attachment.blob) throw lost();
    const onprogress = ({ sent, total }) => attachment.change({ sent: (sent / Math.max(1, total)) * attachment.bytes });
    const { id } = await upload(this.store.bell, attachment.blob, { name, onprogress, signal, attempts: ATTEMPTS });
    attachment.change({ id, uploaded: Date.now() });
    await this.#save(attachment);
    return id;
  }

  /** Wait until fewer than MAX_AT_ONCE are uploaded. */
  async #slot(signal) {
    while (this.running >= MAX_AT_ONCE && !signal.aborted)
      await new Promise((resolve) => {
        this.waiting.push(resolve);
        signal.addEventListener("abort", resolve, { once: true });
      });
    this.running += 1;
  }

  #free() {
    this.running -= 1;
    for (const look of this.waiting.splice(0)) look();
  }

  #uploadAgain() {
    for (const attachment of this.known.values())
      if (attachment.error && !attachment.isRefused) this.begin(attachment);
  }

  /**
   * Call `send(ids)` when all files of `list` are uploaded. If the server refuses the files, since they are too old or were
   * sent, they are uploaded anew once.
   */
  async send(list, send) {
    const files = this.of(list);
    for (let isAnew = false; ; isAnew = true) {
      const ids = await Promise.all(files.map((file) => this.upload(file)));
      try {
        return await send(ids);
      } catch (error) {
        if (isAnew || !error.fields?.files) throw error;
        for (const file of files) await this.#forget(file);
      }
    }
  }

  async #forget(attachment) {
    attachment.change({ id: null, uploaded: 0 });
    await this.#save(attachment);
  }
}

/** Run a function in one tab of the browser at a time. Without locks, or cookies to share anything by, it just runs. */
function locked(name, signal, run) {
  return navigator.locks && navigator.cookieEnabled ? navigator.locks.request(name, { signal }, run) : run();
}

const isRefusal = (error) => error instanceof BellwireError && error.status < 500;
const lost = () => new BellwireError(404, { type: "file-lost" });

/** The refusal of an upload says what is left of the day. */
function explained(error) {
  if (error.slug !== "quota-exceeded") return error;
  const detail = t("attach.quota", { left: formatBytes(error.problem.left ?? 0) });
  return new BellwireError(429, { type: "attach-quota", detail });
}
