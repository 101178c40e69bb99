"""Debian's Firefox, controlled over WebDriver BiDi (https://w3c.github.io/webdriver-bidi/), which it speaks by itself."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.waiting import LIMIT_S, until

ENTER = "\ue007"
PREFERENCES = {
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.normandy.enabled": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.safebrowsing.update.enabled": False,
    "dom.ipc.processCount": 1,
    "dom.ipc.processPrelaunch.enabled": False,
    "intl.accept_languages": "en",
}
# Elements are found by a CSS selector, the name that assistive technology reads, or a text that they contain.
FIND = """(selector, label, text) => [...document.querySelectorAll(selector)].find((one) =>
    one.checkVisibility() && one.textContent.includes(text) &&
    (!label || [one.ariaLabel, one.labels?.[0]?.querySelector("span")?.textContent, one.textContent].includes(label)))"""


class Firefox:
    """One tab of a browser. Waiting ends with an AssertionError after LIMIT_S."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self.errors: list[str] = []  # of scripts, and what the page wrote as errors to the console
        self._call("session.new", capabilities={})
        self._tab = self._call("browsingContext.getTree")["contexts"][0]["context"]
        self._call("session.subscribe", events=["log.entryAdded"])
        focus = "() => { document.hasFocus = () => true; }"  # a window without a screen never has it
        self._call("script.addPreloadScript", functionDeclaration=focus)

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(timeout=LIMIT_S))
            if answer.get("id") == number:
                assert answer["type"] == "success", answer
                return dict(answer["result"])
            if answer.get("method") == "log.entryAdded" and answer["params"]["level"] == "error":
                self.errors.append(str(answer["params"]["text"]))

    def goto(self, url: str) -> None:
        """Open a URL."""
        self._call("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    def reload(self) -> None:
        """Load the page again."""
        self._call("browsingContext.reload", context=self._tab, wait="complete")

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression, if it is a text, a number or a boolean."""
        answer = self._call(
            "script.evaluate", expression=script, target={"context": self._tab}, awaitPromise=True, userActivation=True
        )
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return answer["result"].get("value")

    def wait(self, selector: str, label: str = "", text: str = "") -> str:
        """Wait for a visible element; returns a script that finds it."""
        found = f"({FIND})({json.dumps(selector)}, {json.dumps(label)}, {json.dumps(text)})"
        self.wait_until(found)
        return found

    def wait_until(self, condition: str) -> None:
        """Wait, within the page, until an expression is true."""
        script = f"""new Promise((done) => {{
            const end = Date.now() + {LIMIT_S * 1000 - 10_000};
            const check = () => ({condition}) ? done("") : Date.now() > end ? done(document.body.innerText) : setTimeout(check, 50);
            check();
        }})"""
        text = self.evaluate(script)
        assert text == "", f"{condition} did not become true in:\n{text}"

    def press(self, selector: str, label: str = "", text: str = "") -> None:
        """Click on an element with the pointer."""
        found = self.wait(selector, label, text)
        self.evaluate(f"({found}).scrollIntoView({{ block: 'nearest' }})")
        target = {"context": self._tab}
        node = self._call("script.evaluate", expression=found, target=target, awaitPromise=False)["result"]
        origin = {"type": "element", "element": {"sharedId": node["sharedId"]}}  # wherever it is at that moment
        move: dict[str, Any] = {"type": "pointerMove", "x": 0, "y": 0, "origin": origin}
        click = [move, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self._perform({"type": "pointer", "id": "mouse", "actions": click})

    def type(self, text: str) -> None:
        """Press keys."""
        keys = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self._perform({"type": "key", "id": "keyboard", "actions": keys})

    def enter(self, selector: str, label: str, text: str) -> None:
        """Click into a field and type."""
        self.press(selector, label)
        self.type(text)

    def _perform(self, source: dict[str, Any]) -> None:
        self._call("input.performActions", context=self._tab, actions=[source])


@contextmanager
def firefox(path: str) -> Iterator[Firefox]:
    """Run a Firefox with a profile of its own."""
    with tempfile.TemporaryDirectory() as profile:
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()]
        (Path(profile) / "user.js").write_text("\n".join(lines))
        command = [path, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0", "about:blank"]
        log = Path(profile) / "stderr"
        with log.open("w") as stderr, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr) as process:
            try:
                address = until(lambda: re.search(r"ws://\S+", log.read_text()))
                with connect(f"{address[0]}/session", open_timeout=LIMIT_S, max_size=None) as socket:
                    yield Firefox(socket)
            finally:
                process.kill()
