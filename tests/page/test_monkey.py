"""Random actions of two people under a bad network. In the end both pages show what the server has, and nothing broke.

A failure prints the seed. `MONKEY_SEED=7` begins with the same actions, which later depend on the timing too; `MONKEY_ACTIONS=2000`
does more of them.
"""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error, Page

from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.page.entering import entered
from tests.waiting import until

Open = Callable[..., Page]
ACTIONS = int(os.environ.get("MONKEY_ACTIONS", "90"))
pytestmark = [pytest.mark.only("sqlite"), pytest.mark.timeout(300 + ACTIONS)]  # the database does not matter here
NETWORK = (Path(__file__).parent / "bad_network.js").read_text()
WORDS = ("harbour", "tide", "boat", "rope", "pier", "🎉", "日本語", "naïve", "שלום")
ADDRESSES = ("posts", "groups", "notifications", "notifications/unread", "settings", "conversations", "posts/bookmarked")
IN_DIALOG = (
    ".people button.hit",
    "button.primary",
    "form > .row button[type=button]",
    "button.dangerous",
    ".picker .people button.icon-button",
    ".tags button",
)


class Monkey:
    """A person at a page, who acts at random."""

    def __init__(self, page: Page, person: Client, choices: random.Random) -> None:
        self.page = page
        self.person = person
        self.random = choices
        self.others: list[Client] = []
        self.actions: list[tuple[int, Callable[[], Any]]] = [
            (10, self.write),
            (6, lambda: self.press(".conversations a")),
            (5, lambda: self.press(".tools button")),
            (3, lambda: self.press(".tools button", last=4)),
            (3, self.scroll),
            (2, lambda: self.press(".reaction, .quote, .to-end, .to-unread, .context button")),
            (2, self.draft),
            (2, self.search),
            (2, lambda: self.press(".found a, .found button")),
            (2, lambda: self.page.keyboard.press("Control+k")),
            (2, lambda: self.page.keyboard.press(self.random.choice(["Escape", "ArrowUp", "ArrowDown", "Alt+ArrowDown", "?"]))),
            (3, self.go),
            (2, lambda: self.press("bw-conversations header button, [aria-label='Members and title']")),
            (2, lambda: self.press(".notice, .notices button, .column > .row button.link")),
            (2, lambda: self.press(".mark, .news, bw-comments button, .rows button")),
            (2, self.post),
            (1, self.rename),
            (1, lambda: self.page.evaluate("history.length > 3 && history.back()")),
            (1, self.reload),
        ]

    def act(self) -> None:
        """Do one thing: in what is open in front of the page, or in the page."""
        try:
            front = self.page.evaluate("front()")
            if front:
                self.act_in(front)
            else:
                weights, actions = zip(*self.actions, strict=True)
                self.random.choices(actions, weights)[0]()
        except Error as error:
            if not any(text in str(error) for text in ("navigat", "Execution context", "ERR_")):
                raise
            self.enter_again()

    def act_in(self, front: str) -> None:
        """Act in a dialog or a menu."""
        pick = self.random.random()
        if front in ("emoji-picker", "menu"):
            self.press(f".{front} button") if pick < 0.9 else self.page.keyboard.press("Escape")
        elif pick < 0.15:
            self.page.keyboard.press("Escape")
        elif front == "palette" or pick < 0.4:
            self.page.keyboard.insert_text(self.random.choice([*WORDS, *(one.name for one in self.others)]))
            self.page.keyboard.press(self.random.choice(["Enter", "ArrowDown"]))
        else:
            self.press(self.random.choice(IN_DIALOG))

    def press(self, selector: str, last: int = 10**6) -> bool:
        """Press one of the elements that fit; with `last`, the last of so many."""
        return bool(
            self.page.evaluate("([selector, n]) => press(selector, n)", [selector, -1 % last if last < 9 else self.number()])
        )

    def number(self) -> int:
        """Return any number."""
        return self.random.randrange(10**6)

    def text(self) -> str:
        """Return a new text."""
        return " ".join([f"{self.person.name} {self.number()}", *self.random.choices(WORDS, k=self.random.randrange(1, 6))])

    def write(self) -> None:
        """Write a message, or the new text of one."""
        self.enter("bw-composer textarea")
        self.page.keyboard.press("Enter")

    def draft(self) -> None:
        """Write a message without sending it."""
        if self.enter("bw-composer textarea"):
            self.page.keyboard.insert_text(" and")

    def post(self) -> None:
        """Write a post or a comment."""
        self.enter("bw-writer textarea")
        self.page.keyboard.press("Control+Enter")

    def rename(self) -> None:
        """Change one's own name."""
        if self.enter("[name=display_name]", f"{self.person.name.capitalize()} {self.number() % 100}"):
            self.page.keyboard.press("Enter")

    def search(self) -> None:
        """Search for something."""
        self.enter(".search input", self.random.choice([*WORDS, *(one.name for one in self.others)]))

    def enter(self, selector: str, text: str = "") -> bool:
        """Write a text into a field."""
        return bool(self.page.evaluate("([selector, text]) => enter(selector, 0, text)", [selector, text or self.text()]))

    def scroll(self) -> None:
        """Scroll the messages."""
        where = self.random.random()
        self.page.evaluate("(at) => document.querySelector('.messages')?.scrollTo(0, at * 1e4)", where)

    def go(self) -> None:
        """Go to another part of the page."""
        person = self.random.choice(self.others)
        address = self.random.choice([*ADDRESSES, f"people/{person.id}", f"conversations/{self.number() % 6}"])
        self.page.evaluate("(address) => { location.hash = address; }", f"#/{address}")

    def reload(self) -> None:
        """Load the page again, which takes a network."""
        self.page.context.set_offline(False)
        self.page.reload()
        self.page.wait_for_selector("bw-conversations li", state="attached")

    def enter_again(self) -> None:
        """Return to the page: the browser has left it, or could not load it."""
        self.page.context.set_offline(False)
        self.page.goto(self.person.gateway.url)
        self.page.wait_for_selector("bw-conversations li", state="attached")

    def set_network(self, state: str) -> None:
        """Make the network good, bad, or take it away."""
        self.page.context.set_offline(state == "offline")
        self.page.evaluate("(state) => sessionStorage.setItem('network', state)", state)


