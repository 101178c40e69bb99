/** Uploading a file: how much of it has been sent. client.js loads this with the first upload. */

const SILENCE_TIMEOUT_MS = 60_000; // of a connection over which nothing is sent, and of the answer
const UPLOAD_TIMEOUT_S = 3600;

/** Upload a Blob, or bytes, with a client. Throws what its `call` throws. */
export function upload(bell, file, { name, onprogress = () => {}, signal = null, attempts } = {}) {
  const blob = file instanceof Blob ? file : new Blob([file]);
  const send = globalThis.XMLHttpRequest ? sendByXhr : sendByFetch;
  return bell.call("POST", "/files", blob, {
    query: { name: name ?? file.name },
    headers: { "Content-Type": blob.type || "application/octet-stream" },
    request: (url, options) => send(url, options, onprogress),
    timeoutS: UPLOAD_TIMEOUT_S,
    retry: true,
    ...(attempts && { attempts }),
    signal,
  });
}

/** Do what fetch does, and tell how much has been sent. Browsers say that of an XMLHttpRequest alone. */
function sendByXhr(url, { method, headers, body, signal }, onprogress) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const xhr = new XMLHttpRequest();
    const ending = new AbortController();
    let timer;
    const end = (error) => {
      clearTimeout(timer);
      ending.abort();
      xhr.abort();
      reject(error);
    };
    const watch = () => {
      clearTimeout(timer);
      timer = setTimeout(() => end(new TypeError("The network is silent")), SILENCE_TIMEOUT_MS);
    };
    signal.addEventListener("abort", () => end(signal.reason), { signal: ending.signal });
    // The network is back: what went over the one before is lost, and not every browser says so.
    addEventListener("online", () => end(new TypeError("The network was cut")), { signal: ending.signal });
    xhr.open(method, url);
    for (const [header, value] of Object.entries(headers)) xhr.setRequestHeader(header, value);
    xhr.upload.onprogress = ({ loaded, total }) => {
      watch();
      onprogress({ sent: loaded, total });
    };
    xhr.onerror = () => end(new TypeError("The network failed"));
    xhr.onload = () => {
      resolve(answerOf(xhr));
      end();
    };
    watch();
    xhr.send(body);
  });
}

function answerOf(xhr) {
  const retryAfter = xhr.getResponseHeader("Retry-After");
  return new Response(xhr.response, { status: xhr.status, headers: retryAfter ? { "Retry-After": retryAfter } : {} });
}

/** Send by fetch, and count what it reads of the file. */
function sendByFetch(url, options, onprogress) {
  const total = options.body.size;
  let sent = 0;
  const counting = new TransformStream({
    transform(chunk, controller) {
      sent += chunk.byteLength;
      onprogress({ sent, total });
      controller.enqueue(chunk);
    },
  });
  return fetch(url, { ...options, body: options.body.stream().pipeThrough(counting), duplex: "half" });
}
