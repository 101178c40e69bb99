/** Whether this device notifies its user, and its push subscription, by which it does so while no page is open. */

import { deviceAlerts, pushReport } from "../shared/storage.js";

const REPORT_AFTER_MS = 86_400_000; // the server is told of the subscription again, and asked for its key
const READY_WITHIN_MS = 60_000; // a worker loads the page's files first
const PATH = "/me/push";

/** Register the service worker. Resolves to the registration, when a worker is active; throws TypeError when none can be loaded. */
export async function registered() {
  await navigator.serviceWorker.register("/service-worker.js", { updateViaCache: "none" });
  const tooLate = new Promise((_, reject) => setTimeout(reject, READY_WITHIN_MS, new TypeError()));
  return Promise.race([navigator.serviceWorker.ready, tooLate]);
}

/**
 * What is possible here: "home-screen" (iPhone and iPad: not before the page is on the home screen), "unsupported",
 * "blocked" (by the browser), "off", "open" (on, while a page is open) or "on".
 */
export function stateOf(user) {
  if (!isInstalled() && isAppleMobile()) return "home-screen";
  if (!globalThis.Notification || !navigator.serviceWorker) return "unsupported";
  if (Notification.permission === "denied") return "blocked";
  if (Notification.permission !== "granted" || !deviceAlerts(user).read()) return "off";
  return pushReport.read()?.endpoint ? "on" : "open";
}

const isInstalled = () => navigator.standalone || matchMedia("(display-mode: standalone)").matches;
const isAppleMobile = () =>
  /iPhone|iPad|iPod/.test(navigator.userAgent) || (/Macintosh/.test(navigator.userAgent) && navigator.maxTouchPoints > 1);

/** Ask for the permission, and subscribe. Call it when the user has pressed a button: browsers refuse it otherwise. */
export async function turnOn(bell) {
  if ((await Notification.requestPermission()) !== "granted") return;
  deviceAlerts(bell.user.id).write("on");
  await subscribe(bell);
}

/** End the notifications of this device. */
export async function turnOff(bell) {
  const subscription = await forget(bell.user.id);
  if (subscription) await remove(bell, subscription);
}

/** The same without the server, which ends a subscription with the session. Resolves to the subscription that there was. */
export async function forget(user) {
  deviceAlerts(user).remove();
  pushReport.remove();
  const registration = await navigator.serviceWorker?.getRegistration();
  for (const shown of (await registration?.getNotifications?.()) ?? []) shown.close();
  const subscription = await registration?.pushManager?.getSubscription();
  await subscription?.unsubscribe();
  return subscription;
}

/** Renew the subscription of a device that is on, once a day and when the browser has changed it. */
export async function renew(bell) {
  if (!["on", "open"].includes(stateOf(bell.user.id))) return;
  const { endpoint, at = 0 } = pushReport.read() ?? {};
  const subscription = await (await registered()).pushManager?.getSubscription();
  if (endpoint === (subscription?.endpoint ?? "") && Date.now() - at < REPORT_AFTER_MS) return;
  const isRemoved = endpoint && endpoint === subscription?.endpoint && !(await subscriptions(bell)).some((one) => one.endpoint === endpoint);
  await (isRemoved ? turnOff(bell) : subscribe(bell)); // removed on another device
}

/** The devices that have a subscription. */
export async function subscriptions(bell) {
  return (await bell.call("GET", PATH)).items;
}

/** End the subscription of a device. */
export const remove = (bell, { endpoint }) => bell.call("DELETE", PATH, { endpoint });

/** Subscribe with the server's key. Without a push service, this device is notified while a page is open. */
async function subscribe(bell) {
  const { key } = await bell.call("GET", "/push/key");
  const { pushManager } = await registered();
  const subscription = await subscriptionWith(pushManager, key).catch(() => null);
  if (subscription) await bell.call("PUT", PATH, subscription.toJSON());
  pushReport.write({ endpoint: subscription?.endpoint ?? "", at: Date.now() });
}

/** The subscription of this browser. One with another key of the server is replaced. */
async function subscriptionWith(pushManager, key) {
  const old = await pushManager.getSubscription();
  if (old && base64url(old.options.applicationServerKey) === key) return old;
  await old?.unsubscribe();
  return pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
}

function base64url(buffer) {
  const text = btoa(String.fromCharCode(...new Uint8Array(buffer)));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
