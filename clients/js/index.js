/**
 * Bellwire's client with what a product's backend needs: the calls of its users and of administrators, as `bell.admin`, acting
 * for a user, and the check of webhooks.
 *
 *     import { Bellwire, verifyWebhook } from "@bellwire/client";
 *     const bell = new Bellwire({ url: "https://chat.example.org", token: process.env.BELLWIRE_TOKEN });
 *     await bell.admin.notify({ type: "order.sent", to: ["ext:42"], values: { order: 7 }, dedupe: "order-7-sent" });
 *     for await (const event of bell.admin.log({ cursor })) await apply(event); // and store event.id with it
 */

import { Admin } from "./admin.js";
import { UserClient, reference } from "./calls.js";

export { BellwireError, backoffS, uniqueId } from "./client.js";
export { WebhookVerificationError, verifyWebhook } from "./webhooks.js";

export class Bellwire extends UserClient {
  #options;

  constructor(options = {}) {
    super(options);
    this.#options = options;
    this.admin = new Admin(this);
  }

  /** A client whose calls an administrator makes as this user, an id or "ext:ID". Those below /admin are not. */
  actingAs(user) {
    const headers = { ...this.headers, "Bellwire-As": reference(user) };
    return new Bellwire({ ...this.#options, token: this.#options.token ?? this.token, headers });
  }
}
