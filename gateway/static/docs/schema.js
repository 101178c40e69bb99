/** JSON Schemas of the OpenAPI document as readable text. */

import { h } from "../shared/dom.js";

/** Follow `$ref` until there is none. */
export function resolve(api, value) {
  let resolved = value;
  while (resolved?.$ref) {
    const keys = resolved.$ref.slice(2).split("/");
    resolved = keys.reduce((parent, key) => parent[key], api);
  }
  return resolved;
}

/** Turn text into paragraphs; `…` becomes code. */
export function prose(text) {
  return text.split("\n\n").map((paragraph) => h("p", {}, withCode(paragraph)));
}

function withCode(text) {
  return text.split(/`([^`]*)`/).map((part, n) => (n % 2 ? h("code", {}, part) : part));
}

/** Describe the type of a schema: "integer, 1 to 200", "text or null", "list of Message". */
export function typeText(api, schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map((option) => typeText(api, option)).join(" or ");
  if (schema.enum)
    return schema.enum.length > 1 ? `one of ${schema.enum.join(", ")}` : String(schema.enum[0]);
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.type === "array") {
    return `list of ${typeText(api, schema.items ?? {})}${boundsText(schema.minItems, schema.maxItems, "")}`;
  }
  if (schema.type === "string") {
    return `${schema.format ?? "text"}${boundsText(schema.minLength, schema.maxLength, " characters")}`;
  }
  if (schema.type === "object" && schema.additionalProperties?.type) {
    return `object of ${typeText(api, schema.additionalProperties)}`;
  }
  return `${schema.type ?? "anything"}${boundsText(schema.minimum, schema.maximum, "")}`;
}

function boundsText(min, max, unit) {
  const format = (number) => number.toLocaleString("en");
  if (max !== undefined && max !== Number.MAX_SAFE_INTEGER) {
    const start = min || !unit ? `${format(min ?? 0)} to` : "up to";
    return `, ${start} ${format(max)}${unit}`;
  }
  return min ? `, from ${format(min)}${unit}` : "";
}

/** Return the schema with fields behind a schema: of an object, of a list's items, or of a value that may be null. */
function schemaWithFields(api, schema) {
  if (schema.anyOf) return schema.anyOf.map((option) => schemaWithFields(api, option)).find(Boolean);
  const resolved = resolve(api, schema);
  if (resolved?.type === "array") return schemaWithFields(api, resolved.items ?? {});
  return resolved?.properties || resolved?.oneOf ? resolved : undefined;
}

/**
 * List the fields of an object, each with its own fields below it. Required fields of a body are marked, and optional
 * ones of a response. `parents` are the schemas around this one: a schema is not shown again within itself.
 */
function fieldList(api, schema, isResponse, parents = []) {
  if (schema.oneOf) {
    const options = schema.oneOf.map((reference) => {
      const option = resolve(api, reference);
      const [type] = option.properties.type.enum; // the options are told apart by their types
      return h(
        "li",
        {},
        unfolding(h("code", {}, type), () => fieldList(api, option, isResponse, parents)),
      );
    });
    return h("ul.fields", {}, options);
  }
  const required = new Set(schema.required);
  const fields = Object.entries(schema.properties ?? {});
  if (!fields.length) return h("p.quiet", {}, "No fields.");
  const mark = (name) => {
    if (isResponse) return required.has(name) ? null : "optional";
    return required.has(name) ? "required" : null;
  };
  return h(
    "ul.fields",
    {},
    fields.map(([name, inner]) => fieldItem(api, name, inner, mark(name), isResponse, parents)),
  );
}

function fieldItem(api, name, schema, mark, isResponse, parents) {
  const inner = schemaWithFields(api, schema);
  const description = schema.description ?? schema.anyOf?.map((option) => option.description).find(Boolean);
  const line = [
    h("code", {}, name),
    h("span.type", {}, typeText(api, schema)),
    mark && h("span.mark", {}, mark),
    description && h("span.about", {}, withCode(description)),
  ];
  if (!inner || parents.includes(inner)) return h("li", {}, line);
  return h(
    "li",
    {},
    unfolding(line, () => fieldList(api, inner, isResponse, [...parents, inner])),
  );
}

/** Create a line that unfolds; `create` returns its content when it is first opened. */
function unfolding(line, create) {
  const element = h("details", {}, h("summary", {}, line));
  element.addEventListener("toggle", () => {
    if (element.open && element.children.length === 1) element.append(create());
  });
  return element;
}

/** The parameters of the path, the query and the headers. */
export function parametersSection(api, operation) {
  if (!operation.parameters.length) return null;
  const items = operation.parameters.map((parameter) =>
    h(
      "li",
      {},
      h("code", {}, parameter.name),
      h("span.type", {}, `${typeText(api, parameter.schema)}, in the ${parameter.in}`),
      parameter.required && h("span.mark", {}, "required"),
      parameter.description && h("span.about", {}, withCode(parameter.description)),
    ),
  );
  return [h("h4", {}, "Parameters"), h("ul.fields", {}, items)];
}

/** The fields of the request body. */
export function bodySection(api, operation) {
  const [content] = Object.entries(operation.requestBody?.content ?? {});
  if (!content) return null;
  const [type, { schema = {} }] = content;
  if (schema.format === "binary") return [h("h4", {}, "Body"), h("p.quiet", {}, "The bytes, of any type.")];
  return [h("h4", {}, "Body"), h("p.quiet", {}, type), fieldList(api, resolve(api, schema), false)];
}

/** The responses: successful ones with their fields, errors in one line each. */
export function responsesSection(api, operation) {
  const responses = Object.entries(operation.responses).map(([status, response]) => {
    return { status, ...resolve(api, response) };
  });
  const byContent = new Map(); // successful responses with the same content are shown together
  for (const response of responses.filter(({ status }) => status < 400)) {
    const key = JSON.stringify(response.content ?? null);
    byContent.set(key, [...(byContent.get(key) ?? []), response]);
  }
  const errors = responses
    .filter(({ status }) => status >= 400)
    .map(({ status, description }) => {
      return h("li", {}, h("strong", {}, status), ` ${description}`);
    });
  return [
    h("h4", {}, "Responses"),
    [...byContent.values()].map((group) => responseGroup(api, group)),
    h("details.errors", {}, h("summary", {}, "Errors"), h("ul", {}, errors)),
  ];
}

/** Responses with the same content. */
function responseGroup(api, responses) {
  const content = Object.entries(responses[0].content ?? {});
  const types = content.map(([type, { schema = {} }]) => {
    return h("span.type", {}, schema.$ref ? `${typeText(api, schema)}, ${type}` : type);
  });
  const schemas = content.map(([, { schema = {} }]) => schemaWithFields(api, schema)).filter(Boolean);
  const statuses = responses.map(({ status, description }, n) => {
    return [n ? " or " : "", h("strong", {}, status), ` ${description}`];
  });
  return [h("p", {}, statuses, types), schemas.map((schema) => fieldList(api, schema, true))];
}
