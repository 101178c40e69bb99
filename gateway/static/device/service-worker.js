/**
 * The service worker of the page: the page opens without a connection, and pushed notifications are shown.
 *
 * The server writes four constants before this text: VERSION (of the page), CACHE (a name made of the contents of all
 * files), FILES ({path: integrity}) and WORDS ({language: {key: text}}). A worker of another version is another text, so
 * browsers install it. It keeps no answer of the API.
 */

const DOCUMENT_TIMEOUT_MS = 5000; // then the page as it is kept is better than none
const ANSWER_TIMEOUT_MS = 1000; // of a page
const MAX_CURRENT = 50;
const { registration } = self;
const scope = new URL(registration.scope);
const current = new Set(); // ids of pages whose document is of this version: what is kept fits them
let isLeaving = false;

self.addEventListener("install", (event) => {
  event.addRoutes?.({ condition: { urlPattern: { pathname: "/api/*" } }, source: "network" }); // polls don't keep this running
  event.waitUntil(install());
});
self.addEventListener("activate", (event) => event.waitUntil(removeCaches((name) => name !== CACHE)));
self.addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  const { origin, pathname } = new URL(url);
  if (method !== "GET" || origin !== scope.origin) return;
  if (mode === "navigate" && pathname === scope.pathname) event.respondWith(answerDocument(event));
  else if (Object.hasOwn(FILES, pathname)) event.respondWith(answerFile(event, pathname));
});
self.addEventListener("push", (event) => event.waitUntil(onPush(event.data)));
self.addEventListener("notificationclick", (event) => event.waitUntil(openFrom(event.notification)));
self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(subscribeAgain(event)));
self.addEventListener("message", (event) => event.waitUntil(show(event.data))); // only pages of this origin can send one

// What is kept

/** Keep the files of the page and its document. All are of one version, or this worker is not installed. */
async function install() {
  const cache = await caches.open(CACHE);
  for (const path of Object.keys(FILES).filter(isForThisBrowser)) await cache.add(requestOf(path)); // nobody waits for it
  const document = await fetch(scope.pathname, { cache: "no-cache" });
  if (versionOf(document) !== VERSION) throw new TypeError(versionOf(document)); // by now
  await cache.put(scope.pathname, document);
  await self.skipWaiting(); // pages that are open load what they lack from the network
}

/** Words of languages that the browser does not prefer are kept when they are used. */
function isForThisBrowser(path) {
  const language = path.match(/\/words\/(\w+)\.js$/)?.[1] ?? "en";
  return language === "en" || navigator.languages.some((tag) => tag.toLowerCase().split("-")[0] === language);
}

const requestOf = (path) => new Request(path, { integrity: FILES[path], cache: "no-cache" });
const versionOf = (answer) => answer.headers.get("Bellwire-Version");
const kept = (path) => caches.match(path, { cacheName: CACHE, ignoreSearch: true, ignoreVary: true });

async function removeCaches(isOld) {
  const names = (await caches.keys()).filter((name) => name.startsWith("bellwire-") && isOld(name));
  await Promise.all(names.map((name) => caches.delete(name)));
}

/** The document from the server, so that a new version is never missed; else, or when that is late, the one that is kept. */
async function answerDocument(event) {
  const answered = fetch(event.request);
  const late = new Promise((resolve) => setTimeout(resolve, DOCUMENT_TIMEOUT_MS));
  const answer = await Promise.race([answered, late]).catch(() => null);
  const isServed = answer && answer.status < 500; // a proxy answers so for a server that is away
  const document = isServed ? answer : ((await kept(scope.pathname)) ?? (await answered));
  if (versionOf(document) === VERSION) remember(event.resultingClientId);
  else if (document.ok) event.waitUntil(leaveIfGone());
  return document;
}

function remember(client) {
  current.add(client);
  if (current.size > MAX_CURRENT) current.delete(current.values().next().value);
}

/** A file as it is kept, for a page of this version; for others from the server, which may be of another version, too. */
async function answerFile(event, path) {
  const file = await kept(path);
  if (file && current.has(event.clientId)) return file;
  try {
    const answer = await fetch(event.request);
    if (!file && !isLeaving) event.waitUntil(keep(path));
    return file && answer.status >= 500 ? file : answer;
  } catch (error) {
    if (file) return file;
    throw error;
  }
}

