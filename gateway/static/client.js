/**
 * Bellwire's client for browsers, Node.js and Deno: each send makes one message, and each event arrives once.
 *
 *     import { Bellwire } from "/static/client.js";
 *     const bell = new Bellwire();
 *     await bell.login({ login: "ana", password: "…" });
 *     await bell.send({ to: 2, body: "Hello" });
 *     for await (const event of bell.events()) console.log(event.type, event.data);
 *
 * On Bellwire's own origin it uses a session cookie that scripts cannot read; elsewhere, and in Node.js 20.3, Deno 2
 * or newer, give `url`, and `token` or a login. `token` may be a function that returns one, or a promise: it is called
 * again before the token ends, and when the server refuses it. The client dispatches "offline" and "online" when the connection is lost and
 * found, and "signedout" when the session has ended. No timer of its own keeps a program running; close() ends all that
 * it does by itself. Its types are in client.d.ts.
 */

const API = "/api/v1";
const POLL_S = 25; // most proxies cut idle connections at 60 s, some at 30
const ANSWER_TIMEOUT_S = 15;
const MAX_ATTEMPTS = 8; // of a call that may be repeated: about a minute
const BACKOFF_S = { first: 0.3, max: 8 };
const SILENCE_TIMEOUT_S = 45; // of a stream: a heartbeat comes every 15 or 30 s
const CHECK_TIMER_MS = 5000;
const RENEW_BEFORE_MS = 30_000; // of a token that a function gives: that long before its end
const MIN_TOKEN_USE_MS = 10_000; // however soon it ends by the clock of this machine, which may be wrong
const SLEPT_MS = 20_000; // a timer this late means that the machine slept: open connections may be dead
const MAX_REPORTED_S = 300;
const MAX_SECONDS_PER_REPORT = 100;
const REPORT_AFTER_MS = 30_000;
const TRANSPORTS = ["poll", "sse", "ws"];
const TRANSIENT_STATUSES = new Set([408, 429, 502, 503, 504]);
const SESSION_ENDED_CODE = 4401; // of a closed WebSocket

/** A refusal: `status`, `slug`, `detail`, `fields` ({name: message}) and `retryAfter` in seconds. */
export class BellwireError extends Error {
  constructor(status, problem, retryAfter) {
    const fields = Object.fromEntries((problem.errors ?? []).map((error) => [error.field, error.message]));
    const fieldTexts = Object.entries(fields).map(([name, message]) => `${name}: ${message}`);
    super(fieldTexts.join("; ") || problem.detail || problem.title || `The server answered ${status}`);
    Object.assign(this, { status, fields, retryAfter, problem, detail: problem.detail });
    this.slug = String(problem.type ?? "")
      .split("/")
      .pop();
  }
}

/** Return a new client_id. crypto.randomUUID exists only over HTTPS and on localhost. */
export function uniqueId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Return the seconds to wait after so many failures. The jitter keeps clients that lost one server from returning at
 * one moment.
 */
export function backoffS(failures, retryAfter = 0) {
  const limit = Math.min(BACKOFF_S.max, BACKOFF_S.first * 2 ** failures);
  return Math.max(retryAfter, limit * (0.5 + Math.random() / 2));
}

export class Bellwire extends EventTarget {
  #token;
  #getToken = null; // a function that gives tokens
  #renewAt = 0; // when it is called again
  #renewing = null; // the promise of its token
  #waking = new AbortController(); // aborted by wake()
  #closing = new AbortController();
  #sendSeconds = []; // durations of sends, not reported yet
  #reportTimer;
  #sessions = 0; // counts sign-ins and sign-outs: a call is repeated only in the session that it was made in

