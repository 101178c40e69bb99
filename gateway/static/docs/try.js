/** The form to try a call: fields for its parameters and body, the same call as a curl command, and the response. */

import { fill, h } from "../shared/dom.js";
import { typeText } from "./schema.js";

const MAX_SHOWN_CHARACTERS = 200_000;
const COPIED_MS = 1500;
const SAFE_VERBS = ["get", "head"]; // they need no XSRF token

/** Create the form of a call with the place for its response. `getToken` returns the token to use, or "". */
export function tryOut(api, verb, path, operation, getToken) {
  if ("101" in operation.responses) return webSocketExample(path);
  const inputs = operation.parameters.map((parameter) => ({
    ...parameter,
    input: parameterInput(api, parameter),
  }));
  const [type, media] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  const body = media && bodyInput(operation, media);
  const curl = h("pre", { tabindex: "0", role: "region", "aria-label": "As a curl command" });
  const result = h("div.result");
  const stop = h("button", { type: "button", hidden: true }, "Stop");
  const request = () => requestOf(verb, path, inputs, type, body, getToken());
  const drawCurl = () => (curl.textContent = curlCommand(request()));
  const copy = h("button", { type: "button", onclick: () => copyText(copy, curl.textContent) }, "Copy curl");
  const onsubmit = (event) => {
    event.preventDefault();
    send(request(), result, stop);
  };
  const form = h(
    "form.try",
    { onsubmit, oninput: drawCurl, onfocusin: drawCurl },
    h("h4", {}, "Try it"),
    inputs.map(({ name, input, required }) => labelled(name + (required ? " (required)" : ""), input)),
    body && labelled("Body", body),
    h("div.row", {}, h("button.primary", {}, "Send"), stop, copy),
    curl,
  );
  drawCurl();
  return h("div", {}, form, result);
}

function labelled(text, input) {
  return h("label.field", {}, h("span", {}, text), input);
}

function parameterInput(api, { name, required, schema }) {
  const choices = schema.type === "boolean" ? ["true", "false"] : schema.enum;
  const props = { name, required, autocomplete: "off", spellcheck: "false" };
  if (choices) {
    const options = ["", ...choices].map((value) => h("option", { value }, value || "not set"));
    return h("select", props, options);
  }
  const inputmode = schema.type === "integer" ? "numeric" : null;
  return h("input", { ...props, type: "text", inputmode, placeholder: typeText(api, schema) });
}

function bodyInput(operation, media) {
  if (media.schema?.format === "binary") return h("input", { id: `${operation.operationId}-body`, type: "file" });
  const example = media.example ? JSON.stringify(media.example, null, 2) : "";
  const rows = Math.max(3, example.split("\n").length);
  return h("textarea", { id: `${operation.operationId}-body`, rows, spellcheck: "false", value: example });
}

/** Return {method, url, headers, body} from the form's fields. */
function requestOf(verb, path, inputs, type, body, token) {
  const pathInputs = inputs.filter((parameter) => parameter.in === "path");
  const queryInputs = inputs.filter((parameter) => parameter.in === "query" && parameter.input.value !== "");
  const fillIn = (address, { name, input }) => address.replace(`{${name}}`, encodeURIComponent(input.value));
  const query = new URLSearchParams(queryInputs.map(({ name, input }) => [name, input.value]));
  const headerInputs = inputs.filter((parameter) => parameter.in === "header" && parameter.input.value !== "");
  const chosen = Object.fromEntries(headerInputs.map(({ name, input }) => [name, input.value]));
  const search = query.size ? `?${query}` : "";
  const content = body?.type === "file" ? body.files[0] : body?.value.trim();
  return {
    method: verb.toUpperCase(),
    url: location.origin + pathInputs.reduce(fillIn, path) + search,
    headers: { ...authentication(verb, token), ...chosen, ...(content && { "Content-Type": content.type || type }) },
    body: content || undefined,
  };
}

/** Headers for a token, or else for the session in the cookie, which needs the XSRF token to change anything. */
function authentication(verb, token) {
  if (token) return { Authorization: `Bearer ${token}` };
  const xsrfToken = /(?:^|; )_xsrf=([^;]*)/.exec(document.cookie)?.[1];
  return xsrfToken && !SAFE_VERBS.includes(verb) ? { "X-XSRFToken": xsrfToken } : {};
}

/** The request as a shell command, without the token itself. */
function curlCommand({ method, url, headers, body }) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = [`curl ${method === "GET" ? "" : `-X ${method} `}${quoted(url)}`];
  if (headers.Authorization) lines.push('-H "Authorization: Bearer $TOKEN"');
  const shown = Object.entries(headers).filter(([name]) => !["Authorization", "X-XSRFToken"].includes(name));
  for (const [name, value] of shown) lines.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (body) lines.push(body.name ? `--data-binary ${quoted(`@${body.name}`)}` : `-d ${quoted(body)}`);
  return lines.join(" \\\n  ");
}

async function copyText(button, text) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Could not copy";
  }
  setTimeout(() => (button.textContent = label), COPIED_MS);
}

/**
 * Send the request and show the response as it arrives. `stop` ends a response that does not end, such as an event
 * stream.
 */
async function send(request, result, stop) {
  const controller = new AbortController();
  const status = h("p.status", { role: "status" }, "Waiting for the response…");
  const props = { tabindex: "0", role: "region", "aria-label": "Body of the response", hidden: true };
  const body = h("pre", props);
  fill(result, status, body);
  stop.hidden = false;
  stop.onclick = () => controller.abort();
  const start = performance.now();
  try {
    const response = await fetch(request.url, {
      ...request,
      signal: controller.signal,
      credentials: "same-origin",
    });
    const duration = Math.round(performance.now() - start);
    status.textContent = `${response.status} ${response.statusText}, after ${duration} ms`;
    status.classList.toggle("problem", !response.ok);
    body.before(headersElement(response));
    await showBody(response, body);
  } catch (error) {
    const isStopped = error.name === "AbortError";
    status.textContent = isStopped ? `${status.textContent} (stopped)` : `No response: ${error.message}`;
  }
  stop.hidden = true;
}

async function showBody(response, element) {
  if (!response.body) return;
  const type = response.headers.get("Content-Type") ?? "";
  if (!/^text\/|json|openmetrics/.test(type)) {
    element.textContent = `${(await response.blob()).size} bytes of the type ${type}`;
    element.hidden = false;
    return;
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    text = (text + part.value).slice(0, MAX_SHOWN_CHARACTERS);
    element.textContent = text;
    element.hidden = false;
  }
  if (/json/.test(type)) element.textContent = indented(text);
}

function indented(json) {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}

function headersElement(response) {
  const lines = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  const props = { tabindex: "0", role: "region", "aria-label": "Headers of the response" };
  return h("details.headers", {}, h("summary", {}, "Headers"), h("pre", props, lines));
}

function webSocketExample(path) {
  const line = `new WebSocket("${location.origin.replace(/^http/, "ws")}${path}?token=" + TOKEN)`;
  const example = h("pre", { tabindex: "0", role: "region", "aria-label": "In JavaScript" }, line);
  return h("div.try", {}, h("h4", {}, "Try it"), example);
}
