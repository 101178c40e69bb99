/** The words of the page: complete in all languages, and in no other file. Run by test_texts_in_node.py. */

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

const ROOT = new URL("../../gateway/static/", import.meta.url);
const read = (path) => readFileSync(new URL(path, ROOT), "utf8");
const LANGUAGES = readdirSync(new URL("words/", ROOT)).map((name) => name.replace(".js", ""));
const words = Object.fromEntries(
  await Promise.all(LANGUAGES.map(async (code) => [code, (await import(new URL(`words/${code}.js`, ROOT))).default])),
);
const KEYS = Object.keys(words.en);
const FOR_DEVELOPERS = /^(docs|examples|words)\/|^(client|upload)\.js$/;
const MODULES = readdirSync(ROOT, { recursive: true })
  .filter((path) => path.endsWith(".js") && !FOR_DEVELOPERS.test(path))
  .sort();

const placesOf = (text) => [...new Set(text.match(/\{\w+\}/g))].sort().join();
const textsOf = (entry) => (typeof entry === "string" ? [entry] : Object.values(entry));

test("every language has the same keys in the same order", () => {
  for (const code of LANGUAGES) assert.deepEqual(Object.keys(words[code]), KEYS, code);
});

test("every text has the places of the English one, and every form that its language needs", () => {
  for (const code of LANGUAGES) {
    const forms = [...new Intl.PluralRules(code).resolvedOptions().pluralCategories].sort();
    for (const key of KEYS) {
      const [entry, english] = [words[code][key], words.en[key]];
      assert.equal(typeof entry, typeof english, `${code} ${key}`);
      if (typeof entry !== "string") assert.deepEqual(Object.keys(entry).sort(), forms, `${code} ${key}`);
      const places = placesOf(english.other ?? english);
      for (const text of textsOf(entry)) {
        const isWithoutNumber = typeof entry !== "string" && placesOf(`${text}{n}`) === places; // such as "in a second"
        assert.ok(placesOf(text) === places || isWithoutNumber, `${code} ${key}: ${text}`);
        assert.ok(text.trim(), `${code} ${key}`);
      }
    }
  }
});

test("every language has words for the same emoji", () => {
  const emojiOf = (text) => text.split(", ").map((part) => part.split(" ")[0]);
  for (const key of KEYS.filter((name) => /^emoji\..*\.words$/.test(name)))
    for (const code of LANGUAGES) assert.deepEqual(emojiOf(words[code][key]), emojiOf(words.en[key]), `${code} ${key}`);
});