  /**
   * `url`: the server, if it is another origin. `token`: one, or a function that returns it, or {token, expires_at}, or
   * a promise of that. `headers`: those of each call. `transport`: how events arrive, "poll", "sse" or "ws". `attempts`: how
   * often a call is made that may be repeated; a send is repeated for about a minute in any case. Throws TypeError when
   * `url` is wrong, or missing outside a browser, and for a transport that does not exist here.
   */
  constructor({ url = "", token = null, transport = "poll", attempts = MAX_ATTEMPTS, headers = {} } = {}) {
    super();
    if (!url && !globalThis.location) throw new TypeError('Outside a browser give the address: { url: "https://…" }');
    if (url && !/^https?:\/\//.test(url)) throw new TypeError("url must begin with http:// or https://");
    if (!TRANSPORTS.includes(transport)) throw new TypeError(`transport must be one of ${TRANSPORTS.join(", ")}`);
    if (transport === "ws" && !globalThis.WebSocket)
      throw new TypeError('There is no WebSocket here (Node.js has it from 22 on): use the transport "sse" or "poll"');
    this.url = url.replace(/\/$/, "");
    this.transport = transport;
    this.attempts = attempts;
    this.user = null;
    this.online = true;
    this.headers = headers;
    if (typeof token === "function") this.#getToken = token;
    else this.#token = token;
    this.#watchBrowser();
  }

  /** The token of a login, to keep for the next run; null with a session cookie. */
  get token() {
    return this.#token ?? null;
  }

  // Accounts

  /** Sign in with {login, password} or {email, code}; a code may set a `new_password`. Returns USER. */
  login(credentials) {
    return this.#startSession("/login", credentials);
  }

  /** Create an account: {email, username, password, display_name?}. A code is e-mailed. */
  signup(account) {
    return this.call("POST", "/signup", account);
  }

  /** Activate an account with {email, code} and sign in. Returns USER. */
  async verify({ email, code }) {
    return this.#startSession("/signup/verify", { email, code });
  }

  /** E-mail a code for signing in, if there is an account with this address. */
  requestCode(email) {
    return this.call("POST", "/otp", { email });
  }

  async logout() {
    await this.call("POST", "/logout", {});
    this.#sessions += 1;
    this.#token = null;
    this.user = null;
  }

  async #startSession(path, body) {
    const hasCookies = !this.url && globalThis.document && keepsCookies(); // a worker cannot read the XSRF cookie
    const session = await this.call("POST", path, hasCookies ? { ...body, cookie: true } : body);
    this.#sessions += 1;
    this.#token = session.token ?? null;
    this.user = session.user;
    return session.user;
  }

  // Calls

  /**
   * Call the API; returns the decoded answer, null for 204. `retry`: whether the call may be repeated after a failure;
   * by default all but POST are. `attempts`: how often it is made then. `headers`: further ones; a body that is a text or
   * a Blob is sent as it is. `decode`: makes the result of a Response. Throws BellwireError, TypeError without a
   * connection, and DOMException when it was aborted or timed out.
   */
  async call(method, path, body = null, options = {}) {
    const { signal = null, retry = method !== "POST", attempts = this.attempts } = options;
    const session = this.#sessions;
    for (let failures = 0; ;) {
      try {
        return await this.#callOnce(method, path, body, options);
      } catch (error) {
        failures += 1;
        if (!retry || isPermanent(error) || signal?.aborted || failures >= attempts) throw error;
        await this.pause(backoffS(failures, error.retryAfter), signal);
        if (session !== this.#sessions) throw error;
      }
    }
  }

  async #callOnce(method, path, body, options, isRenewed = false) {
    const { query = {}, signal, headers, timeoutS = ANSWER_TIMEOUT_S, decode = decoded, request = fetch } = options;
    const token = await this.#currentToken();
    const parameters = Object.entries(query).filter(([, value]) => value != null && value !== "");
    const search = parameters.length ? `?${new URLSearchParams(parameters)}` : "";
    const signals = [AbortSignal.timeout(timeoutS * 1000), ...(signal ? [signal] : [])];
    const answer = await request(this.url + API + path + search, {
      method,
      headers: { ...this.#headers(method, body, token), ...headers },
      body: body === null || typeof body === "string" || body instanceof Blob ? body : JSON.stringify(body),
      signal: AbortSignal.any(signals),
      credentials: this.url ? "omit" : "same-origin",
      cache: "no-store",
    });
    if (answer.ok) return answer.status === 204 ? null : decode(answer);
    const problem = await answer.json().catch(() => ({}));
    if (answer.status === 401 && this.#getToken && !isRenewed) {
      this.#dropToken(token);
      return this.#callOnce(method, path, body, options, true);
    }
    if (answer.status === 401 && this.user) this.#emit("signedout");
    throw new BellwireError(answer.status, problem, Number(answer.headers.get("Retry-After")) || 0);
  }

  #headers(method, body, token = this.#token) {
    const headers = { ...this.headers, ...(body !== null && { "Content-Type": "application/json" }) };
    if (token) headers.Authorization = `Bearer ${token}`;
    else if (method !== "GET" && !this.url) headers["X-XSRFToken"] = xsrfToken();
    return headers;
  }

