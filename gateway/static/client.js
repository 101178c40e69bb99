/**
 * Bellwire's client for browsers: sends that are never lost or doubled, and every event once.
 *
 *     import { Bellwire } from "/static/client.js";
 *     const bell = new Bellwire();
 *     await bell.login({ login: "ana", password: "…" });
 *     await bell.send({ to: 2, body: "Hello" });
 *     for await (const event of bell.events()) console.log(event.type, event.data);
 *
 * It goes by a cookie session that scripts can't read; with `token`, by that. It dispatches "offline" and "online" as the way to
 * the server is lost and found, and "signedout" when the session turns out to be over.
 */

const API = "/api/v1";
const POLL_S = 25; // most proxies cut idle connections at 60 s, some at 30
const ANSWER_WITHIN_S = 15;
const TRIES = 8; // of a call that may be repeated: a minute or so
const BACKOFF_S = { first: 0.3, most: 8 };
const QUIET_S = 45; // streams: a heartbeat comes every 15 or 30 s
const SLEPT_MS = 20_000; // a timer this late means that the machine slept, and what is open may hang
const MEASURED_AT_ONCE = 100;
const TELL_AFTER_MS = 30_000;
const TRANSIENT = new Set([408, 429, 502, 503, 504]);

/** What a call was refused with: `status`, `slug`, `detail`, `fields` ({name: message}) and `retryAfter` in seconds. */
export class BellwireError extends Error {
  constructor(status, problem, retryAfter) {
    const fields = Object.fromEntries((problem.errors ?? []).map((one) => [one.field, one.message]));
    const named = Object.entries(fields).map(([name, message]) => `${name}: ${message}`);
    super(named.join("; ") || problem.detail || problem.title || `The server answered ${status}`);
    Object.assign(this, { status, fields, retryAfter, problem, detail: problem.detail });
    this.slug = String(problem.type ?? "").split("/").pop();
  }
}

/** A client_id: crypto.randomUUID is only there over HTTPS and on localhost. */
export function uniqueId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Full jitter: many clients that lost one server don't come back at one moment. */
export function backoffS(failures, retryAfter = 0) {
  const most = Math.min(BACKOFF_S.most, BACKOFF_S.first * 2 ** failures);
  return Math.max(retryAfter, most * (0.5 + Math.random() / 2));
}

export class Bellwire extends EventTarget {
  #token;
  #nudge = new AbortController();
  #measured = [];
  #telling;

  /** `url`: of another origin (then give a `token`). `transport`: how events come, "poll", "sse" or "ws". */
  constructor({ url = "", token = null, transport = "poll" } = {}) {
    super();
    this.url = url.replace(/\/$/, "");
    this.transport = transport;
    this.user = null;
    this.online = true;
    this.#token = token;
    this.#watch();
  }

  // Accounts

  /** {login, password}, or {email, code}. Returns USER. */
  login(credentials) {
    return this.#begin("/login", credentials);
  }

  /** {email, username, password, display_name?}: a code is mailed. */
  signup(account) {
    return this.call("POST", "/signup", account);
  }

  /** {email, code}: the account is active and signed in. Returns USER. */
  async verify({ email, code }) {
    return this.#begin("/signup/verify", { email, code });
  }

  /** Has a login code mailed, if the address has an account. */
  requestCode(email) {
    return this.call("POST", "/otp", { email });
  }

  async logout() {
    await this.call("POST", "/logout", {});
    this.#token = null;
    this.user = null;
  }

