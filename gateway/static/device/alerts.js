/** The notifications of this device: the service worker that shows them. It is started when the page is there. */

/** Register the service worker. */
export async function startAlerts() {
  await navigator.serviceWorker.register("/service-worker.js", { updateViaCache: "none" });
}
