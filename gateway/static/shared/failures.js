/** What breaks in the page: it is counted on the server, without any contents, and ends nothing but itself. */

const API = "/api/v1/telemetry/error";
let server = ""; // if it is another origin
const MAX_REPORTS = 5; // of one page: what fails in a loop is known after the first ones
const MAX_CHARACTERS = 100;

let reports = 0;

/** Let errors be reported to a server of another origin. */
export function reportTo(url) {
  server = url;
}

/** Report an error in a part of the page: its kind, and the place in the code. Its text may contain what people wrote. */
export function report(where, error) {
  console.error(where, error);
  reports += 1;
  if (reports > MAX_REPORTS) return;
  const place = String(error?.stack ?? "").match(/\/static\/([\w/.-]+\.js:\d+)/)?.[1] ?? "";
  const what = `${error?.name ?? "Error"} ${place}`.slice(0, MAX_CHARACTERS);
  const xsrf = !server && document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)?.[1];
  const headers = { "Content-Type": "application/json", ...(xsrf && { "X-XSRFToken": xsrf }) };
  fetch(server + API, { method: "POST", headers, body: JSON.stringify({ where, what }), keepalive: true }).catch(() => {});
}

/** Run a part of the page. If it throws, report that and return `fallback(error)`. */
export function guard(where, run, fallback = () => undefined) {
  try {
    return run();
  } catch (error) {
    report(where, error);
    return fallback(error);
  }
}
