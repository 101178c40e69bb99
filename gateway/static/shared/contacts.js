/** Whom the user of the page may reach: the server decides, and the page offers only what is possible. */

const asked = new WeakMap(); // client -> the answer that is awaited

/** Resolve to "everyone"; to "shared": those with whom the user shares; or to "closed": and nobody in a new conversation. */
export function contactsOf({ bell, me }) {
  if (me.role === "admin") return Promise.resolve("everyone");
  if (!asked.has(bell)) {
    const answer = bell.call("GET", "/instance").then(({ contacts }) => contacts ?? "everyone");
    const onerror = () => {
      asked.delete(bell); // and ask again the next time
      return "everyone";
    };
    asked.set(bell, answer.catch(onerror));
  }
  return asked.get(bell);
}

/** Resolve to whether the user can begin conversations. */
export const canBegin = async (store) => (await contactsOf(store)) !== "closed";
