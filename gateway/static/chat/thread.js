/** The messages of one conversation that are loaded: pages of them, oldest first, without a gap in between. */

const PAGE = 50;
const KEPT = 2000; // messages; of a conversation that goes on and on, the oldest are dropped again

export class Thread {
  constructor(store, conversation) {
    this.store = store;
    this.conversation = conversation;
    this.restart();
  }

  /** Forgets everything: it is loaded anew. */
  restart() {
    this.pages = [];
    this.older = undefined; // where the next page begins: null when there is none, undefined as long as nothing is loaded
    this.atEnd = true; // whether the newest message is loaded
    this.loading = this.#load({});
    this.loading.catch(() => {}); // whoever shows it waits for it, and says what went wrong
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
    for (const page of this.pages) if (id <= page.at(-1)?.id) return page.find((message) => message.id === id);
    return undefined;
  }

  async #list(query) {
    const path = `/conversations/${this.conversation}/messages`;
    const found = await this.store.bell.call("GET", path, null, { query: { limit: PAGE, ...query } });
    return { messages: found.items.sort((a, b) => a.id - b.id), older: found.next };
  }

  async #load(query) {
    const { messages, older } = await this.#list(query);
    const live = query.around ? [] : this.pages.flat().filter((one) => one.id > (messages.at(-1)?.id ?? 0));
    this.pages = [[...messages, ...live]].filter((page) => page.length);
    this.older = older;
    this.#look();
    this.store.emit("thread", this.conversation);
  }

  /** Whether the newest message is here: what came while it was not, and a page was on its way, was not added. */
  #look() {
    this.atEnd = (this.last?.id ?? 0) >= (this.store.conversations.get(this.conversation)?.last_message?.id ?? 0);
  }

  /** Loads the place around a message, instead of the end. */
  goTo(message) {
    this.loading = this.#load({ around: message });
    return this.loading;
  }

  goToEnd() {
    this.loading = this.#load({});
    return this.loading;
  }

  async loadOlder() {
    if (this.older === null || !this.first) return;
    const { messages, older } = await this.#list(this.older === "" ? { around: this.first.id } : { page: this.older });
    const before = messages.filter((message) => message.id < this.first.id);
    this.older = before.length ? older : null;
    if (before.length) this.pages.unshift(before);
    this.store.emit("thread", this.conversation);
  }

  async loadNewer() {
    if (this.atEnd) return;
    const { messages } = await this.#list({ around: this.last.id });
    const after = messages.filter((message) => message.id > this.last.id);
    if (after.length) this.pages.push(after);
    this.#look();
    this.store.emit("thread", this.conversation);
  }

  /** One's own message may be answered before the event of an earlier one comes. */
  add(message) {
    if (!this.atEnd || this.find(message.id)) return;
    const page = this.pages.at(-1);
    if (!page || (page.length >= PAGE && message.id > page.at(-1).id)) this.pages.push([message]);
    else page.splice(page.findLastIndex((one) => one.id < message.id) + 1, 0, message);
    this.store.emit("thread", this.conversation);
  }

  /** Drops what is old, once nobody looks at it: see KEPT. */
  trim() {
    while (this.size > KEPT && this.pages.length > 2) {
      this.pages.shift();
      this.older = ""; // to be asked for by what is around the first
    }
  }

  replace(message) {
    this.change(message.id, () => message);
  }

  change(id, run) {
    for (const page of this.pages) {
      const place = page.findIndex((message) => message.id === id);
      if (place < 0) continue;
      page[place] = run(page[place]);
      this.store.emit("thread", this.conversation);
      return;
    }
  }
}
