/** Webhooks are signed as Standard Webhooks (standardwebhooks.com): this checks what a receiver was sent. */

const WEBHOOK_TOLERANCE_S = 300;

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
