/** The API documentation: drawn from /api/v1/openapi.json, with a form to try each call. */

import { fill, h } from "../shared/dom.js";
import { applyTheme, docsToken } from "../shared/storage.js";
import { bodySection, parametersSection, prose, resolve, responsesSection } from "./schema.js";
import { tryOut } from "./try.js";

const byId = (id) => document.getElementById(id);
const [main, areas, filter, count, tokenField] = ["calls", "areas", "filter", "count", "token"].map(byId);

/**
 * Return [{operation, element, text}] for all calls, in the order of the document. `text` is searched by the filter.
 */
function callsOf(api) {
  return Object.entries(api.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([verb, described]) => {
      const parameters = described.parameters.map((parameter) => resolve(api, parameter));
      const operation = { ...described, parameters };
      const words = [verb, path, operation.summary, operation.description, ...operation.tags];
      return {
        operation,
        text: words.join(" ").toLowerCase(),
        element: callElement(api, verb, path, operation),
      };
    }),
  );
}

/** Create one call: a line that unfolds. Its content is created when it is first opened. */
function callElement(api, verb, path, operation) {
  const content = h("div.inside");
  const badge = h(`span.verb.${verb}`, {}, verb.toUpperCase());
  const summary = h(
    "summary",
    {},
    badge,
    h("h3", {}, operation.summary),
    h("code.path", {}, breakablePath(path)),
  );
  const element = h("details.call", { id: operation.operationId }, summary, content);
  element.addEventListener("toggle", () => {
    if (!element.open) return;
    history.replaceState(null, "", `#${element.id}`);
    if (content.hasChildNodes()) return;
    fill(
      content,
      prose(operation.description),
      accessText(operation),
      parametersSection(api, operation),
      bodySection(api, operation),
      responsesSection(api, operation),
      tryOut(api, verb, path, operation, () => tokenField.value.trim()),
    );
  });
  return element;
}

function accessText(operation) {
  if (!operation.security.length) return h("p.quiet", {}, "No token is needed.");
  const takesQuery = operation.security.some((scheme) => "query" in scheme);
  const end = takesQuery ? [", or with ", h("code", {}, "?token="), "."] : ".";
  return h("p.quiet", {}, "With a token or a session", end);
}

/** A path that may be wrapped after its slashes. */
function breakablePath(path) {
  return path.split(/(?<=\/)/).flatMap((part) => [part, h("wbr")]);
}

/** Show the calls that contain all words of the filter. */
function applyFilter(calls) {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const { text, element } of calls) element.hidden = !words.every((word) => text.includes(word));
  for (const section of main.querySelectorAll("section")) {
    section.hidden = !section.querySelector("details.call:not([hidden])");
    areas.querySelector(`[href="#${section.id}"]`).hidden = section.hidden;
  }
  const visible = calls.filter(({ element }) => !element.hidden).length;
  count.textContent = visible === calls.length ? `${visible} calls` : `${visible} of ${calls.length} calls`;
}

/** Open the call, or scroll to the area, that the address names. */
function openAddressed() {
  const element = byId(decodeURIComponent(location.hash.slice(1)));
  if (!element) return;
  if (element.matches("details.call")) element.open = true;
  element.scrollIntoView();
}

function draw(api) {
  const calls = callsOf(api);
  const sections = api.tags.map(({ name }) => {
    const id = `area-${name.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`;
    areas.append(h("a", { href: `#${id}` }, name));
    const inArea = calls.filter(({ operation }) => operation.tags.includes(name));
    return h(
      "section",
      { id, "aria-label": name },
      h("h2", {}, name),
      inArea.map(({ element }) => element),
    );
  });
  fill(main, h("div.intro", {}, prose(api.info.description)), sections);
  filter.addEventListener("input", () => applyFilter(calls));
  addEventListener("hashchange", openAddressed);
  applyFilter(calls);
  openAddressed();
}

async function load() {
  fill(main, h("p.quiet", { role: "status" }, "Loading…"));
  try {
    const answer = await fetch("/api/v1/openapi.json", { credentials: "same-origin" });
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    draw(await answer.json());
  } catch (error) {
    const problem = h("p.problem", { role: "alert" }, `The document could not be loaded: ${error.message}. `);
    fill(main, problem, h("button", { type: "button", onclick: load }, "Try again"));
  }
}

applyTheme();
tokenField.value = docsToken.read();
tokenField.addEventListener("input", () => docsToken.write(tokenField.value.trim()));
load();