/** Keep a file that was used. It is not kept if it is of another version than this worker. */
async function keep(path) {
  const cache = await caches.open(CACHE);
  await cache.add(requestOf(path)).catch(() => {});
}

/** A server that has no service worker any more is of another version, or another program: nothing of this stays. */
async function leaveIfGone() {
  const { status } = await fetch(self.location.href, { cache: "no-store" });
  if (status !== 404 && status !== 410) return;
  isLeaving = true;
  await registration.unregister();
  await removeCaches(() => true);
}

// Notifications

const PAGE = { type: "window", includeUncontrolled: true };
const IS_SAFARI = /^(?!.*(?:chrome|chromium|android|firefox|edg)).*safari/i.test(navigator.userAgent);

async function onPush(data) {
  const message = decoded(data);
  if (message.recall) await recall(message.tag);
  else await show(message);
}

/** The message of a push, `{title, body?, url?, tag?, urgent?}` or `{tag, recall: true}`. What is no such message says only that there is one. */
function decoded(data) {
  try {
    const message = data.json();
    return typeof message === "object" && message ? message : {};
  } catch {
    return {};
  }
}

/** Show a notification, in the place of an earlier one with its tag, unless somebody looks at its subject. */
async function show({ title, body = "", url = "", tag = "", urgent = false }) {
  const address = addressOf(url);
  const pages = (await self.clients.matchAll(PAGE)).filter((page) => page.focused && page.visibilityState === "visible");
  if ((await Promise.all(pages.map(addressIn))).some((shown) => isAbout(shown, address))) return;
  const images = { icon: "/static/shared/icons/192.png", badge: "/static/shared/icons/badge.png" };
  const about = { body, tag, dir: "auto", renotify: Boolean(urgent && tag), data: { url: address } };
  await registration.showNotification(title || word("push.something-new"), { ...images, ...about });
}

/** Close the notification about what was read elsewhere. Safari ends subscriptions of which a push shows nothing. */
async function recall(tag) {
  for (const notification of await registration.getNotifications({ tag })) notification.close();
  if (IS_SAFARI) await registration.showNotification(word("push.read-elsewhere"), { tag, silent: true, data: { url: addressOf("") } });
}

/** The address of a notification if it is one of this page, else that of the list of all: none leads anywhere else. */
function addressOf(url) {
  const address = URL.canParse(url, scope) ? new URL(url, scope) : null;
  const isOfPage = address?.origin === scope.origin && address.pathname === scope.pathname && address.hash;
  return isOfPage ? address.href : new URL("#/notifications", scope).href;
}

/** The address that a page shows. That of the client is the one that the page was opened with. */
function addressIn(page) {
  const { port1, port2 } = new MessageChannel();
  const answered = new Promise((resolve) => (port1.onmessage = ({ data }) => resolve(data)));
  const late = new Promise((resolve) => setTimeout(resolve, ANSWER_TIMEOUT_MS, page.url));
  page.postMessage({}, [port2]);
  return Promise.race([answered, late]);
}

/** Whether two addresses are about the same conversation, person, post … */
const isAbout = (one, other) => subjectOf(one) !== "" && subjectOf(one) === subjectOf(other);
const subjectOf = (address) => new URL(address).hash.match(/^#\/\w+\/\d+/)?.[0] ?? "";

function word(key) {
  const language = navigator.language.toLowerCase().split("-")[0];
  return (WORDS[language] ?? WORDS.en)[key];
}

/** Show the subject of a notification: in a page that is open, or else in a new one. */
async function openFrom(notification) {
  notification.close();
  const { hash } = new URL(notification.data.url);
  const pages = (await self.clients.matchAll(PAGE)).filter((page) => new URL(page.url).pathname === scope.pathname);
  const page = pages.find(({ focused }) => focused) ?? pages[0]; // the one that was used last
  if (!page) return self.clients.openWindow(notification.data.url);
  page.postMessage({ open: hash });
  return page.focus();
}

/** The browser has replaced the subscription. Without access to cookies, here, the page tells the server at its next start. */
async function subscribeAgain({ oldSubscription, newSubscription }) {
  const options = oldSubscription?.options;
  const subscription = newSubscription ?? (options && (await registration.pushManager.subscribe(options)));
  const token = await self.cookieStore?.get("_xsrf");
  if (!subscription || !token) return;
  const headers = { "Content-Type": "application/json", "X-XSRFToken": token.value };
  await fetch("/api/v1/me/push", { method: "PUT", headers, body: JSON.stringify(subscription) });
}
