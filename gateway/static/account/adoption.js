/** The time zone and the language of the browser, for accounts without their own, and those of accounts, for browsers. */

import { chosenLanguage } from "../shared/storage.js";
import { language, languageOf } from "../shared/words.js";

const DEFAULT_TIMEZONE = "UTC"; // of an account

/** The time zone and the language of this browser: {timezone?, locale?}. */
function browserProfile() {
  const { timeZone: timezone } = Intl.DateTimeFormat().resolvedOptions();
  const locale = chosenLanguage.read() || navigator.language;
  return { ...(timezone && { timezone }), ...(locale && { locale }) };
}

/** Run `call(profile)`, a call of the API, with the time zone and language of this browser; without what it refuses of them. */
export async function withBrowserProfile(call) {
  const profile = browserProfile();
  try {
    return await call(profile);
  } catch (error) {
    const refused = Object.keys(error.fields ?? {}).filter((name) => Object.hasOwn(profile, name));
    if (!refused.length) throw error;
    for (const name of refused) delete profile[name];
    return call(profile);
  }
}

/** Draw the page anew in a language. A browser that keeps nothing would forget it, and who is signed in. */
export function useLanguage(code) {
  if (chosenLanguage.write(code)) location.reload();
}

/** Give an account that was never used, such as one that an admin has made, the browser's profile; follow that of others. */
export async function adoptProfile(bell) {
  try {
    const [{ profile }, sessions] = await Promise.all([bell.call("GET", "/me"), bell.call("GET", "/me/sessions")]);
    const own = languageOf(profile.locale);
    const isNew = profile.timezone === DEFAULT_TIMEZONE;
    if (isNew && sessions.items.length === 1) await withBrowserProfile((browser) => bell.call("PATCH", "/me", browser));
    else if (!isNew && own && own !== language()) useLanguage(own);
  } catch {
    // They can be chosen in the settings.
  }
}
