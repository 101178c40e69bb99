/**
 * A bad network within a page, while sessionStorage has "network": "bad". A call of the API fails before it leaves or
 * after it was carried out, is answered 502 by what stands in between, or its answer is late. SEED is replaced by a number.
 */
(() => {
  const realFetch = window.fetch;
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  const badGateway = () => new Response("<h1>Bad gateway</h1>", { status: 502 });
  let state = SEED;
  window.underWay = 0; // calls, besides those that wait for events

  function random() {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  }

  function fail() {
    throw new TypeError("Failed to fetch");
  }

  async function call(input, options) {
    const isBad = sessionStorage.getItem("network") === "bad" && String(input).includes("/api/");
    const fault = isBad ? random() : 1;
    if (fault < 0.06) fail();
    if (fault < 0.1) return badGateway();
    if (fault < 0.2) await pause(random() * 500);
    const answer = await realFetch(input, options);
    if (fault > 0.2 && fault < 0.26) fail();
    if (fault > 0.26 && fault < 0.3) return badGateway();
    if (fault > 0.3 && fault < 0.6) await pause(random() * 1500);
    options?.signal?.throwIfAborted();
    return answer;
  }

  window.fetch = async (input, options) => {
    const isPoll = String(input).includes("/events");
    window.underWay += isPoll ? 0 : 1;
    try {
      return await call(input, options);
    } finally {
      window.underWay -= isPoll ? 0 : 1;
    }
  };

  /** Press one of the elements that fit, if there is one, as if it was the nth of them. */
  window.press = (selector, n) => {
    const dialog = [...document.querySelectorAll("dialog[open]")].at(-1);
    const isThere = (element) => !element.disabled && !element.closest("[hidden]");
    const found = [...(dialog ?? document).querySelectorAll(selector)].filter(isThere);
    const pressed = found[n % found.length];
    pressed?.focus();
    pressed?.click();
    return Boolean(pressed);
  };

  /** Write a text into a field, if it is there. */
  window.enter = (selector, n, text) => {
    const isFound = window.press(selector, n);
    if (isFound) {
      document.activeElement.value = text;
      document.activeElement.dispatchEvent(new InputEvent("input", { bubbles: true }));
    }
    return isFound;
  };

  /** What is open in front of the page. */
  window.front = () => {
    const dialog = [...document.querySelectorAll("dialog[open], [popover]")].at(-1);
    return dialog ? dialog.className || "dialog" : "";
  };

  /** What the page shows, and what it would show of the server's lists. */
  window.shown = async ({ conversations, messages, blocked }) => {
    const { titleOf } = await import("/static/shared/format.js");
    const { store } = document.querySelector("bw-shell");
    const isKept = (id) => store.lost.includes(id); // what was written where one is no longer in: it waits, on purpose
    const waiting = [...store.outbox.values()].filter(({ conversation, refused }) => !refused && !isKept(conversation));
    const all = [...document.querySelectorAll(".conversations a[data-conversation]")];
    const rows = all.filter((row) => !isKept(Number(row.dataset.conversation)));
    const list = rows.map((row) => ({
      id: Number(row.dataset.conversation),
      title: row.querySelector(".title").textContent,
      badge: row.querySelector(".badge")?.firstChild.textContent ?? "",
      online: row.querySelector(".dot")?.classList.contains("online") ?? null,
    }));
    const partner = ({ kind, members }) => kind === "direct" && members.find(({ user }) => user.id !== store.me.id).user;
    const expected = conversations.map((one) => ({
      id: one.id,
      title: titleOf(one, store.me),
      badge: one.unread > 99 ? "99+" : one.unread ? String(one.unread) : "",
      online: one.online,
    }));
    const membersOf = (one) => one.members.map(({ user, role, read }) => [user.id, user.display_name, role, read ?? 0]);
    const members = conversations.map((one) => [one.id, membersOf(store.conversations.get(one.id) ?? { members: [] }).sort()]);
    const expectedMembers = conversations.map((one) => [one.id, membersOf(one).sort()]);
    const articles = [...document.querySelectorAll("bw-messages article[data-message]")];
    const texts = articles.map(describe);
    const others = (id) => conversations.find((one) => one.id === id).members.filter(({ user }) => user.id !== store.me.id);
    const isRead = (message) => {
      const marks = others(message.conversation).map(({ read }) => read ?? 0);
      return marks.length > 0 && Math.min(...marks) >= message.id;
    };
    const isFolded = ({ id, conversation, sender }) =>
      blocked.includes(sender) && !store.unfolded.has(id) && conversations.find((one) => one.id === conversation).kind === "group";
    const textOf = (message) => (message.deleted_at ? "This message was deleted" : message.body);
    const expectedTexts = messages.map((message) => ({
      id: message.id,
      text: isFolded(message) ? "A message of somebody you blocked Show" : textOf(message),
      isEdited: Boolean(message.edited_at && !message.deleted_at),
      reactions: message.deleted_at || isFolded(message) ? "" : reactionsOf(message),
      ticks: message.sender !== store.me.id || message.deleted_at ? "" : isRead(message) ? "read" : "sent",
    }));
    return {
      list: [list, expected],
      members: [members, expectedMembers],
      messages: [texts, expectedTexts.slice(-Math.max(texts.length, Math.min(20, expectedTexts.length)))],
      title: [document.title.match(/^\((\d+)\)/)?.[1] ?? "0", null],
      busy: window.underWay + waiting.length + (store.bell.online ? 0 : 1000),
    };
  };

  const reactionsOf = ({ reactions }) =>
    Object.entries(reactions)
      .map(([emoji, users]) => `${emoji} ${users.length}`)
      .join(" ");

  function describe(row) {
    return {
      id: Number(row.dataset.message),
      text: row.querySelector(".text").innerText,
      isEdited: row.querySelector(".foot").innerText.includes("edited"),
      reactions: [...row.querySelectorAll(".reaction")].map((chip) => chip.textContent).join(" "),
      ticks: row.querySelector(".ticks")?.dataset.state ?? "",
    };
  }

  /** Errors that are shown as "Something went wrong", or without a text, are faults of the page. */
  document.addEventListener("DOMContentLoaded", () => {
    const note = (element) => {
      const text = element.textContent;
      if (!text.trim() || text.includes("undefined") || text.startsWith("Something went wrong")) console.error(`told: "${text}"`);
    };
    const onAdded = (records) => {
      for (const { addedNodes } of records)
        for (const node of addedNodes)
          if (node.matches?.(".toast, .empty:has(.problem), .failed")) note(node);
    };
    new MutationObserver(onAdded).observe(document.body, { childList: true, subtree: true });
  });
})();
