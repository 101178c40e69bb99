"""The Django example beside a server, driven as its README says: chat, notifications, webhook, old messages, suspension, pages."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.page.host_page import block_cookies
from tests.stores import Database, free_port
from tests.waiting import LIMIT_S, until

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/django"
SECRET = "a secret of at least thirty-two characters"
INTEGRATION = ("shop/bellwire.py", "shop/static/shop/bellwire.js", "shop/apps.py")
MAX_LINES = 100
SHIP = """
from django.utils import timezone
order = Order.objects.get(owner__username="{name}", what="A bell")
order.shipped_at = timezone.now()
order.save()
Order.objects.update(told=False)
"""


@pytest.fixture(scope="module")
def database() -> Database:
    """The example's is SQLite."""
    return Database("sqlite", None)


class Shop:
    """The Django project with a database of its own, and its development server."""

    def __init__(self, folder: Path, port: int, bellwire: str, token: str) -> None:
        self.folder, self.port, self.url = folder, port, f"http://127.0.0.1:{port}"
        self.public_url = f"http://localhost:{port}"  # in browsers: another site than Bellwire's
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("BELLWIRE_")},
            "PYTHONPATH": str(ROOT / "clients/python/src"),
            "SHOP_DATABASE": str(folder / "shop.sqlite3"),
            "BELLWIRE_URL": bellwire,
            "BELLWIRE_TOKEN": token,
            "BELLWIRE_JWT_SECRET": SECRET,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def manage(self, *arguments: str) -> str:
        """Run `manage.py` and return what it prints."""
        command = [sys.executable, "manage.py", *arguments]
        ran = subprocess.run(command, cwd=EXAMPLE, env=self.environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def shell(self, script: str) -> str:
        """Run Python with the shop's models."""
        models = "from shop.models import *\nfrom django.contrib.auth.models import User\n"
        return self.manage("shell", "-v", "0", "-c", models + script)

    def counted(self, name: str) -> list[tuple[int]]:
        """The number of a customer's messages, in a list that is empty before the first."""
        sql = "SELECT t.messages FROM shop_talk t JOIN auth_user u ON u.id=t.user_id WHERE u.username=?"
        with contextlib.closing(sqlite3.connect(self.folder / "shop.sqlite3")) as database:
            return database.execute(sql, (name,)).fetchall()

    def serve(self) -> None:
        """Start the development server, and wait until it answers."""
        command = [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{self.port}"]
        log = (self.folder / "django.log").open("ab")
        self.process = subprocess.Popen(command, cwd=EXAMPLE, env=self.environment, stdout=log, stderr=log)
        until(self.answers)

    def answers(self) -> bool:
        """Whether the server answers."""
        try:
            return httpx.get(f"{self.url}/login/", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def sign_in(self, name: str) -> httpx.Client:
        """A browser in which somebody has signed in to the shop."""
        browser = httpx.Client(base_url=self.url, trust_env=False, follow_redirects=True, timeout=LIMIT_S)
        form = browser.get("/login/").text
        csrf = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
        assert csrf
        signed_in = browser.post("/login/", data={"username": name, "password": name, "csrfmiddlewaretoken": csrf[1]})
        assert "Sign out" in signed_in.text
        return browser

    def close(self) -> None:
        """End the server."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def shop(make_gateway: Callable[..., Gateway], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Shop]]:
    """A running Bellwire and the shop, whose database has customers, orders and old messages."""
    folder = tmp_path_factory.mktemp("shop")
    port, keys = free_port(), folder / "jwt.secret"
    keys.write_text(SECRET)
    gateway = make_gateway(
        "serve",
        JWT_ISSUER="shop",
        JWT_KEYS=str(keys),
        JWT_ALGORITHMS="HS256",
        WEBHOOK_ALLOW="127.0.0.0/8",
        ALLOWED_ORIGINS=f"http://localhost:{port}",
    )
    admin = gateway.user("admin")
    made = Shop(folder, port, gateway.url, str(admin.token))
    made.manage("migrate", "-v", "0")
    made.manage("seed")
    made.environment["BELLWIRE_WEBHOOK_SECRET"] = made.manage("connect", made.url).strip().partition("=")[2]
    made.serve()
    yield gateway, made
    made.close()


def lines_of_code(name: str) -> int:
    """The lines of a file that are neither blank, nor comments or docstrings."""
    text = re.sub(r'"""(?:.|\n)*?"""', "", (EXAMPLE / name).read_text())
    return sum(bool(line.strip()) and not line.strip().startswith(("#", "//")) for line in text.splitlines())


def test_a_shop_adds_bellwire(shop: tuple[Gateway, Shop], capsys: pytest.CaptureFixture[str]) -> None:
    gateway, django = shop
    ben, ana = (as_bellwire(gateway, django, name) for name in ("ben", "ana"))
    assert "500" in import_history(gateway, django)
    (talk,) = ben.get("/conversations").json()["items"]
    newest = ben.get(f"/conversations/{talk['id']}/messages", limit=1).json()["items"][0]
    assert (newest["body"], newest["created_at"], talk["unread"]) == ("Old message 495", "2026-01-05T17:15:00.000Z", 0)

    django.shell(SHIP.replace("{name}", "ben"))
    django.manage("tell")  # once more
    (told,) = until(lambda: [n for n in ben.get("/notifications").json()["items"] if n["type"] == "order.shipped"])
    assert (told["title"], told["count"]) == ("A bell left the warehouse", 1)

    assert httpx.post(f"{django.url}/bellwire/webhook", json={"type": "message.created"}, trust_env=False).status_code == 401
    sent = ben.post("/messages", {"to": "ext:1", "body": "Is it on its way?"})
    assert sent.status_code == 201, sent.text
    until(lambda: django.counted("ben") == [(1,)])

    django.shell("u = User.objects.get(username='ben'); u.is_active = False; u.save()")
    until(lambda: ben.get("/me").status_code == 403)
    assert ana.get("/me").status_code == 200

    lines = sum(lines_of_code(name) for name in INTEGRATION)
    with capsys.disabled():
        print(f"\nexamples/django: the integration took {lines} lines of code")
    assert lines <= MAX_LINES


def test_a_customer_uses_the_pages_of_the_shop(shop: tuple[Gateway, Shop], open_page: Callable[..., Page]) -> None:
    gateway, django = shop
    page, cookies = open_page("about:blank"), list[str]()
    block_cookies(page, cookies)
    page.goto(f"{django.public_url}/login/")
    for label in ("Username", "Password"):
        page.get_by_label(label).fill("o'neil")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("bellwire-chat h1")).to_have_text("Ana of the shop")
    page.get_by_label("Message", exact=True).fill("Is it on its way?")
    page.keyboard.press("Enter")
    texts = page.locator("bellwire-chat .message:not(.echo) .text")
    expect(texts.last).to_have_text("Is it on its way?")

    ana = as_bellwire(gateway, django, "ana")
    talk = until(lambda: [talk for talk in ana.get("/conversations").json()["items"] if talk["unread"]])[0]
    ana.send("It leaves today", at=talk["id"])
    expect(texts.last).to_have_text("It leaves today")
    django.shell(SHIP.replace("{name}", "o'neil"))
    expect(page.locator("bellwire-inbox .notice .title")).to_have_text("Unread: A bell left the warehouse")
    expect(page.locator("bellwire-unread .badge")).to_have_text("1 unread")
    page.locator("bellwire-inbox .notice").click()
    expect(page.get_by_text("Shipped on")).to_be_visible()
    assert cookies == []


def as_bellwire(gateway: Gateway, django: Shop, name: str) -> Client:
    """A client of Bellwire with the token that the shop answers to its signed-in user."""
    token = django.sign_in(name).get("/bellwire/token").json()["token"]
    client = gateway.anonymous().with_token(token)
    return Client(gateway, client.get("/me").json()["id"], name, token)


def import_history(gateway: Gateway, django: Shop) -> str:
    """Import the old messages by Bellwire's command, and return what it prints."""
    file = django.folder / "history.jsonl"
    file.write_text(django.manage("export_chat"))
    environment = {f"BELLWIRE_{name}": value for name, value in gateway.settings.items()}
    command = [sys.executable, ROOT / "run.py", "import", file]
    ran = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr
