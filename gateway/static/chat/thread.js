/** The loaded messages of one conversation: consecutive pages, oldest first, without gaps between them. */

export const PAGE_SIZE = 50;
const MAX_MESSAGES = 2000; // in memory; the oldest pages of a longer thread are dropped
export const PATIENT = { attempts: 8 }; // of calls that nobody waits for with a finger on a button: about half a minute

export class Thread {
  /** `around`: the message to begin at; without one it begins at the newest. */
  constructor(store, conversation, around = null) {
    this.store = store;
    this.conversation = conversation;
    this.loads = 0; // how often other pages were asked for, in place of all
    this.answering = new Set(); // the changes that came while an answer is awaited: a list of {id, run} for each
    this.restart(around);
  }

  /** Drop all pages and load the newest one again, or the one around a message. */
  restart(around = null) {
    this.pages = [];
    this.older = undefined; // the cursor of the next older page; null: there is none; undefined: nothing is loaded yet
    if (this.conversation < 0) this.older = null; // a chat that has not begun: nothing is on the server
    this.atEnd = true; // whether the newest message is loaded
    this.around = around;
    this.loading = null; // the promise of the load that replaces all pages
    this.error = null;
    this.open();
  }

  /** Load the first page, if it is neither there nor under way. `error` is why that failed. */
  async open() {
    if (this.isLoaded) return;
    if (this.error) this.#setError(null);
    try {
      await (this.loading ?? this.#replace({ around: this.around }, PATIENT));
    } catch (error) {
      this.#setError(error);
    }
  }

  #setError(error) {
    this.error = error;
    this.store.emit("thread", this.conversation);
  }

  get isLoaded() {
    return this.older !== undefined;
  }

  get hasOlder() {
    return Boolean(this.first) && this.older != null;
  }

  get hasNewer() {
    return Boolean(this.last) && !this.atEnd;
  }

  get first() {
    return this.pages[0]?.[0];
  }

  get last() {
    return this.pages.at(-1)?.at(-1);
  }

  get size() {
    return this.pages.reduce((sum, page) => sum + page.length, 0);
  }

  find(id) {
    for (const page of this.pages)
      if (id <= page.at(-1)?.id) return page.find((message) => message.id === id);
    return undefined;
  }

  /** Load a page. The answer may be older than the changes that came meanwhile: they are made again. */
  async #fetch(query, patience = PATIENT) {
    const path = `/conversations/${this.conversation}/messages`;
    const options = { ...patience, query: { limit: PAGE_SIZE, ...query } };
    const changes = [];
    this.answering.add(changes);
    try {
      const page = await this.store.bell.call("GET", path, null, options);
      const messages = page.items.sort((a, b) => a.id - b.id);
      for (const { id, run } of changes) changeIn(messages, id, run);
      return { messages, older: page.next };
    } finally {
      this.answering.delete(changes);
    }
  }

  /** Replace all pages. */
  #replace(query, patience) {
    const loading = this.#load(query, patience).finally(() => {
      if (this.loading === loading) this.loading = null;
    });
    this.loading = loading;
    return loading;
  }

  /** Replace all pages, unless others were asked for meanwhile. */
  async #load(query, patience) {
    const number = ++this.loads;
    const { messages, older } = await this.#fetch(query, patience);
    if (number !== this.loads) return this.loading ?? this.open();
    const newest = messages.at(-1)?.id ?? 0;
    const arrivedMeanwhile = query.around ? [] : this.pages.flat().filter((message) => message.id > newest);
    this.pages = [[...messages, ...arrivedMeanwhile]].filter((page) => page.length);
    this.older = older;
    this.#updateAtEnd();
    this.store.emit("thread", this.conversation);
  }

  /** Compare with the conversation: a message that arrived while `atEnd` was false was not added here. */
  #updateAtEnd() {
    const newest = this.store.conversations.get(this.conversation)?.last_message?.id ?? 0;
    this.atEnd = (this.last?.id ?? 0) >= newest;
  }

  /** Load the messages around one message, in place of all others. Somebody waits for them. */
  goTo(message) {
    return this.#replace({ around: message }, {});
  }

  goToEnd() {
    return this.#replace({}, {});
  }

  /** Add a page before the first one, or after the last one. A second call waits for the first; `run` is what it does. */
  #extend(run) {
    this.extending ??= run().finally(() => (this.extending = null));
    return this.extending;
  }

  loadOlder() {
    return this.#extend(() => this.#loadOlder());
  }

  loadNewer() {
    return this.#extend(() => this.#loadNewer());
  }

  async #loadOlder() {
    if (!this.hasOlder) return;
    const query = this.older === "" ? { around: this.first.id } : { page: this.older };
    const { pages } = this;
    const { messages, older } = await this.#fetch(query);
    if (pages !== this.pages) return; // these are others now
    const before = messages.filter((message) => message.id < this.first.id);
    this.older = before.length ? older : null;
    if (before.length) this.pages.unshift(before);
    this.store.emit("thread", this.conversation);
  }

  async #loadNewer() {
    if (!this.hasNewer) return;
    const { pages } = this;
    const { messages } = await this.#fetch({ around: this.last.id });
    if (pages !== this.pages) return;
    const after = messages.filter((message) => message.id > this.last.id);
    if (after.length) this.pages.push(after);
    this.#updateAtEnd();
    this.store.emit("thread", this.conversation);
  }

  /**
   * Add a new message at its place by id: the answer to the user's own send may come before the event of an earlier
   * message.
   */
  add(message) {
    if (!this.atEnd || this.find(message.id)) return;
    const page = this.pages.at(-1);
    if (!page || (page.length >= PAGE_SIZE && message.id > page.at(-1).id)) this.pages.push([message]);
    else page.splice(page.findLastIndex((earlier) => earlier.id < message.id) + 1, 0, message);
    this.store.emit("thread", this.conversation);
  }

  /** Drop the oldest pages beyond MAX_MESSAGES. Call this only while the newest messages are in view. */
  trim() {
    while (this.size > MAX_MESSAGES && this.pages.length > 2) {
      this.pages = this.pages.slice(1); // others: an older page that is being loaded does not fit before them
      this.older = ""; // no cursor is known: the next older page is loaded around the first message
    }
  }

  replace(message) {
    this.change(message.id, () => message);
  }

  /** Replace a message, if it is loaded or being loaded, with `run(message)`. */
  change(id, run) {
    for (const changes of this.answering) changes.push({ id, run });
    const isChanged = this.pages.some((page) => changeIn(page, id, run));
    if (isChanged) this.store.emit("thread", this.conversation);
  }
}

function changeIn(messages, id, run) {
  const index = messages.findIndex((message) => message.id === id);
  if (index >= 0) messages[index] = run(messages[index]);
  return index >= 0;
}
