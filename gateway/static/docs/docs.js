/** The API's documentation: made from /api/v1/openapi.json, with every call to read and to try. */

import { fill, h } from "../shared/dom.js";
import { answers, bodyOf, parametersOf, prose } from "./schema.js";
import { tryOut } from "./try.js";

const TOKEN = "bellwire:docs-token"; // in sessionStorage: gone with the tab
const theme = localStorage.getItem("bellwire:theme");
if (theme) document.documentElement.dataset.theme = theme;
const [calls, areas, filter, count, token] = ["calls", "areas", "filter", "count", "token"].map((id) => document.getElementById(id));

/** [{verb, path, operation, element, words}] of the document, in its order. */
function operationsOf(api) {
  return Object.entries(api.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([verb, operation]) => {
      const words = [verb, path, operation.summary, operation.description, ...operation.tags].join(" ").toLowerCase();
      return { verb, path, operation, words, element: callOf(api, verb, path, operation) };
    }),
  );
}

/** One call: a line, which opens to all that is to be known of it. It is made when it is first opened. */
function callOf(api, verb, path, operation) {
  const inside = h("div.inside");
  const element = h(
    "details.call",
    { id: operation.operationId },
    h("summary", {}, h(`span.verb.${verb}`, {}, verb.toUpperCase()), h("h3", {}, operation.summary), h("code.path", {}, breakable(path))),
    inside,
  );
  element.addEventListener("toggle", () => {
    if (!element.open) return;
    history.replaceState(null, "", `#${element.id}`);
    if (!inside.hasChildNodes()) {
      fill(inside, prose(operation.description), who(operation), parametersOf(api, operation), bodyOf(api, operation), answers(api, operation));
      inside.append(tryOut(api, verb, path, operation, () => token.value.trim()));
    }
  });
  return element;
}

/** Who may call. */
function who(operation) {
  if (!operation.security.length) return h("p.quiet", {}, "Anybody may call, without a token.");
  const query = operation.security.some((scheme) => "query" in scheme);
  return h("p.quiet", {}, "With a token or a session", query ? [", or with ", h("code", {}, "?token="), "."] : ".");
}

/** A path that may be broken after its slashes. */
function breakable(path) {
  return path.split(/(?<=\/)/).flatMap((part) => [part, h("wbr")]);
}

/** Shows the calls that hold all words of the filter. */
function show(operations) {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const { words: text, element } of operations) {
    element.hidden = !words.every((word) => text.includes(word));
    shown += !element.hidden;
  }
  for (const section of calls.querySelectorAll("section")) {
    section.hidden = !section.querySelector("details.call:not([hidden])");
    areas.querySelector(`[href="#${section.id}"]`).hidden = section.hidden;
  }
  count.textContent = shown === operations.length ? `${shown} calls` : `${shown} of ${operations.length} calls`;
}

/** Opens the call that the address names. */
function openNamed() {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!named) return;
  if (named.matches("details.call")) named.open = true;
  named.scrollIntoView();
}

function build(api) {
  const operations = operationsOf(api);
  const sections = api.tags.map(({ name }) => {
    const id = `area-${name.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`;
    areas.append(h("a", { href: `#${id}` }, name));
    const mine = operations.filter(({ operation }) => operation.tags.includes(name));
    return h("section", { id, "aria-label": name }, h("h2", {}, name), mine.map(({ element }) => element));
  });
  fill(calls, h("div.intro", {}, prose(api.info.description)), sections);
  filter.addEventListener("input", () => show(operations));
  addEventListener("hashchange", openNamed);
  show(operations);
  openNamed();
}

async function load() {
  fill(calls, h("p.quiet", { role: "status" }, "Loading …"));
  try {
    const answer = await fetch("/api/v1/openapi.json", { credentials: "same-origin" });
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    build(await answer.json());
  } catch (error) {
    fill(calls, h("p.problem", { role: "alert" }, `The document could not be loaded: ${error.message}. `), h("button", { type: "button", onclick: load }, "Try again"));
  }
}

token.value = sessionStorage.getItem(TOKEN) ?? "";
token.addEventListener("input", () => sessionStorage.setItem(TOKEN, token.value.trim()));
load();