  /** The token for a call. Calls that need a new one at the same moment wait for the same. */
  #currentToken() {
    if (!this.#getToken || Date.now() < this.#renewAt) return this.#token;
    this.#renewing ??= this.#renewToken().finally(() => (this.#renewing = null));
    return this.#renewing;
  }

  async #renewToken() {
    const given = await this.#getToken();
    const { token, expires_at } = typeof given === "object" ? (given ?? {}) : { token: given };
    if (!token) throw new BellwireError(401, { type: "unauthorized", detail: "There is no token" }, 0);
    const end = expires_at ? Date.parse(expires_at) : endOf(token);
    this.#renewAt = Math.max(end - RENEW_BEFORE_MS, Date.now() + MIN_TOKEN_USE_MS);
    this.#token = token;
    return token;
  }

  /** A token was refused: the next call needs another, unless there is one already. */
  #dropToken(token) {
    if (token === this.#token) this.#renewAt = 0;
  }

  /** Load the state that a client starts from: {cursor, me, conversations, presence, notifications_unread}. */
  async state(options = {}) {
    const state = await this.call("GET", "/state", null, options);
    this.user = state.me;
    return state;
  }

  /**
   * Send {to | conversation, body, priority?, reply_to?, client_id?}; returns MESSAGE. The send is repeated under one
   * client_id until there is an answer, so there is one message. If this throws, the same client_id may be sent again.
   */
  async send(message, { signal = null } = {}) {
    const start = performance.now();
    const body = { client_id: uniqueId(), ...message };
    const sent = await this.call("POST", "/messages", body, { signal, retry: true, attempts: MAX_ATTEMPTS });
    this.#recordSend((performance.now() - start) / 1000);
    return sent;
  }

  /**
   * Upload a Blob, or bytes, to be sent with `files: [id]` within a day; returns FILE. `name`: that of the file, if the
   * Blob has none; `onprogress({sent, total})` is called while it is sent. What breaks off begins anew, as other calls do.
   */
  async upload(file, options = {}) {
    const { upload } = await import("./upload.js");
    return upload(this, file, options);
  }

  #recordSend(seconds) {
    this.#sendSeconds.push(Math.min(MAX_REPORTED_S, seconds));
    this.#scheduleReport();
  }

  #scheduleReport() {
    this.#reportTimer ??= inBackground(setTimeout(() => this.#reportSends(), REPORT_AFTER_MS));
  }

  /** Report how long sends took, for the server's metrics. A failed report is not repeated. */
  #reportSends() {
    clearTimeout(this.#reportTimer);
    this.#reportTimer = undefined;
    const seconds = this.#sendSeconds.splice(0, MAX_SECONDS_PER_REPORT);
    if (!seconds.length || !this.user) return;
    const body = JSON.stringify({ seconds });
    const options = { method: "POST", keepalive: true, body, headers: this.#headers("POST", seconds) };
    fetch(`${this.url}${API}/telemetry/send`, options).catch(() => {});
    if (this.#sendSeconds.length) this.#scheduleReport();
  }

  // Events

  /**
   * Yield every event after `cursor`, in order. Without a cursor, and when it has expired, {type: "state", data: STATE}
   * comes first: it replaces all that came before. `types`: only these types; `follow`: "posts" adds posts. Ends when
   * `signal` is aborted; throws BellwireError when the session has ended.
   */
  async *events(options = {}) {
    for await (const batch of this.batches(options)) {
      if (batch.state) yield { id: batch.cursor, type: "state", data: batch.state };
      yield* batch.events;
    }
  }

  /**
   * Yield the same in batches as they arrive: {events, cursor, state?}. `shared`: one stream for all tabs of the
   * browser.
   */
  async *batches({
    cursor = null,
    types = null,
    follow = null,
    shared = false,
    signal = new AbortController().signal,
  } = {}) {
    const filters = { types: types?.join(","), follow };
    const ending = AbortSignal.any([signal, this.#closing.signal]);
    if (shared && globalThis.navigator?.locks && keepsCookies()) yield* this.#sharedStream(filters, ending);
    else yield* this.#stream(cursor, filters, ending);
  }

  async *#stream(cursor, filters, signal) {
    const read = { poll: this.#poll, sse: this.#serverSentEvents, ws: this.#webSocket }[this.transport];
    for (let failures = 0, needsState = cursor === null, isRenewed = false; !signal.aborted;) {
      const waking = this.#waking.signal;
      const ending = AbortSignal.any([signal, waking]);
      try {
        if (needsState) {
          const state = await this.state({ signal: ending, retry: false });
          ({ cursor } = state);
          needsState = false;
          yield { state, events: [], cursor };
        }
        for await (const batch of read.call(this, cursor, filters, ending, failures > 0)) {
          failures = 0;
          isRenewed = false;
          this.#setOnline(true);
          ({ cursor } = batch);
          yield batch;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error.status === 410) needsState = true;
        else if (error.status === 401 && this.#getToken && !isRenewed) {
          isRenewed = true;
          this.#dropToken(this.#token);
        } else if (isPermanent(error) && error.status < 500) throw error;
        else if (!waking.aborted) {
          this.#setOnline(false);
          await this.pause(backoffS(failures, error.retryAfter), signal);
          failures += 1;
        }
      }
    }
  }

  /**
   * Poll again and again. After a failure the first poll does not wait, so that a working connection is noticed at
   * once.
   */
  async *#poll(cursor, filters, signal, hasFailed) {
    for (let timeout = hasFailed ? 0 : POLL_S; ; timeout = POLL_S) {
      const query = { cursor, timeout, ...filters };
      const options = { query, signal, retry: false, timeoutS: timeout + ANSWER_TIMEOUT_S };
      const batch = await this.call("GET", "/events", null, options);
      ({ cursor } = batch);
      yield batch;
    }
  }

  /**
   * Read server-sent events with fetch: EventSource can send a token only in the address, and hides the status of a
   * refusal.
   */
  async *#serverSentEvents(cursor, filters, signal) {
    const silence = new AbortController();
    const token = await this.#currentToken();
    const answer = await fetch(`${this.url}${API}/events/stream?${searchOf({ cursor, ...filters })}`, {
      headers: this.#headers("GET", null, token),
      signal: AbortSignal.any([signal, silence.signal]),
    });
    if (!answer.ok) throw new BellwireError(answer.status, await answer.json().catch(() => ({})), 0);
    const chunks = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    try {
      yield { events: [], cursor };
      for (let incomplete = ""; ;) {
        const timer = setTimeout(() => silence.abort(), SILENCE_TIMEOUT_S * 1000);
        const { value, done } = await chunks.read().finally(() => clearTimeout(timer));
        if (done) throw new TypeError("The stream ended");
        const blocks = (incomplete + value).split("\n\n");
        incomplete = blocks.pop();
        const events = blocks
          .flatMap((block) => linesOf(block, /^data: ?(.*)$/gm))
          .map((data) => JSON.parse(data))
          .filter(({ type }) => type !== "cursor");
        cursor = blocks.flatMap((block) => linesOf(block, /^id: ?(.*)$/gm)).at(-1) ?? cursor;
        yield batchOf(events, cursor);
      }
    } finally {
      silence.abort(); // the reader has left: close the connection
    }
  }

  async *#webSocket(cursor, filters, signal) {
    const origin = (this.url || location.origin).replace(/^http/, "ws");
    const search = searchOf({ cursor, token: await this.#currentToken(), ...filters });
    const socket = new WebSocket(`${origin}${API}/events/ws?${search}`);
    const frames = new Queue();
    socket.onopen = () => frames.push(null);
    socket.onmessage = ({ data }) => frames.push(JSON.parse(data));
    socket.onclose = ({ code }) => {
      const hasEnded = code === SESSION_ENDED_CODE;
      frames.fail(hasEnded ? new BellwireError(401, {}, 0) : new TypeError("The WebSocket was closed"));
    };
    const stop = () => frames.fail(signal.reason);
    signal.addEventListener("abort", stop);
    try {
      for await (const frame of frames.within(SILENCE_TIMEOUT_S)) {
        const events = frame && frame.type !== "cursor" ? [frame] : [];
        cursor = frame?.id ?? cursor;
        yield batchOf(events, cursor);
      }
    } finally {
      signal.removeEventListener("abort", stop);
      socket.onclose = null;
      socket.close();
    }
  }

  /**
   * One stream for all tabs: the tab that has the lock reads it and posts each batch to the others. Each tab listens
   * before it loads its state, so no event is missed; an event that arrives twice has the same id.
   */
  async *#sharedStream(filters, signal) {
    const { id } = this.user ?? (await this.call("GET", "/me"));
    const name = `bellwire:${id}:${filters.follow ?? ""}${this.url && `:${this.url}`}`;
    const channel = new BroadcastChannel(name);
    const batches = new Queue();
    const leaving = new AbortController();
    const ending = AbortSignal.any([signal, leaving.signal]);
    let cursor = null;
    const receive = (batch) => {
      ({ cursor } = batch);
      batches.push(batch);
    };
    const postOffline = () => channel.postMessage(null);
    channel.onmessage = ({ data }) => (data ? receive(data) : this.#setOnline(false));
    ending.addEventListener("abort", () => batches.fail(ending.reason));
    try {
      const state = await this.#firstState(ending);
      ({ cursor } = state);
      batches.pushFirst({ state, events: [], cursor });
      const lead = async () => {
        this.addEventListener("offline", postOffline);
        for await (const batch of this.#stream(cursor, filters, ending)) {
          receive(batch);
          channel.postMessage(batch);
        }
      };
      navigator.locks.request(name, { signal: ending }, lead).catch((error) => batches.fail(error));
      for await (const batch of batches) {
        this.#setOnline(true);
        yield batch;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      leaving.abort(); // another tab leads now
      this.removeEventListener("offline", postOffline);
      channel.close();
    }
  }

  /** Load the state; repeat this while the server cannot be reached. */
  async #firstState(signal) {
    for (let failures = 0; ; failures++) {
      try {
        return await this.state({ signal, retry: false });
      } catch (error) {
        if (signal.aborted || isPermanent(error)) throw error;
        this.#setOnline(false);
        await this.pause(backoffS(failures, error.retryAfter), signal);
      }
    }
  }

  // The connection

  #setOnline(online) {
    if (online === this.online) return;
    this.online = online;
    this.#emit(online ? "online" : "offline");
  }

  #emit(type) {
    this.dispatchEvent(new Event(type));
  }

  /** Resolve after some seconds, or earlier when wake() is called or `signal` is aborted. */
  pause(seconds, signal = null) {
    const done = new AbortController();
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        done.abort(); // takes the listeners away
        resolve();
      };
      const timer = setTimeout(end, seconds * 1000);
      for (const ending of [this.#waking.signal, signal])
        ending?.addEventListener("abort", end, { once: true, signal: done.signal });
      if (signal?.aborted) end();
    });
  }

  /** End all waiting, so that it starts anew: the network is back, or the machine is awake again. */
  wake() {
    const previous = this.#waking;
    this.#waking = new AbortController();
    previous.abort();
  }

  /** End the event streams, and the timers and listeners that a client has. Calls may still be made. */
  close() {
    this.#closing.abort();
    this.#reportSends();
  }

  #watchBrowser() {
    const { signal } = this.#closing;
    const listen = (type, handler) => globalThis.addEventListener?.(type, handler, { signal }); // not in Node.js
    listen("online", () => this.wake());
    listen("offline", () => this.wake());
    listen("pageshow", (event) => event.persisted && this.wake());
    listen("pagehide", () => this.#reportSends());
    let last = Date.now();
    const checkForSleep = () => {
      if (Date.now() - last > SLEPT_MS) this.wake();
      last = Date.now();
    };
    const timer = inBackground(setInterval(checkForSleep, CHECK_TIMER_MS));
    signal.addEventListener("abort", () => clearInterval(timer));
  }
}