  async #begin(path, body) {
    const session = await this.call("POST", path, this.url ? body : { ...body, cookie: true });
    this.#token = session.token ?? null;
    this.user = session.user;
    return session.user;
  }

  // Calls

  /** One call. `again`: whether it may be repeated (GET, PUT and DELETE may). Throws BellwireError, TypeError when there is no way
   *  to the server, and DOMException when it was aborted. */
  async call(method, path, body = null, { query = {}, signal = null, again = method !== "POST", within = ANSWER_WITHIN_S } = {}) {
    for (let failures = 0; ; ) {
      try {
        return await this.#once(method, path, body, query, signal, within);
      } catch (error) {
        const lasting = error instanceof BellwireError && !TRANSIENT.has(error.status);
        if (!again || lasting || signal?.aborted || ++failures >= TRIES) throw error;
        await this.pause(backoffS(failures, error.retryAfter), signal);
      }
    }
  }

  async #once(method, path, body, query, signal, within) {
    const given = Object.entries(query).filter(([, value]) => value != null && value !== "");
    const search = given.length ? `?${new URLSearchParams(given)}` : "";
    const signals = [AbortSignal.timeout(within * 1000), ...(signal ? [signal] : [])];
    const answer = await fetch(this.url + API + path + search, {
      method,
      headers: this.#headers(method, body),
      body: body === null ? undefined : JSON.stringify(body),
      signal: AbortSignal.any(signals),
      credentials: this.url ? "omit" : "same-origin",
      cache: "no-store",
    });
    if (answer.ok) return answer.status === 204 ? null : answer.json();
    const problem = await answer.json().catch(() => ({}));
    if (answer.status === 401 && this.user) this.#tell("signedout");
    throw new BellwireError(answer.status, problem, Number(answer.headers.get("Retry-After")) || 0);
  }

  #headers(method, body) {
    const headers = body === null ? {} : { "Content-Type": "application/json" };
    if (this.#token) headers.Authorization = `Bearer ${this.#token}`;
    else if (method !== "GET") headers["X-XSRFToken"] = /(?:^|; )_xsrf=([^;]*)/.exec(document.cookie)?.[1] ?? "";
    return headers;
  }

  /** Where a client starts: {cursor, me, conversations, presence, notifications_unread}. */
  async state(options = {}) {
    const state = await this.call("GET", "/state", null, options);
    this.user = state.me;
    return state;
  }

  /** Sends {to | conversation, body, priority?, reply_to?, client_id?} and returns MESSAGE. It is tried again until an answer comes,
   *  always under one client_id, so it is there once; should this throw, send it again with the same client_id. */
  async send(message, { signal = null } = {}) {
    const began = performance.now();
    const whole = { client_id: uniqueId(), ...message };
    const sent = await this.call("POST", "/messages", whole, { signal, again: true });
    this.#measure((performance.now() - began) / 1000);
    return sent;
  }

  #measure(seconds) {
    this.#measured.push(Math.min(300, seconds));
    this.#telling ??= setTimeout(() => this.#report(), TELL_AFTER_MS);
  }

  /** What the senders felt, for the people on call. It is not worth a retry. */
  #report() {
    clearTimeout(this.#telling);
    this.#telling = undefined;
    const seconds = this.#measured.splice(0, MEASURED_AT_ONCE);
    if (!seconds.length || !this.user) return;
    const options = { method: "POST", keepalive: true, body: JSON.stringify({ seconds }), headers: this.#headers("POST", seconds) };
    fetch(`${this.url}${API}/telemetry/send`, options).catch(() => {});
    if (this.#measured.length) this.#telling = setTimeout(() => this.#report(), TELL_AFTER_MS);
  }

  // Events

  /** Every event after `cursor`, in order. Without one, and when the cursor has expired, first a {type: "state", data: STATE}, which
   *  takes the place of all that came before. Ends when `signal` is aborted; throws BellwireError when the token is dead. */
  async *events(options = {}) {
    for await (const batch of this.batches(options)) {
      if (batch.state) yield { id: batch.cursor, type: "state", data: batch.state };
      yield* batch.events;
    }
  }

  /** The same by the batch, as they come: {events, cursor, state?}. `shared`: one stream for all tabs of the browser. */
  async *batches({ cursor = null, types = null, follow = null, shared = false, signal = new AbortController().signal } = {}) {
    const wanted = { types: types?.join(","), follow };
    if (shared && navigator.locks) {
      yield* this.#shared(wanted, signal);
      return;
    }
    yield* this.#stream(cursor, wanted, signal);
  }

  async *#stream(cursor, wanted, signal) {
    const read = { poll: this.#poll, sse: this.#sse, ws: this.#ws }[this.transport];
    for (let failures = 0, reset = cursor === null; !signal.aborted; ) {
      const nudged = this.#nudge.signal;
      try {
        if (reset) {
          const state = await this.state({ signal: AbortSignal.any([signal, nudged]), again: false });
          ({ cursor } = state);
          reset = false;
          yield { state, events: [], cursor };
        }
        for await (const batch of read.call(this, cursor, wanted, AbortSignal.any([signal, nudged]), failures > 0)) {
          failures = 0;
          this.#reach(true);
          ({ cursor } = batch);
          yield batch;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error.status === 410) reset = true;
        else if (error instanceof BellwireError && error.status < 500 && !TRANSIENT.has(error.status)) throw error;
        else if (!nudged.aborted) {
          this.#reach(false);
          await this.pause(backoffS(failures++, error.retryAfter), signal);
        }
      }
    }
  }

  /** One poll after the other; the first one after a failure answers at once, to tell that all is well again. */
  async *#poll(cursor, wanted, signal, probe) {
    for (let wait = probe ? 0 : POLL_S; ; wait = POLL_S) {
      const query = { cursor, timeout: wait, ...wanted };
      const answer = await this.call("GET", "/events", null, { query, signal, again: false, within: wait + ANSWER_WITHIN_S });
      ({ cursor } = answer);
      yield answer;
    }
  }

  /** Server-sent events, read with fetch: EventSource can't send a token but in the address, nor tell why it failed. */
  async *#sse(cursor, wanted, signal) {
    const quiet = new AbortController();
    const query = Object.entries({ cursor, ...wanted }).filter(([, value]) => value != null);
    const answer = await fetch(`${this.url}${API}/events/stream?${new URLSearchParams(query)}`, {
      headers: this.#headers("GET", null),
      signal: AbortSignal.any([signal, quiet.signal]),
    });
    if (!answer.ok) throw new BellwireError(answer.status, await answer.json().catch(() => ({})), 0);
    const parts = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    yield { events: [], cursor };
    for (let rest = ""; ; ) {
      const silence = setTimeout(() => quiet.abort(), QUIET_S * 1000);
      const { value, done } = await parts.read().finally(() => clearTimeout(silence));
      if (done) throw new TypeError("The stream ended");
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      const events = blocks.flatMap((block) => [...block.matchAll(/^data: ?(.*)$/gm)].map((found) => JSON.parse(found[1])));
      const ids = blocks.flatMap((block) => [...block.matchAll(/^id: ?(.*)$/gm)].map((found) => found[1]));
      yield this.#batch(events, ids.at(-1) ?? cursor);
      cursor = ids.at(-1) ?? cursor;
    }
  }

  async *#ws(cursor, wanted, signal) {
    const query = Object.entries({ cursor, token: this.#token, ...wanted }).filter(([, value]) => value != null);
    const socket = new WebSocket(`${(this.url || location.origin).replace(/^http/, "ws")}${API}/events/ws?${new URLSearchParams(query)}`);
    const queue = new Queue();
    socket.onopen = () => queue.push(null);
    socket.onmessage = ({ data }) => queue.push(JSON.parse(data));
    socket.onclose = ({ code }) => queue.fail(code === 4401 ? new BellwireError(401, {}, 0) : new TypeError("The socket closed"));
    const stop = () => queue.fail(signal.reason);
    signal.addEventListener("abort", stop);
    try {
      for await (const frame of queue.within(QUIET_S)) {
        if (frame?.type === "cursor") cursor = frame.id;
        const events = frame && frame.type !== "cursor" ? [frame] : [];
        cursor = events[0]?.id ?? cursor;
        yield this.#batch(events, cursor);
      }
    } finally {
      signal.removeEventListener("abort", stop);
      socket.onclose = null;
      socket.close();
    }
  }

  #batch(events, cursor) {
    if (events.some((event) => event.type === "cursor.expired")) throw new BellwireError(410, {}, 0);
    return { events, cursor };
  }

  /** The tab that holds the lock reads and tells the others. Each has begun to listen before it loads the state, so nothing is
   *  between; what is told twice, when tabs come and go, has the same ids and changes nothing. */
  async *#shared(wanted, signal) {
    const name = `bellwire:${(this.user ?? (await this.call("GET", "/me"))).id}:${wanted.follow ?? ""}`;
    const channel = new BroadcastChannel(name);
    const queue = new Queue();
    let place = null;
    const take = (batch) => {
      place = batch.cursor;
      queue.push(batch);
    };
    const lost = () => channel.postMessage(null);
    channel.onmessage = ({ data }) => (data ? take(data) : this.#reach(false));
    signal.addEventListener("abort", () => queue.fail(signal.reason));
    try {
      for (let failures = 0; !place; failures++) {
        try {
          const state = await this.state({ signal, again: false });
          place = state.cursor;
          queue.first({ state, events: [], cursor: state.cursor });
        } catch (error) {
          if (signal.aborted || (error instanceof BellwireError && !TRANSIENT.has(error.status))) throw error;
          this.#reach(false);
          await this.pause(backoffS(failures, error.retryAfter), signal);
        }
      }
      const lead = async () => {
        this.addEventListener("offline", lost);
        for await (const batch of this.#stream(place, wanted, signal)) {
          take(batch);
          channel.postMessage(batch);
        }
      };
      navigator.locks.request(name, { signal }, lead).catch((error) => queue.fail(error));
      for await (const batch of queue) {
        this.#reach(true);
        yield batch;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.removeEventListener("offline", lost);
      channel.close();
    }
  }

  // The way to the server

  #reach(online) {
    if (online === this.online) return;
    this.online = online;
    this.#tell(online ? "online" : "offline");
  }

  #tell(type) {
    this.dispatchEvent(new Event(type));
  }

  /** Resolves after some seconds, or at once when there may be a way again. */
  pause(seconds, signal = null) {
    const nudged = this.#nudge.signal;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      const now = () => (clearTimeout(timer), resolve());
      nudged.addEventListener("abort", now, { once: true });
      signal?.addEventListener("abort", now, { once: true });
    });
  }

  /** Ends what waits, for it to begin again: back on the network, or awake again. */
  wake() {
    const before = this.#nudge;
    this.#nudge = new AbortController();
    before.abort();
  }

  #watch() {
    let last = Date.now();
    addEventListener("online", () => this.wake());
    addEventListener("offline", () => this.wake());
    addEventListener("pageshow", (event) => event.persisted && this.wake());
    addEventListener("pagehide", () => this.#report());
    setInterval(() => {
      if (Date.now() - last > SLEPT_MS) this.wake();
      last = Date.now();
    }, 5000);
  }
}

/** What was pushed, in order, for one reader. */
class Queue {
  #items = [];
  #error = null;
  #ready = () => {};

  push(item) {
    this.#items.push(item);
    this.#ready();
  }

  first(item) {
    this.#items.unshift(item);
    this.#ready();
  }

  fail(error) {
    this.#error ??= error;
    this.#ready();
  }

  async *[Symbol.asyncIterator]() {
    yield* this.within(null);
  }

  /** The same; throws when nothing comes for so many seconds. */
  async *within(seconds) {
    for (;;) {
      while (this.#items.length) yield this.#items.shift();
      if (this.#error) throw this.#error;
      await new Promise((resolve) => {
        const timer = seconds && setTimeout(() => (this.fail(new TypeError("Nothing came")), resolve()), seconds * 1000);
        this.#ready = () => (clearTimeout(timer), resolve());
      });
    }
  }
}
