/** Trying a call: fields for what it takes, the same as a curl line, and the answer as it came. */

import { fill, h } from "../shared/dom.js";
import { typeOf } from "./schema.js";

const SHOWN_CHARS = 200_000;
const SAFE = ["get", "head"];

/** The form of a call, and the place of its answer. `tokenOf` says which token is to be used, if any. */
export function tryOut(api, verb, path, operation, tokenOf) {
  if ("101" in operation.responses) return socketLine(path);
  const inputs = operation.parameters.map((one) => ({ ...one, input: inputOf(api, operation, one) }));
  const [type, media] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  const example = media?.example ? JSON.stringify(media.example, null, 2) : "";
  const body = media && h("textarea", { id: `${operation.operationId}-body`, rows: Math.max(3, example.split("\n").length), spellcheck: "false", value: example });
  const curl = h("pre", { tabindex: "0", role: "region", "aria-label": "As a curl line" });
  const result = h("div.result", {});
  const stop = h("button", { type: "button", hidden: true }, "Stop");
  const asked = () => requestOf(verb, path, inputs, type, body, tokenOf());
  const draw = () => (curl.textContent = curlOf(asked()));
  const copy = h("button", { type: "button", onclick: () => copied(copy, curl.textContent) }, "Copy curl");
  const form = h(
    "form.try",
    {
      onsubmit: (event) => {
        event.preventDefault();
        send(asked(), result, stop);
      },
      oninput: draw,
    },
    h("h4", {}, "Try it"),
    inputs.map(({ name, input, required }) => h("label.field", {}, h("span", {}, name, required ? " (needed)" : ""), input)),
    body && h("label.field", {}, h("span", {}, "Body"), body),
    h("div.row", {}, h("button.primary", {}, "Send"), stop, copy),
    curl,
  );
  form.addEventListener("focusin", draw);
  draw();
  return h("div", {}, form, result);
}

function inputOf(api, operation, one) {
  const options = one.schema.type === "boolean" ? ["true", "false"] : one.schema.enum;
  const props = { name: one.name, required: one.required, autocomplete: "off", spellcheck: "false" };
  if (options) return h("select", props, ["", ...options].map((value) => h("option", { value }, value || "not given")));
  return h("input", { ...props, type: "text", inputmode: one.schema.type === "integer" ? "numeric" : null, placeholder: typeOf(api, one.schema) });
}

/** {method, url, headers, body} of what stands in the fields. */
function requestOf(verb, path, inputs, type, body, token) {
  const filled = inputs.filter(({ input }) => input.value !== "");
  const place = inputs.filter((one) => one.in === "path").reduce((at, { name, input }) => at.replace(`{${name}}`, encodeURIComponent(input.value)), path);
  const query = new URLSearchParams(filled.filter((one) => one.in === "query").map(({ name, input }) => [name, input.value]));
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  else if (!SAFE.includes(verb)) headers["X-XSRFToken"] = xsrf();
  if (!headers["X-XSRFToken"]) delete headers["X-XSRFToken"];
  const text = body?.value.trim();
  if (text) headers["Content-Type"] = type;
  return { method: verb.toUpperCase(), url: `${location.origin}${place}${query.size ? `?${query}` : ""}`, headers, body: text || undefined };
}

function xsrf() {
  return /(?:^|; )_xsrf=([^;]*)/.exec(document.cookie)?.[1] ?? "";
}

/** The same for a shell; the token stays out of it. */
function curlOf({ method, url, headers, body }) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = [`curl ${method === "GET" ? "" : `-X ${method} `}${quoted(url)}`];
  if (headers.Authorization) lines.push('-H "Authorization: Bearer $TOKEN"');
  if (headers["Content-Type"]) lines.push(`-H ${quoted(`Content-Type: ${headers["Content-Type"]}`)}`);
  if (body) lines.push(`-d ${quoted(body)}`);
  return lines.join(" \\\n  ");
}

async function copied(button, text) {
  const said = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Could not copy";
  }
  setTimeout(() => (button.textContent = said), 1500);
}

/** Makes the call and shows its answer as it comes; one that does not end is ended by `stop`. */
async function send(request, result, stop) {
  const ending = new AbortController();
  const status = h("p.status", { role: "status" }, "Waiting for the answer …");
  const text = h("pre", { tabindex: "0", role: "region", "aria-label": "Body of the answer", hidden: true });
  fill(result, status, text);
  stop.hidden = false;
  stop.onclick = () => ending.abort();
  const began = performance.now();
  try {
    const answer = await fetch(request.url, { ...request, signal: ending.signal, credentials: "same-origin" });
    status.textContent = `${answer.status} ${answer.statusText}, after ${Math.round(performance.now() - began)} ms`;
    status.classList.toggle("problem", !answer.ok);
    text.before(headersOf(answer));
    await read(answer, text);
  } catch (error) {
    status.textContent = error.name === "AbortError" ? `${status.textContent} (stopped)` : `No answer: ${error.message}`;
  }
  stop.hidden = true;
}

async function read(answer, text) {
  if (!answer.body) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let whole = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    whole = (whole + part.value).slice(0, SHOWN_CHARS);
    text.textContent = whole;
    text.hidden = false;
  }
  if (/json/.test(answer.headers.get("Content-Type"))) text.textContent = formatted(whole);
}

function formatted(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function headersOf(answer) {
  const lines = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  return h("details.headers", {}, h("summary", {}, "Headers"), h("pre", { tabindex: "0", role: "region", "aria-label": "Headers of the answer" }, lines));
}

function socketLine(path) {
  const line = `new WebSocket("${location.origin.replace(/^http/, "ws")}${path}?token=" + TOKEN)`;
  return h("div.try", {}, h("h4", {}, "Try it"), h("pre", { tabindex: "0", role: "region", "aria-label": "In JavaScript" }, line));
}
