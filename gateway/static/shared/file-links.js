/** Addresses of files for the pages of other products, where no session comes with pictures and downloads: each is a link that ends. */

const RENEW_BEFORE_MS = 300_000; // before a link ends
const RETRY_MS = 60_000;
const known = new WeakMap(); // client -> Map of id -> promise of {url, endsAt}

/** Return the link to a file as {url, endsAt}. One is loaded for all that show the file, until it nearly ends. */
async function linkOf(bell, id) {
  if (!known.has(bell)) known.set(bell, new Map());
  const links = known.get(bell);
  const link = links.has(id) && (await links.get(id));
  if (link && Date.now() < link.endsAt - RENEW_BEFORE_MS) return link;
  const loaded = bell.call("GET", `/files/${id}/link`).then(({ url, expires_at }) => ({ url, endsAt: Date.parse(expires_at) }));
  links.set(id, loaded.catch(() => null)); // the next one who needs it tries again
  return loaded;
}

/** Call `use` with the address of a file, or of a part of it, such as "/thumbnail". */
export async function withLink(bell, id, part, use) {
  const url = new URL((await linkOf(bell, id)).url);
  url.pathname += part;
  use(url.href);
}

/** Let an element `a` lead to a file as long as it is there. A link that can't be loaded is loaded later. */
export async function keepLink(bell, id, element) {
  const link = await linkOf(bell, id).catch(() => null);
  if (link) element.href = link.url;
  const shown = new WeakRef(element);
  const renew = () => shown.deref()?.isConnected && keepLink(bell, id, shown.deref());
  setTimeout(renew, link ? Math.max(RENEW_BEFORE_MS, link.endsAt - Date.now() - RENEW_BEFORE_MS) : RETRY_MS);
}
