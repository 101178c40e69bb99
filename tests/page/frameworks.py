"""React and Vue as a browser loads them from the host's server, without a bundler, and a page of each with Bellwire's elements.

A page has `change({user, partner, isShown})`: who is signed in, the person of the chat, and whether there are elements.
"""

from __future__ import annotations

from tests import npm

REACT, VUE = "react-dom@19.3.1", "vue@3.5.45"
REACT_FILES = {  # in the order of their imports; of the builds for development, in which StrictMode runs all effects twice
    "react": "react/cjs/react.development.js",
    "scheduler": "scheduler/cjs/scheduler.development.js",
    "react-dom": "react-dom/cjs/react-dom.development.js",
    "react-dom/client": "react-dom/cjs/react-dom-client.development.js",
}
VUE_FILE = "vue/dist/vue.runtime.esm-browser.prod.js"
REACT_PAGE = """
import { Bellwire } from "BELLWIRE/static/embed.js";
import { StrictMode, createElement, createRoot, useEffect, useState } from "/react.js";

const root = document.querySelector("#root");
function Shop() {
  const [{ user, partner, isShown, conversation }, setState] = useState({ ...root.dataset, isShown: true });
  const change = (values) => setState((state) => ({ ...state, ...values }));
  const open = (event) => {
    event.preventDefault();
    change({ conversation: event.detail.id });
  };
  useEffect(() => {
    globalThis.change = (values) => change({ conversation: undefined, ...values });
    Bellwire.configure({ getToken: async () => (await fetch(`/token/${user}`)).text() });
  }, [user]);
  return isShown && createElement("section", {},
    createElement("bellwire-unread"),
    createElement("bellwire-conversations", { "onbellwire-open": open }),
    createElement("bellwire-chat", conversation ? { conversation } : { with: `ext:${partner}` }));
}
createRoot(root).render(createElement(StrictMode, {}, createElement(Shop)));
"""
VUE_PAGE = """
import { Bellwire } from "BELLWIRE/static/embed.js";
import { createApp, h, reactive, watchEffect } from "/vue.js";

const root = document.querySelector("#root");
const shop = reactive({ ...root.dataset, isShown: true, conversation: undefined });
globalThis.change = (values) => Object.assign(shop, { conversation: undefined }, values);
const open = (event) => {
  event.preventDefault();
  shop.conversation = event.detail.id;
};
createApp({
  setup() {
    watchEffect(() => {
      const { user } = shop;
      Bellwire.configure({ getToken: async () => (await fetch(`/token/${user}`)).text() });
    });
    return () => shop.isShown && h("section", {}, [
      h("bellwire-unread"),
      h("bellwire-conversations", { onBellwireOpen: open }),
      h("bellwire-chat", shop.conversation ? { conversation: shop.conversation } : { with: `ext:${shop.partner}` }),
    ]);
  },
}).mount(root);
"""
PAGES = {"react": REACT_PAGE, "vue": VUE_PAGE}


def scripts(framework: str) -> dict[str, str]:
    """The page's script and the framework's, by their paths on the host's server."""
    source = _react() if framework == "react" else (npm.installed(VUE) / "node_modules" / VUE_FILE).read_text()
    return {f"/{framework}.js": source, f"/{framework}-page.js": PAGES[framework]}


def _react() -> str:
    """React's CommonJS files as one module."""
    folder = npm.installed(REACT) / "node_modules"
    parts = [
        f'((exports) => {{\n{(folder / file).read_text()}\n}})(modules["{name}"] = {{}});\n' for name, file in REACT_FILES.items()
    ]
    begin = 'const process = { env: { NODE_ENV: "development" } };\nconst modules = {};\nconst require = (name) => modules[name];\n'
    end = (
        "export const { StrictMode, createElement, useEffect, useState } = modules.react;\n"
        'export const { createRoot } = modules["react-dom/client"];\n'
    )
    return begin + "".join(parts) + end
