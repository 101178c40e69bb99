/** The calls of administrators, as `bell.admin`. They throw what `call` throws. */

import { BellwireError, backoffS } from "./client.js";
import { download, pages, reference } from "./calls.js";

const POLL_S = 25;
const ANSWER_TIMEOUT_S = 15;
const IMPORT_TIMEOUT_S = 120; // up to 1,000 lines, in transactions that others' sends share
const TRANSIENT_STATUSES = new Set([408, 429, 500, 502, 503, 504]);

export class Admin {
  #bell;

  constructor(bell) {
    this.#bell = bell;
  }

  #call(method, path, body = null, options = {}) {
    return this.#bell.call(method, `/admin${path}`, body, options);
  }

  #pages(path, query = {}) {
    return pages(this.#bell, `/admin${path}`, query);
  }

  // The people of your product

  /** Yield accounts: `filters` are {q, status, role}. */
  accounts(filters = {}) {
    return this.#pages("/users", filters);
  }

  /** Create up to 1,000 accounts, all or none, which are active at once: {username, email, display_name?, password?, role?, bot?}. */
  async createAccounts(users) {
    return (await this.#call("POST", "/users", { users })).items;
  }

  /** Make or change the account of one of your users. Doing it again changes nothing. Returns ACCOUNT. */
  putUser(externalId, fields) {
    return this.#call("PUT", `/users/${reference(`ext:${externalId}`)}`, fields);
  }

  /** Do the same for 1 to 1,000 users, each with `external_id`, all or none: {created, changed, unchanged, items}. */
  upsertUsers(users) {
    return this.#call("POST", "/users/upsert", { users }, { retry: true });
  }

  /** Change any account: {username, display_name, email, external_id, role}, each if it is there. Returns ACCOUNT. */
  changeUser(user, fields) {
    return this.#call("PATCH", `/users/${reference(user)}`, fields);
  }

  /**
   * Delete an account; `texts`, "keep" or "erase", says what becomes of messages, posts and comments. Returns the job, which
   * `jobs()` lists with its receipt under `deletions`.
   */
  async deleteUser(user, texts) {
    return (await this.#call("DELETE", `/users/${reference(user)}`, null, { query: { texts } })).job;
  }

  /** Resolves to a Response whose `body` is a zip of all that is a user's. Reading it throws if it breaks off. */
  exportUser(user) {
    return download(this.#bell, `/admin/users/${reference(user)}/export`);
  }

  /** Activate up to 10,000 accounts: {changed, unchanged, missing}. Their owners are told the reason. */
  activate(users, reason = "") {
    return this.#call("POST", "/users/activate", { ids: users, reason }, { retry: true });
  }

  /** Suspend up to 10,000 accounts, but not the caller's: their tokens end, and so do open polls. */
  suspend(users, reason = "") {
    return this.#call("POST", "/users/suspend", { ids: users, reason }, { retry: true });
  }

  /** Make a token for a user: {token, expires_at}. `options`: {label, expires_in} in seconds. */
  createToken(user, options = {}) {
    return this.#call("POST", `/users/${reference(user)}/tokens`, options);
  }

  /** End all tokens of a user, and those of your own issuing (JWT) up to now. */
  revokeTokens(user) {
    return this.#call("DELETE", `/users/${reference(user)}/tokens`);
  }

  // Your notifications

  /**
   * Notify users: {type, to | topic | conversation | role, actor?, values?, url?, dedupe?, not_before?, unless_read?}.
   * Returns {event}. With `dedupe` a repetition notifies nobody again: only then is a broken call repeated.
   */
  notify(notification) {
    return this.#call("POST", "/notify", notification, { retry: notification.dedupe !== undefined });
  }

  /** Yield your types of notifications, by name. */
  notificationTypes() {
    return this.#pages("/notification-types");
  }

  getNotificationType(type) {
    return this.#call("GET", `/notification-types/${encodeURIComponent(type)}`);
  }

  /** Define one of your types of notifications: {words, group_by?, in_app?, email?, push?, urgent?, url?}. */
  putNotificationType(type, definition) {
    return this.#call("PUT", `/notification-types/${encodeURIComponent(type)}`, definition);
  }

  /** Delete one of your types of notifications. What users chose for it stays. */
  deleteNotificationType(type) {
    return this.#call("DELETE", `/notification-types/${encodeURIComponent(type)}`);
  }

  /** Make a user a member of a topic, or no longer. */
  subscribe(topic, user, isSubscribed = true) {
    const path = `/topics/${encodeURIComponent(topic)}/members/${reference(user)}`;
    return this.#call(isSubscribed ? "PUT" : "DELETE", path);
  }

  /** Yield the members of a topic, by id. */
  topicMembers(topic) {
    return this.#pages(`/topics/${encodeURIComponent(topic)}/members`);
  }

  /**
   * Announce something to many users: {type, title, body, role | user_ids, data?}; `type` is one of Bellwire's own. Returns the
   * job, which `jobs()` lists under `fanouts`.
   */
  async announce(announcement) {
    return (await this.#call("POST", "/notifications", announcement)).job;
  }

  /** Why a user was notified, or was not: {event | message | notification, user}. Returns {event, type, at, user, rules}. */
  explain(query) {
    return this.#call("GET", "/explain", null, { query });
  }

  // Webhooks, and incoming hooks

  /** Yield webhooks, oldest first. */
  webhooks() {
    return this.#pages("/webhooks");
  }

  getWebhook(webhook) {
    return this.#call("GET", `/webhooks/${webhook}`);
  }

  /** Create a webhook: {url, types?, description?, from?}. Its `secret` is for `verifyWebhook`, and is not shown again. */
  createWebhook(definition) {
    return this.#call("POST", "/webhooks", definition);
  }

  /** Change a webhook: {url, types, description, state}, each if it is there. The state is active, paused or disabled. */
  changeWebhook(webhook, changes) {
    return this.#call("PATCH", `/webhooks/${webhook}`, changes);
  }

  /** A webhook with a new `secret`, beside which the one of before signs for a day. A broken call is not repeated. */
  rotateWebhook(webhook) {
    return this.#call("PATCH", `/webhooks/${webhook}`, { rotate: true }, { retry: false });
  }

  /** Let an event `webhook.test` be delivered, in any state. `last_status` and `last_error` tell the result. */
  testWebhook(webhook) {
    return this.#call("POST", `/webhooks/${webhook}/test`, null, { retry: true });
  }

  /** Deliver all that follows a {cursor}, which may be "begin", or a {time}, again if need be. */
  rewindWebhook(webhook, place) {
    return this.#call("POST", `/webhooks/${webhook}/rewind`, place, { retry: true });
  }

  deleteWebhook(webhook) {
    return this.#call("DELETE", `/webhooks/${webhook}`);
  }

  /** Yield the incoming hooks of all groups, oldest first. */
  allIncomingHooks() {
    return this.#pages("/hooks");
  }

  /** Yield the incoming hooks of a group, oldest first. */
  incomingHooks(conversation) {
    return this.#pages(`/conversations/${conversation}/hooks`);
  }

  /** Create an incoming hook, whose bot has the name `label`. `writeByHook` writes by its `url`, which is not shown again. */
  createIncomingHook(conversation, label) {
    return this.#call("POST", `/conversations/${conversation}/hooks`, { label });
  }

  /** Return an incoming hook with a new `url`; the one of before ends at once. It is not repeated if the answer was lost. */
  rotateIncomingHook(conversation, hook) {
    return this.#call("PATCH", `/conversations/${conversation}/hooks/${hook}`, { rotate: true }, { retry: false });
  }

  /** End an incoming hook: its bot leaves the group, and its messages stay. */
  deleteIncomingHook(conversation, hook) {
    return this.#call("DELETE", `/conversations/${conversation}/hooks/${hook}`);
  }

  // History, activity and jobs

  /**
   * Import up to 1,000 lines and 8 MiB at once: {user}, {conversation} or {message} each, known by their keys and the `source`.
   * Returns {users, conversations, messages, refused}. Doing it again changes nothing.
   */
  importHistory(lines, { source = null } = {}) {
    const headers = { "Content-Type": "application/x-ndjson" };
    const text = Array.from(lines, (line) => JSON.stringify(line)).join("\n");
    return this.#call("POST", "/import", text, { query: { source }, headers, retry: true, timeoutS: IMPORT_TIMEOUT_S });
  }

  /** Record an action of a user in your product: {action, user?, description?, metadata?, site?}. */
  reportActivity(activity) {
    return this.#bell.call("POST", "/activity", activity);
  }

  /** Yield the messages and posts that people have reported, newest first: those that are "open" or "closed", or all. */
  reports(state = null) {
    return this.#pages("/reports", { state });
  }

  /** Close all open reports of the same, by the action "dismiss", "delete" or "suspend". `note` is for administrators. */
  closeReport(report, action, note = null) {
    return this.#call("POST", `/reports/${report}`, { action, note }, { retry: true });
  }

  /** The state of background work: {deletions, fanouts, notices, webhooks, dead, queues, consumers, …}. */
  jobs() {
    return this.#call("GET", "/jobs");
  }

  /** Try a dead letter again. */
  retryJob(dead) {
    return this.#call("POST", `/jobs/${dead}/retry`, null, { retry: true });
  }

  // The log

  /**
   * Yield the events of all streams after `cursor`, in order and without an end; "begin": all that are kept; without one,
   * those to come. Each has `stream`, and its `id` is the cursor to go on from: who stores it in the transaction that
   * applies the event has each exactly once. Waits while the server can't be reached; throws BellwireError with the
   * status 410 when the cursor has expired. `types`: names or patterns such as "message.*"; `limit`: of one poll.
   */
  async *log({ cursor = null, types = null, limit = null, signal = null } = {}) {
    for (let failures = 0; !signal?.aborted;) {
      const query = { cursor, timeout: POLL_S, types: types?.join(), limit };
      const options = { query, signal, retry: false, timeoutS: POLL_S + ANSWER_TIMEOUT_S };
      let answer;
      try {
        answer = await this.#call("GET", "/log", null, options);
      } catch (error) {
        if (signal?.aborted) return;
        if (error instanceof BellwireError && !TRANSIENT_STATUSES.has(error.status)) throw error;
        await this.#bell.pause(backoffS(failures, error.retryAfter), signal);
        failures += 1;
        continue;
      }
      failures = 0;
      yield* answer.events;
      ({ cursor } = answer);
    }
  }
}