const TOKEN =
  /\/\*[\s\S]*?\*\/|\/\/[^\n]*|(?<=(?:[=(,:!&|?;]|^)\s*)\/(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:\$\{(?:[^{}`]|`[^`]*`|\{[^}]*\})*\}|[^`\\]|\\.)*`/gm;

/** The texts in the quotes of a module: {text, before, line}. A value in a template is "${}". */
function literals(source) {
  const found = [];
  for (const { 0: token, index } of source.matchAll(TOKEN)) {
    if (token.startsWith("/")) continue;
    const [before, line] = [source.slice(0, index), source.slice(0, index).split("\n").length];
    const text = token.slice(1, -1).replace(/\$\{(?:[^{}`]|`[^`]*`|\{[^}]*\})*\}/g, "${}");
    found.push({ text, before: before.slice(-60), line });
    for (const [, inner] of token.startsWith("`") ? token.matchAll(/\$\{((?:[^{}`]|`[^`]*`|\{[^}]*\})*)\}/g) : [])
      found.push(...literals(inner).map((literal) => ({ ...literal, line })));
  }
  return found;
}

const NO_WORDS = new Set([
  ...["Android", "Windows", "CrOS", "Mac OS X", "Linux", "Mozilla/"], // as browsers name their systems
  ...["Bellwire", "${}${}Bellwire"], // a name
  "Deleted user", // as the server writes it
  "Files", // a type of what is dragged
  ...["Content-Type", "Bellwire-Version", "MessageEdit", "NewMessage", "noopener noreferrer", "800px 0px", "XXXXX-XXXXX", "Error"],
  ...["Bellwire.configure needs getToken, a function", "calc($1 * var(--size))"],
  "${}\\n@container (max-width: 640px) ${}",
  ...["input, select, textarea", ".found a, .found button"],
]);
const IS_CODE =
  /(?:\.listen\([\w.]+, |\bkey [!=]== |\bname === |\bmatchMedia\(|\b(?:querySelector(?:All)?|closest|matches)(?:\?\.)?\(|\bselector = )$/;
const IS_SHOWN =
  /(?:\b(?:textContent|placeholder|title|label|alt|innerText)"? ?[=:] |"aria-(?:label|description|roledescription)"[:,] |\}, |new Error\(|\b(?:toast|say|confirm|alert|announce)\()$/;

/** The literals of a module that people would see, as LINE: TEXT. */
function shownTexts(source) {
  const shown = literals(source).filter(({ text, before }) => {
    if (NO_WORDS.has(text) || IS_CODE.test(before) || Object.hasOwn(words.en, text)) return false;
    if (!/\p{L}/u.test(text.replaceAll("${}", ""))) return false;
    const filled = text.replaceAll("${}", "value");
    return /\p{L}{2,}\P{L}* \P{L}*\p{L}{2,}|^\P{L}*\p{Lu}\p{Ll}/u.test(filled) || IS_SHOWN.test(before);
  });
  return shown.map(({ text, line }) => `${line}: ${text}`);
}

test("no text that people see is outside of the words", () => {
  assert.deepEqual(MODULES.flatMap((path) => shownTexts(read(path)).map((text) => `${path}:${text}`)), []);
  const html = read("index.html").replace(/<title>Bellwire<\/title>|<[^>]*?>/g, (tag) => tag.match(/description" content="([^"]*)/)?.[1] ?? "");
  assert.equal(html.replace(/\{[a-z.-]+\}/g, "").trim(), "");
});

test("a text outside of the words is found", () => {
  const samples = [
    'button("Save it now")',
    'h("button", {}, "Save")',
    "h('p', {}, 'nothing is here')",
    'h("b", { dir: "auto" }, "nothing")',
    "toast(`${count} were saved`)",
    'field.title = "save"',
    'h("input", { placeholder: "name" })',
    'h("nav", { "aria-label": "main" })',
    'throw new Error("no")',
    "h(`p.${kind}`, {}, `by ${nameOf(user) || `Nobody ${x}`}`)",
  ];
  for (const sample of samples) assert.notDeepEqual(shownTexts(sample), [], sample);
});

/** The keys that the page uses: those in quotes, and patterns of those that are put together. */
function usedKeys() {
  const texts = new Set();
  for (const path of [...MODULES, "index.html"]) {
    const source = read(path);
    const found = path.endsWith(".js") ? literals(source).map(({ text }) => text) : source.match(/(?<=\{)[a-z.-]+(?=\})/g);
    for (const text of found) texts.add(text);
  }
  const patterns = [...texts].filter((text) => /^(?:[a-z]+|\$\{\}\.[a-z]+)\.(?:[\w.-]|\$\{\})*$/.test(text) && text.includes("$"));
  const escaped = patterns.map((text) => text.replaceAll(".", "\\.").replaceAll("${}", "[\\w.-]+"));
  return { texts, pattern: new RegExp(`^(?:${escaped.join("|")})$`) };
}

test("every key is used, and every key that is used is there", () => {
  const { texts, pattern } = usedKeys();
  const isJoined = (key) =>
    [...key.matchAll(/\./g)].some(({ index }) => {
      return texts.has(key.slice(0, index + 1)) || (texts.has(key.slice(0, index)) && texts.has(key.slice(index + 1)));
    });
  assert.deepEqual(KEYS.filter((key) => !texts.has(key) && !pattern.test(key) && !isJoined(key)), []);
  for (const path of MODULES)
    for (const [, key] of read(path).matchAll(/\b(?:t|hasWords)\(\s*"([^"]+)"/g)) assert.ok(Object.hasOwn(words.en, key), `${path}: ${key}`);
});
