/**
 * Bellwire's client with what a product's backend needs: the calls of administrators, as `bell.admin`, acting for a user,
 * and the check of webhooks.
 *
 *     import { Bellwire, verifyWebhook } from "@bellwire/client";
 *     const bell = new Bellwire({ url: "https://chat.example.org", token: process.env.BELLWIRE_TOKEN });
 *     await bell.admin.notify({ type: "order.sent", to: ["ext:42"], values: { order: 7 }, dedupe: "order-7-sent" });
 *     for await (const event of bell.admin.log({ cursor })) await apply(event); // and store event.id with it
 */

import { Bellwire as Client, BellwireError, backoffS, uniqueId } from "./client.js";

export { BellwireError, backoffS, uniqueId };

const POLL_S = 25;
const ANSWER_TIMEOUT_S = 15;
const WEBHOOK_TOLERANCE_S = 300;
const TRANSIENT_STATUSES = new Set([408, 429, 500, 502, 503, 504]);

export class Bellwire extends Client {
  #options;

  constructor(options = {}) {
    super(options);
    this.#options = options;
    this.admin = new Admin(this);
  }

  /** A client whose calls an administrator makes as this user, an id or "ext:ID". Those below /admin are not. */
  actingAs(user) {
    const headers = { ...this.headers, "Bellwire-As": String(user) };
    return new Bellwire({ ...this.#options, token: this.#options.token ?? this.token, headers });
  }
}

/** The calls of administrators. They throw what `call` throws. */
class Admin {
  #bell;

  constructor(bell) {
    this.#bell = bell;
  }

  /** Make or change the account of one of your users. Doing it again changes nothing. Returns USER. */
  putUser(externalId, fields) {
    return this.#bell.call("PUT", `/admin/users/${reference(`ext:${externalId}`)}`, fields);
  }

  /** Do the same for 1 to 1,000 users, each with `external_id`, all or none: {created, changed, unchanged, items}. */
  upsertUsers(users) {
    return this.#bell.call("POST", "/admin/users/upsert", { users }, { retry: true });
  }

  /** Make a token for a user: {token, expires_at}. `options`: {label, expires_in} in seconds. */
  createToken(user, options = {}) {
    return this.#bell.call("POST", `/admin/users/${reference(user)}/tokens`, options);
  }

  /** End all tokens of a user, and those of your own that were issued up to now. */
  endTokens(user) {
    return this.#bell.call("DELETE", `/admin/users/${reference(user)}/tokens`);
  }

  /** Delete a user's account. `texts` is "keep", or "erase" for all that they wrote. Returns {job}, which goes on by itself. */
  deleteUser(user, texts) {
    return this.#bell.call("DELETE", `/admin/users/${reference(user)}`, null, { query: { texts } });
  }

  /**
   * Notify users: {type, to | topic | conversation | role, actor?, values?, url?, dedupe?, not_before?, unless_read?}.
   * Returns {event}. With `dedupe` a repetition notifies nobody again: only then is a broken call repeated.
   */
  notify(notification) {
    return this.#bell.call("POST", "/admin/notify", notification, { retry: notification.dedupe !== undefined });
  }

  /** Define one of your types of notifications: {words, group_by?, in_app?, email?, push?, urgent?, url?}. */
  putNotificationType(type, definition) {
    return this.#bell.call("PUT", `/admin/notification-types/${encodeURIComponent(type)}`, definition);
  }

  /** Delete one of your types. What its users chose stays. */
  deleteNotificationType(type) {
    return this.#bell.call("DELETE", `/admin/notification-types/${encodeURIComponent(type)}`);
  }

  /**
   * Have the log pushed to an address: {url, types?, description?, from?}. The answer's `secret`, with which `verifyWebhook`
   * checks what arrives, is not shown again.
   */
  createWebhook(webhook) {
    return this.#bell.call("POST", "/admin/webhooks", webhook);
  }

  /** Make a user a member of a topic, or no longer. */
  subscribe(topic, user, isSubscribed = true) {
    const path = `/admin/topics/${encodeURIComponent(topic)}/members/${reference(user)}`;
    return this.#bell.call(isSubscribed ? "PUT" : "DELETE", path);
  }

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
        answer = await this.#bell.call("GET", "/admin/log", null, options);
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

const reference = (user) => encodeURIComponent(String(user));

/** A request that is none of Bellwire's webhooks. */
export class WebhookVerificationError extends Error {}

/**
 * Check the signature of a webhook (Standard Webhooks) and resolve to its {type, timestamp, data}. `body`: what arrived, a
 * string or bytes; `headers`: Headers, or an object with names in any case; `secret`: what making or rotating the webhook
 * answered. The id is the event's cursor: a webhook may come more than once. Throws WebhookVerificationError.
 */
export async function verifyWebhook(body, headers, secret) {
  const sent = new Map([...(headers.entries?.() ?? Object.entries(headers))].map(([name, value]) => [name.toLowerCase(), value]));
  const [id, timestamp, signatures] = ["id", "timestamp", "signature"].map((name) => String(sent.get(`webhook-${name}`) ?? ""));
  const isNear = Math.abs(Date.now() / 1000 - Number(timestamp)) <= WEBHOOK_TOLERANCE_S;
  if (!id || !timestamp || !isNear) throw new WebhookVerificationError("The headers of the webhook are missing or too old");
  const text = typeof body === "string" ? body : new TextDecoder().decode(body);
  const signed = new TextEncoder().encode(`${id}.${timestamp}.${text}`);
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", bytesOf(secret.replace(/^whsec_/, "")), hmac, false, ["verify"]);
  for (const signature of signatures.split(" ").filter((part) => part.startsWith("v1,"))) {
    if (await crypto.subtle.verify("HMAC", key, bytesOf(signature.slice(3)), signed)) return JSON.parse(text);
  }
  throw new WebhookVerificationError("The signature of the webhook is wrong");
}

/** The bytes of a text in Base64. */
function bytesOf(base64) {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return new Uint8Array(0); // no signature, or no secret, fits
  }
}