/** Let a program end while this timer runs. Node.js has timers of its own, Deno numbers, browsers need neither. */
function inBackground(timer) {
  if (timer.unref) timer.unref();
  else globalThis.Deno?.unrefTimer(timer);
  return timer;
}

/** Decode a successful answer. Another server may answer anything. */
async function decoded(answer) {
  try {
    return await answer.json();
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error; // the connection broke
    const detail = "This is not an answer of Bellwire: is the address right?";
    throw new BellwireError(answer.status, { detail }, 0);
  }
}

/** Whether repeating a call cannot help, or not before another day. */
function isPermanent(error) {
  return error instanceof BellwireError && (!TRANSIENT_STATUSES.has(error.status) || error.slug === "quota-exceeded");
}

/** Whether the browser keeps anything for this page. Without cookies there is no lock that tabs could share, either. */
function keepsCookies() {
  return globalThis.navigator?.cookieEnabled !== false;
}

/** When a token ends, in milliseconds: a JWT says it (RFC 7519); of others it is not known. */
function endOf(token) {
  try {
    const claims = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    return 1000 * (JSON.parse(claims).exp ?? Infinity);
  } catch {
    return Infinity;
  }
}

function xsrfToken() {
  return /(?:^|; )_xsrf=([^;]*)/.exec(globalThis.document?.cookie ?? "")?.[1] ?? "";
}

