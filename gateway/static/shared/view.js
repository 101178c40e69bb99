/** What all parts of the page have in common: they listen while they are shown, and no longer. */

export class View extends HTMLElement {
  connectedCallback() {
    this.ended = new AbortController();
    this.show();
  }

  disconnectedCallback() {
    this.ended.abort();
  }

  /** Calls `run` with the `detail` of each of these events, until the part is no longer shown. */
  on(target, names, run) {
    for (const name of names.split(" ")) target.addEventListener(name, (event) => run(event.detail, event), { signal: this.ended.signal });
  }
}

/** Makes a part, with what it works with. */
export function part(name, properties) {
  return Object.assign(document.createElement(name), properties);
}
