/**
 * The notifications of this device while a page is open but hidden. The server pushes only to users who have no page open.
 * A notification has the tag that a push about the same would have, so none is shown twice.
 */

import { inWords, loadNotices, noticeAddress } from "../account/notices.js";
import { summary } from "../chat/markup.js";
import { nameOf, titleOf } from "../shared/format.js";
import { t } from "../shared/words.js";
import { isQuiet } from "./quiet.js";
import { registered, renew, stateOf } from "./push.js";

const CHOICES_VALID_MS = 60_000;
const CLOSE_AFTER_MS = 300; // many messages may be read at once
const BODY_CHARS = 200; // as a push has
const CONVERSATION_TAG = /^conversation-(\d+)$/;

/** Register the service worker, and notify the user of a Store until its session ends. Without a worker the next visit tries again. */
export async function startAlerts(store) {
  const registration = await registered().catch(() => null);
  if (!registration) return;
  const alerts = new Alerts(store, registration);
  const listen = (name, run) => store.addEventListener(name, ({ detail }) => run(detail), { signal: store.signal });
  listen("message", (message) => alerts.onMessage(message));
  listen("notification", (data) => alerts.onNotification(data));
  listen("conversations", () => alerts.closeSoon());
  store.signal.addEventListener("abort", () => alerts.close(() => true)); // they are this user's
  alerts.closeSoon();
  await renew(store.bell);
}

class Alerts {
  #choices = null; // the promise of the user's choices
  #closeTimer;

  constructor(store, registration) {
    Object.assign(this, { store, registration });
  }

  async onMessage(message) {
    const { store } = this;
    const conversation = store.conversations.get(message.conversation);
    if (!document.hidden || !conversation || message.sender === store.me.id || store.isFolded(message)) return;
    const level = store.levelOf(conversation);
    if (level === "none" || (level === "mentions" && !store.mentionsMe(message))) return;
    const urgent = message.priority === "urgent";
    if (!(await this.#isWanted("message", urgent))) return;
    const name = nameOf(await store.loadedPerson(message.sender));
    const text = summary(message, BODY_CHARS);
    const body = conversation.kind === "direct" ? text : t("composer.original", { name, text });
    const url = `/#/conversations/${message.conversation}/${message.id}`;
    this.#show({ title: titleOf(conversation, store.me), body, url, tag: `conversation-${message.conversation}`, urgent });
  }

  /** `data` is a new NOTIFICATION, or {ids} or {all} of those that were read. Those about messages come with the message. */
  async onNotification(data) {
    if (!data.id) return this.close(({ tag }) => data.all || data.ids.some((id) => tag === `notification-${id}`));
    if (data.read_at || data.type === "message" || !(await this.#isWanted(data.type, false))) return undefined;
    await loadNotices();
    const { id, title, body } = inWords(data);
    return this.#show({ title, body, url: noticeAddress(data) ?? "/#/notifications", tag: `notification-${id}` });
  }

  /** Whether a hidden page is to notify: this device is on, and neither a preference nor quiet hours are against it. */
  async #isWanted(type, urgent) {
    if (!document.hidden || !["on", "open"].includes(stateOf(this.store.me.id))) return false;
    this.#choices ??= this.#loadChoices();
    const { me, preferences } = await this.#choices;
    return preferences[type]?.push !== false && (urgent || !isQuiet(me.quiet, me.profile?.timezone, new Date()));
  }

  /** The quiet hours and preferences of the user. Without an answer there are none. */
  async #loadChoices() {
    setTimeout(() => (this.#choices = null), CHOICES_VALID_MS);
    const { bell } = this.store;
    const [me, preferences] = await Promise.all([
      bell.call("GET", "/me").catch(() => ({})),
      bell.call("GET", "/notification-preferences").catch(() => ({})),
    ]);
    return { me, preferences };
  }

  #show(notification) {
    this.registration.active.postMessage(notification);
  }

  /** Close the notifications about conversations that were read. */
  closeSoon() {
    clearTimeout(this.#closeTimer);
    const isRead = ({ tag }) => {
      const [, id] = tag.match(CONVERSATION_TAG) ?? [];
      return id && !this.store.conversations.get(Number(id))?.unread;
    };
    this.#closeTimer = setTimeout(() => this.close(isRead), CLOSE_AFTER_MS);
  }

  /** Close the notifications of this device for which `isRead` returns true. */
  async close(isRead) {
    for (const shown of await this.registration.getNotifications()) if (isRead(shown)) shown.close();
  }
}
