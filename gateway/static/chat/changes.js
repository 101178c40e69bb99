/** What changed in a conversation, to be shown among its messages: who came and went, and new titles. */

import { PATIENT } from "./thread.js";

const PAGE_SIZE = 100;
const MESSAGES_PER_EMPTY_PAGE = 200; // a page without a change goes back as far as about so many messages, or further

/** The loaded changes of a conversation, as events: all since a time, which moves back page by page. */
export class Changes {
  constructor(store, conversation) {
    Object.assign(this, { store, conversation });
    this.restart();
  }

  restart() {
    this.events = []; // oldest first
    this.older = this.conversation < 0 ? null : undefined; // the cursor of the next page; null: all are loaded
    this.emptyPages = 0;
  }

  /** Add an event that has just happened, if it is one of this conversation. Returns whether it was. */
  add(event) {
    const isOwn = (event.data.conversation ?? event.data.id) === this.conversation;
    if (!isOwn || this.#has(event)) return false;
    const place = this.events.findLastIndex(({ at }) => at <= event.at) + 1;
    this.events.splice(place, 0, event);
    return true;
  }

  #has({ id }) {
    return this.events.some((event) => event.id === id);
  }

  /** Whether changes may be missing between the loaded messages of a thread. */
  isMissing({ first, size }) {
    if (this.older === undefined) return true;
    const isCovered = !first || this.events[0]?.at < first.created_at;
    return this.older !== null && !isCovered && this.emptyPages <= size / MESSAGES_PER_EMPTY_PAGE;
  }

  async loadPage() {
    const path = `/conversations/${this.conversation}/changes`;
    const options = { ...PATIENT, query: { limit: PAGE_SIZE, page: this.older } };
    const { items, next } = await this.store.bell.call("GET", path, null, options).catch((error) => {
      if (error.status) this.older = null; // without them the messages are complete nevertheless
      throw error;
    });
    const earlier = items.filter((event) => !this.#has(event)).reverse();
    this.events.unshift(...earlier);
    this.emptyPages += Number(!items.length);
    this.older = next;
  }

  /** The changes from one message to the next; without them, from the beginning or to the end. */
  between(before, after) {
    const start = before ? this.#placeOf(before.created_at) : 0;
    return this.events.slice(start, after ? this.#placeOf(after.created_at) : undefined);
  }

  /** The number of changes before a time. */
  #placeOf(at) {
    let [low, high] = [0, this.events.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.events[middle].at < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
