/** The browser's offer to install the page as an application. It comes once, early; the settings show it. */

let offer = null;

globalThis.addEventListener?.("beforeinstallprompt", (event) => {
  event.preventDefault(); // no banner over the page
  offer = event;
});

/** Whether the page can be installed now. */
export const canInstall = () => offer !== null;

/** Let the browser ask whether the page is to be installed. Resolves to whether that was accepted. */
export async function install() {
  const { outcome } = await offer.prompt();
  offer = null; // each can be used once
  return outcome === "accepted";
}
