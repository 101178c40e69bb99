/** JSON Schemas as people read them, and examples made from them. */

import { h } from "../shared/dom.js";

/** What a reference stands for, at any depth of `$ref`. */
export function resolve(api, thing) {
  let found = thing;
  while (found?.$ref) found = found.$ref.slice(2).split("/").reduce((place, part) => place[part], api);
  return found;
}

/** Text with its `code`, in paragraphs. */
export function prose(text) {
  return text.split("\n\n").map((paragraph) => h("p", {}, marked(paragraph)));
}

function marked(text) {
  return text.split(/`([^`]*)`/).map((part, n) => (n % 2 ? h("code", {}, part) : part));
}

/** The type of a schema in a few words: "integer, 1 to 200", "text or null", "list of Message". */
export function typeOf(api, schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map((one) => typeOf(api, one)).join(" or ");
  if (schema.enum) return schema.enum.length > 1 ? `one of ${schema.enum.join(", ")}` : String(schema.enum[0]);
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.type === "array") return `list of ${typeOf(api, schema.items ?? {})}${bounds(schema.minItems, schema.maxItems, "")}`;
  if (schema.type === "string") return `${schema.format ?? "text"}${bounds(schema.minLength, schema.maxLength, " characters")}`;
  if (schema.type === "object" && schema.additionalProperties?.type) return `object of ${typeOf(api, schema.additionalProperties)}`;
  return `${schema.type ?? "anything"}${bounds(schema.minimum, schema.maximum, "")}`;
}

function bounds(low, high, unit) {
  const shown = (number) => number.toLocaleString("en");
  if (high !== undefined && high !== Number.MAX_SAFE_INTEGER) return `, ${low || !unit ? `${shown(low ?? 0)} to` : "up to"} ${shown(high)}${unit}`;
  return low ? `, from ${shown(low)}${unit}` : "";
}

/** The schema behind a field that has fields of its own: of an object, a list of them, or of what may be null. */
function within(api, schema) {
  if (schema.anyOf) return schema.anyOf.map((one) => within(api, one)).find(Boolean);
  const found = resolve(api, schema);
  if (found?.type === "array") return within(api, found.items ?? {});
  return found?.properties || found?.oneOf ? found : undefined;
}

/**
 * The fields of an object, each with those below it. Of a body it is said which are needed, of an answer which may be missing.
 * `above` are the schemas that it is inside of: none is shown within itself.
 */
export function fieldsOf(api, schema, isAnswer, above = []) {
  if (schema.oneOf) return h("ul.fields", {}, schema.oneOf.map((one) => h("li", {}, opened(h("code", {}, one.title), () => fieldsOf(api, one, isAnswer, above)))));
  const required = new Set(schema.required);
  const fields = Object.entries(schema.properties ?? {});
  if (!fields.length) return h("p.quiet", {}, "No fields.");
  const mark = (name) => (required.has(name) ? (isAnswer ? null : "needed") : isAnswer ? "may be missing" : null);
  return h("ul.fields", {}, fields.map(([name, inner]) => field(api, name, inner, mark(name), isAnswer, above)));
}

function field(api, name, schema, mark, isAnswer, above) {
  const below = within(api, schema);
  const about = schema.description ?? schema.anyOf?.map((one) => one.description).find(Boolean);
  const line = [
    h("code", {}, name),
    h("span.type", {}, typeOf(api, schema)),
    mark && h("span.mark", {}, mark),
    about && h("span.about", {}, marked(about)),
  ].filter(Boolean);
  return h("li", {}, !below || above.includes(below) ? line : opened(line, () => fieldsOf(api, below, isAnswer, [...above, below])));
}

/** A line that opens to more, which is made then. */
function opened(line, more) {
  const element = h("details", {}, h("summary", {}, line));
  element.addEventListener("toggle", () => element.open && element.children.length === 1 && element.append(more()));
  return element;
}

/** The parameters of the path and query. */
export function parametersOf(api, operation) {
  if (!operation.parameters.length) return null;
  const lines = operation.parameters.map((one) => {
    const parts = [h("code", {}, one.name), h("span.type", {}, `${typeOf(api, one.schema)}, in the ${one.in}`)];
    return h("li", {}, parts, one.required ? h("span.mark", {}, "needed") : null, one.description ? h("span.about", {}, marked(one.description)) : null);
  });
  return [h("h4", {}, "Parameters"), h("ul.fields", {}, lines)];
}

/** What a body may say. */
export function bodyOf(api, operation) {
  const content = Object.entries(operation.requestBody?.content ?? {})[0];
  if (!content) return null;
  return [h("h4", {}, "Body"), h("p.quiet", {}, content[0]), fieldsOf(api, resolve(api, content[1].schema), false)];
}

/** What it answers: in full when it goes well, in a line when it does not. */
export function answers(api, operation) {
  const entries = Object.entries(operation.responses).map(([status, answer]) => ({ status, ...resolve(api, answer) }));
  const well = new Map(); // those that say the same stand together
  for (const answer of entries.filter(({ status }) => status < 400)) {
    const same = JSON.stringify(answer.content ?? null);
    well.set(same, [...(well.get(same) ?? []), answer]);
  }
  const ill = entries.filter(({ status }) => status >= 400).map(({ status, description }) => h("li", {}, h("strong", {}, status), ` ${description}`));
  return [h("h4", {}, "Answers"), [...well.values()].map((same) => answered(api, same)), h("details.errors", {}, h("summary", {}, "Errors"), h("ul", {}, ill))];
}

function answered(api, same) {
  const content = Object.entries(same[0].content ?? {});
  const named = content.map(([type, media]) => h("span.type", {}, media.schema.$ref ? `${typeOf(api, media.schema)}, ${type}` : type));
  const fields = content.map(([, media]) => within(api, media.schema)).filter(Boolean);
  return [
    h("p", {}, same.map(({ status, description }, n) => [n ? " or " : "", h("strong", {}, status), ` ${description}`]), named),
    fields.map((schema) => fieldsOf(api, schema, true)),
  ];
}