@contextmanager
def seeded() -> Iterator[random.Random]:
    """Random choices of a seed, which a failure prints."""
    seed = os.environ.get("MONKEY_SEED") or str(secrets.randbelow(10**6))
    print(f"MONKEY_SEED={seed} MONKEY_ACTIONS={ACTIONS}")
    yield random.Random(seed)


def act_by_api(person: Client, others: list[Client], conversations: list[int], choices: random.Random) -> None:
    """Do what somebody does without a page: any answer will do."""
    at, other = choices.choice(conversations), choices.choice(others)
    members = f"/conversations/{at}/members/{other.id}"
    acts: list[Callable[[], Any]] = [
        lambda: person.post("/messages", {"conversation": at, "body": f"{person.name} {choices.random()}"}),
        lambda: person.post("/messages", {"to": other.id, "body": f"{person.name} to {other.name} {choices.random()}"}),
        lambda: person.put(members),
        lambda: person.delete(members),
        lambda: person.patch(f"/conversations/{at}", {"title": f"Crew {choices.random():.3f}"}),
        lambda: person.post("/posts", {"body": f"{person.name} {choices.random()}"}),
    ]
    choices.choices(acts, (8, 4, 3, 1, 1, 2))[0]()


def differences(monkey: Monkey, conversation: int) -> str:
    """Return what a page shows in another way than the server has it, once it has no more to do; "" if there is nothing."""
    person = monkey.person
    conversations = [person.conversation(one["id"]) for one in person.get("/conversations", limit=100).json()["items"]]
    online = {other.id: person.get("/state").json()["presence"].get(str(other.id), False) for other in monkey.others}
    for one in conversations:
        partner = next((m["user"]["id"] for m in one["members"] if m["user"]["id"] != person.id), None)
        one["online"] = online.get(partner, False) if one["kind"] == "direct" and partner else None
    messages = person.get(f"/conversations/{conversation}/messages", limit=100).json()["items"][::-1]
    blocked = [one["user"]["id"] for one in person.get("/me/blocks").json()["items"]]
    server = {"conversations": conversations, "messages": messages, "blocked": blocked}
    shown = monkey.page.evaluate("(server) => shown(server)", server)
    counts = person.get("/notifications", limit=1).json()
    unread = sum(one["unread"] > 0 for one in conversations) + counts["unread"] - counts["unread_messages"]
    shown["title"][1] = str(unread)
    busy = shown.pop("busy")
    wrong = [f"{part}:\n  page   {page}\n  server {server}" for part, (page, server) in shown.items() if page != server]
    return "\n".join([f"busy: {busy}"] * (busy > 0) + wrong)


def assert_equal(monkey: Monkey, conversation: int) -> None:
    """Wait until a page shows a conversation, and all lists, as the server has them."""
    page, last = monkey.page, ""
    page.evaluate("(id) => { location.hash = `#/conversations/${id}`; }", conversation)
    page.wait_for_function("(id) => document.querySelector('bw-chat')?.conversation === id", arg=conversation)

    def is_equal() -> bool:
        nonlocal last
        page.evaluate("document.querySelector('bw-messages').toEnd()")
        last = differences(monkey, conversation)
        return not last

    try:
        until(is_equal)
    except AssertionError:
        raise AssertionError(f"{monkey.person.name} in {conversation}\n{last}") from None


def test_after_random_actions_in_a_bad_network_both_pages_are_equal_to_the_server(served: Gateway, open_page: Open) -> None:
    with seeded() as choices:
        people = served.users(4)
        ana, ben, cleo, dora = people
        conversations = [ana.group(ben, cleo, title="Crew"), ben.group(ana, cleo, title=None), cleo.group(ana, ben, dora)]
        for n in range(60):
            choices.choice(people[:3]).send(f"message {n}", at=conversations[n % 2])
        monkeys = []
        for person in (ana, ben):
            page = entered(open_page, person, init_script=NETWORK.replace("SEED", str(choices.randrange(10**9))))
            monkeys.append(Monkey(page, person, choices))
            monkeys[-1].others = [other for other in people if other is not person]
        for n in range(ACTIONS):
            monkey = choices.choice(monkeys)
            if choices.random() < 0.06:
                monkey.set_network(choices.choice(["good", "bad", "bad", "bad", "offline"]))
            if choices.random() < 0.1:
                act_by_api(choices.choice(people), people, conversations, choices)
            if n % 1000 == ACTIONS % 1000 // 2:
                assert served.metric("bellwire_client_errors_total") == 0
                served.restart()
            monkey.act()
        for monkey in monkeys:
            monkey.set_network("good")
            monkey.page.evaluate("document.querySelectorAll('dialog[open]').forEach((dialog) => dialog.close())")
        for monkey in monkeys:
            for conversation in monkey.person.get("/conversations", limit=100).json()["items"]:
                assert_equal(monkey, conversation["id"])
        assert served.metric("bellwire_client_errors_total") == 0
