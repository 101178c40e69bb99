/** A document in which nothing is drawn, for parts of the page that run in Node.js. Texts are the keys of their words. */

import { register } from "node:module";

const LIMITS = { NewComment: { body: { max: 1000 } } };
const source = `data:text/javascript,export const LIMITS = ${encodeURIComponent(JSON.stringify(LIMITS))}`;
const hook = `export const resolve = (name, context, next) =>
  name.endsWith("/limits.js") ? { url: ${JSON.stringify(source)}, shortCircuit: true } : next(name, context);`;
register(`data:text/javascript,${encodeURIComponent(hook)}`); // the server makes that file

/** An element with attributes and children, and without a place. */
class Element extends EventTarget {
  children = [];
  dataset = {};
  classList = { add() {}, toggle() {} };
  value = "";
  isConnected = true;
  #text = "";

  append(...nodes) {
    this.children.push(...nodes);
  }

  replaceChildren(...nodes) {
    this.children = nodes;
  }

  insertBefore(node, next) {
    this.children.splice(next ? this.children.indexOf(next) : this.children.length, 0, node);
  }

  setAttribute(name, value) {
    if (name.startsWith("data-")) this.dataset[name.slice(5)] = value;
  }

  get textContent() {
    return this.#text + this.children.map((child) => child.textContent ?? child).join("");
  }

  set textContent(text) {
    this.#text = text;
    this.children = [];
  }

  get lastChild() {
    return this.children.at(-1);
  }

  /** The first element below this one for which `test(element)` is true. */
  find(test) {
    const elements = this.children.filter((child) => child instanceof Element);
    for (const child of elements) {
      const found = test(child) ? child : child.find(test);
      if (found) return found;
    }
    return null;
  }

  matches = () => false;
  querySelector = () => null;
  querySelectorAll = () => [];
  focus = () => {};
  remove = () => {};
  scrollIntoView = () => {};
  showModal = () => {};
}

globalThis.HTMLElement = Element;
globalThis.navigator ??= { platform: "", language: "en", onLine: true }; // Node.js has it from 21 on
globalThis.document = {
  hidden: false,
  cookie: "",
  body: new Element(),
  createElement: (name) => Object.assign(new (views.get(name) ?? Element)(), { localName: name }),
  createElementNS: () => new Element(),
  querySelector: () => ({ content: "de en" }), // the languages
};

/** The views by their names, of the modules that were imported. */
export const views = new Map();
globalThis.customElements = { define: (name, view) => views.set(name, view) };

/** Resolve when what is under way has gone on. */
export const settled = () => new Promise((done) => setImmediate(done));
