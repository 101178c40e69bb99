/** The time zone and language of the browser, for accounts that have none of their own yet. */

import { chosenLanguage } from "../shared/storage.js";

const DEFAULT_TIMEZONE = "UTC"; // of an account

/** The time zone and the language of this browser: {timezone?, locale?}. */
export function browserProfile() {
  const { timeZone: timezone } = Intl.DateTimeFormat().resolvedOptions();
  const locale = chosenLanguage.read() || navigator.language;
  return { ...(timezone && { timezone }), ...(locale && { locale }) };
}

/** Give them to an account that was never used before, such as one that an admin has made. */
export async function adoptBrowserOnce(bell) {
  try {
    const [me, sessions] = await Promise.all([bell.call("GET", "/me"), bell.call("GET", "/me/sessions")]);
    const isFirst = me.profile.timezone === DEFAULT_TIMEZONE && sessions.items.length === 1;
    if (isFirst) await bell.call("PATCH", "/me", browserProfile());
  } catch {
    // They can be chosen in the settings.
  }
}