function searchOf(query) {
  return new URLSearchParams(Object.entries(query).filter(([, value]) => value != null));
}

function linesOf(text, pattern) {
  return [...text.matchAll(pattern)].map(([, value]) => value);
}

function batchOf(events, cursor) {
  if (events.some((event) => event.type === "cursor.expired")) throw new BellwireError(410, {}, 0);
  return { events, cursor };
}

/** Items in the order of their arrival, for one reader. */
class Queue {
  #items = [];
  #error = null;
  #notify = () => {};

  push(item) {
    this.#items.push(item);
    this.#notify();
  }

  pushFirst(item) {
    this.#items.unshift(item);
    this.#notify();
  }

  /** Let the reader throw this error after the items that are there. */
  fail(error) {
    this.#error ??= error;
    this.#notify();
  }

  async *[Symbol.asyncIterator]() {
    yield* this.within(null);
  }

  /** Yield the items; throw when none arrives for so many seconds. */
  async *within(seconds) {
    for (;;) {
      while (this.#items.length) yield this.#items.shift();
      if (this.#error) throw this.#error;
      await this.#nextChange(seconds);
    }
  }

  #nextChange(seconds) {
    return new Promise((resolve) => {
      const onTimeout = () => {
        this.fail(new TypeError("Nothing arrived in time"));
        resolve();
      };
      const timer = seconds && setTimeout(onTimeout, seconds * 1000);
      this.#notify = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
