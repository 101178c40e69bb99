/**
 * The words of the page. Each language is one file, `words/LANGUAGE.js`, and no other file contains words that people
 * see: they call `t` with a key, whenever they draw. The server finds the files, and tells the page their languages.
 */

const FROM_RIGHT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/; // Hebrew, Arabic, and others that are written so
const [ISOLATE, END_OF_ISOLATE] = ["\u2068", "\u2069"]; // Unicode's marks around a part whose direction is its own

let words = {};
let code = "en";
let rules = new Intl.PluralRules("en");

/** The code of the page's language. */
export const language = () => code;

const codes = () => document.querySelector("meta[name='bellwire-languages']").content.split(" ");

/** Return the first of preferred languages, such as "de-AT", that there are words in, or else undefined. */
export function languageOf(...preferred) {
  return languageAmong(codes(), preferred);
}

/** The same of the languages `known`. */
export function languageAmong(known, preferred) {
  return preferred.map((tag) => String(tag).toLowerCase().split("-")[0]).find((code) => known.includes(code));
}

/** Pairs of code and name of all languages, each named as its speakers name it. */
export function languages() {
  return codes().map((code) => [code, new Intl.DisplayNames([code], { type: "language" }).of(code)]);
}

/** Load the words of a language. */
export async function loadWords(language, url = `/static/words/${language}.js`) {
  words = (await import(url)).default;
  code = language;
  rules = new Intl.PluralRules(code);
}

/** Set the language and direction of an element to those of the words. */
export function setLanguage(element) {
  element.lang = code;
  element.dir = words.direction;
}

/**
 * Return the words of a key, with `{name}` replaced by the value of that name. If they depend on a number, `n` is that
 * number, and the key has one text for each plural form of the language (Intl.PluralRules: "one", "other", …).
 */
export function t(key, values = {}) {
  const found = Object.hasOwn(words, key) ? words[key] : key;
  const text = typeof found === "string" ? found : (found[rules.select(values.n)] ?? found.other);
  const valueOf = (name) => (name === "n" ? number(values.n) : isolated(String(values[name] ?? "")));
  return directed(text.replace(/\{(\w+)\}/g, (_, name) => valueOf(name)));
}

/** Return a text that is to be a part of another one, such as a name: neither changes the order of the other's letters. */
export function isolated(text) {
  const isForeign = words.direction === "rtl" || FROM_RIGHT.test(text);
  return isForeign && text ? `${ISOLATE}${text}${END_OF_ISOLATE}` : text;
}

/** Return a text with isolated parts, which begins with a mark of the page's direction: `dir="auto"` looks into the parts. */
function directed(text) {
  if (!text.includes(ISOLATE)) return text;
  return `${words.direction === "rtl" ? "\u200f" : "\u200e"}${text}`;
}

/** Whether there are words for a key. */
export const hasWords = (key) => Object.hasOwn(words, key);

const formats = new Map(); // by language and kind: making one takes longer than using it a hundred times

function format(kind, make) {
  const key = `${code} ${kind}`;
  if (!formats.has(key)) formats.set(key, make());
  return formats.get(key);
}

/** Return a number as it is written in the language. */
export const number = (value) => format("number", () => new Intl.NumberFormat(code)).format(value);

/** Return several names as a list: "Ana, Ben and Cem". */
export function listed(names) {
  if (names.length === 1) return names[0];
  const list = format("list", () => new Intl.ListFormat(code, { type: "conjunction" }));
  return directed(list.format(names.map(isolated)));
}
