"""The page as an installed application: without a connection, and its notifications."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, Route, expect

from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.page.entering import entered, write
from tests.page.pictures import make_ready, picture, upload
from tests.waiting import until

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]
# Debian's headless shell has no service for notifications: in a service worker this list is in its place.
KEEP_SHOWN = """() => {
    self.shown = [];
    const remove = (old) => shown.includes(old) && shown.splice(shown.indexOf(old), 1);
    registration.getNotifications = async ({ tag } = {}) => shown.filter((one) => tag === undefined || one.tag === tag);
    registration.showNotification = async (title, options) => {
        const notification = { title, ...options, close: () => remove(notification) };
        remove(shown.find(({ tag }) => tag === options.tag));
        shown.push(notification);
    };
}"""
SHOWN = "shown.map(({ title, body, tag, renotify, data }) => [title, body, tag, renotify, data.url])"
HIDDEN = """
    window.listed = [];
    window.isHidden = false;
    Object.defineProperty(Document.prototype, "hidden", { get: () => isHidden });
    ServiceWorkerRegistration.prototype.getNotifications = async () => listed;
"""
LISTED = """(tag) => {
    const notification = { tag, close: () => (listed = listed.filter((one) => one !== notification)) };
    listed.push(notification);
}"""
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/604.1"
ENDPOINT = "https://push.example.org/this"
KEYS = {
    "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    "auth": "BTBZMqHH6r4Tts7J_aSIgg",
}
# The browser's question, and a push service.
PUSH_SERVICE = """
    let permission = "default";
    window.asked = 0;
    window.subscription = null;
    Object.defineProperty(Notification, "permission", { get: () => permission });
    Notification.requestPermission = async () => {
        asked += navigator.userActivation.isActive ? 1 : 100;
        return (permission = "granted");
    };
    const binary = (text) => atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    const decoded = (text) => Uint8Array.from(binary(text), (char) => char.charCodeAt(0)).buffer;
    PushManager.prototype.getSubscription = async () => subscription;
    PushManager.prototype.subscribe = async ({ applicationServerKey: key }) => {
        const unsubscribe = async () => (subscription = null);
        const toJSON = () => ({ endpoint: ENDPOINT, expirationTime: null, keys: KEYS });
        return (subscription = { key, options: { applicationServerKey: decoded(key) }, endpoint: ENDPOINT, toJSON, unsubscribe });
    };
""".replace("ENDPOINT", json.dumps(ENDPOINT)).replace("KEYS", json.dumps(KEYS))
FROM_CACHE = "performance.getEntriesByType('resource').some(({ deliveryType }) => deliveryType === 'cache-storage')"
KEPT_OF_API = """(async () => {
    const keys = (await caches.keys()).map(async (name) => (await (await caches.open(name)).keys()).map(({ url }) => url));
    return (await Promise.all(keys)).flat().filter((url) => url.includes('/api/'));
})()"""
INSTALLED = "navigator.serviceWorker.ready.then(() => true)"


def installed(open_page: Open, user: Client, address: str = "", **options: object) -> Page:
    """Open the page of a user, and wait until its service worker has kept all files."""
    page = entered(open_page, user, address, service_workers="allow", **options)
    page.evaluate(INSTALLED)
    return page


def test_a_service_worker_that_does_not_load_is_no_fault_of_the_page(served: Gateway, open_page: Open) -> None:
    [ana] = served.users(1)
    quick = """
    const later = window.setTimeout;
    window.setTimeout = (run, ms, ...rest) => {
      if (ms !== 60_000) return later(run, ms, ...rest);
      const giveUp = (...all) => { run(...all); later(() => { window.hasGivenUp = true; }, 0); };
      return later(giveUp, 0, ...rest);
    };
    """
    page = entered(open_page, ana, init_script=quick)  # service workers are blocked there
    page.wait_for_function("() => window.hasGivenUp")  # `open_page` looks for errors then


def test_without_a_connection_the_page_opens_and_what_was_written_is_sent_later(served: Gateway, open_page: Open) -> None:
    ana, ben = served.users(2)
    crew = ana.group(ben)
    page = installed(open_page, ana, f"#/conversations/{crew}")
    page.context.set_offline(True)
    write(page, "written in a tunnel")
    page.reload()
    expect(page.locator("#bar")).to_contain_text("You are offline")
    expect(page.locator(".view")).to_contain_text("written in a tunnel")
    page.context.set_offline(False)
    expect(page.locator(".message:not(.echo) .text")).to_have_text(["written in a tunnel"])


def test_pictures_are_not_kept_and_none_stays_in_view_when_the_session_ends(served: Gateway, open_page: Open) -> None:
    ana, ben = served.users(2)
    crew = ana.group(ben)
    file = upload(ana, "pier.png", picture(60, 40))
    make_ready(ana, file, picture(60, 40), 60, 40)
    ana.send("", at=crew, files=[file])
    page = installed(open_page, ben, f"#/conversations/{crew}")
    page.locator(".tile button").click()
    until(lambda: page.locator(".viewer .stage img").evaluate(f"(image) => image.src.endsWith('/files/{file}')"))
    assert page.evaluate(KEPT_OF_API) == []
    assert ben.post("/logout", {}).status_code == 204
    expect(page.get_by_label("Password")).to_be_visible()
    expect(page.locator(".viewer")).to_have_count(0)


def test_a_new_version_comes_from_the_server_and_one_without_a_service_worker_is_left_by_it(
    served: Gateway, open_page: Open
) -> None:
    page = installed(open_page, served.user())
    page.reload()
    expect(page.locator("bw-conversations")).to_be_visible()
    assert page.evaluate(FROM_CACHE), "the files of this version are those that were kept"
    page.context.route("**/service-worker.js", lambda route: route.fulfill(status=404))

    def of_another_version(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, headers={**answer.headers, "bellwire-version": "another"})

    page.context.route(f"{served.url}/", of_another_version)
    page.reload()
    expect(page.locator("bw-conversations")).to_be_visible()
    assert not page.evaluate(FROM_CACHE), "those of two versions are never mixed"
    until(lambda: page.evaluate("navigator.serviceWorker.getRegistrations().then((all) => all.length)") == 0)
    assert page.evaluate("caches.keys()") == []


def test_the_page_can_be_installed(served: Gateway, open_page: Open) -> None:
    page = open_page(served.url)
    manifest = page.context.new_cdp_session(page).send("Page.getAppManifest")
    assert manifest["errors"] == []
    content = json.loads(manifest["data"])
    assert (content["display"], content["start_url"], content["scope"]) == ("standalone", "/", "/")
    found = page.context.new_cdp_session(page).send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert {error["errorId"] for error in found} <= {"in-incognito"}, "as Playwright opens pages"
    for icon in content["icons"]:
        size = page.evaluate(
            "async (src) => { const i = new Image(); i.src = src; await i.decode(); return i.naturalWidth; }", icon["src"]
        )
        assert icon["sizes"] in (f"{size}x{size}", "any")


def push(page: Page, **message: object) -> None:
    """Let the browser deliver a push to the service worker of a page."""
    devtools = page.context.new_cdp_session(page)
    found: list[dict[str, str]] = []
    devtools.on("ServiceWorker.workerRegistrationUpdated", lambda event: found.extend(event["registrations"]))
    devtools.send("ServiceWorker.enable")
    until(lambda: (page.evaluate("0"), found)[1])
    number = found[0]["registrationId"]
    origin = page.evaluate("origin")
    devtools.send("ServiceWorker.deliverPushMessage", {"origin": origin, "registrationId": number, "data": json.dumps(message)})


def test_a_push_is_shown_leads_to_its_subject_and_is_recalled(served: Gateway, open_page: Open) -> None:
    ana, ben = served.users(2)
    sent, crew = ben.send("hello", to=ana), ana.group(ben)
    page = installed(open_page, ana, "#/settings")
    worker = page.context.service_workers[0]
    worker.evaluate(KEEP_SHOWN)

    def shown() -> list[list[object]]:
        found: list[list[object]] = worker.evaluate(SHOWN)
        return found

    conversation, tag = f"/#/conversations/{sent['conversation']}", f"conversation-{sent['conversation']}"
    push(page, title="Ben", body="hello", url=f"{conversation}/{sent['id']}", tag=tag)
    until(lambda: len(shown()) == 1)
    push(page, title="Ben", body="now", url=conversation, tag=tag, urgent=True)
    until(lambda: shown() == [["Ben", "now", tag, True, f"{served.url}{conversation}"]])
    push(page, title="Shop", url="https://shop.example.org/#/conversations/1", tag="notification-7")
    until(lambda: len(shown()) == 2)
    assert shown()[1][4] == f"{served.url}/#/notifications", "a notification leads nowhere but to the page"
    push(page, tag="notification-7", recall=True)
    until(lambda: len(shown()) == 1)

    worker.evaluate("openFrom(shown[0]).catch(() => {})")  # a script's click may not focus a window
    expect(page.locator("bw-chat .message .text")).to_have_text("hello")
    assert shown() == []
    push(page, title="Ben", body="hello", url=conversation, tag=tag)  # the page is visible, and shows it
    for n in (1, 2):
        push(page, title="Crew", body=f"hello {n}", url=f"/#/conversations/{crew}", tag=f"conversation-{crew}")
        until(lambda n=n: [body for _, body, *_ in shown()] == [f"hello {n}"])  # type: ignore[misc]


def test_a_device_is_notified_after_a_click_and_until_one_signs_out(served: Gateway, open_page: Open) -> None:
    ana = served.user()
    other = {"endpoint": "https://push.example.org/phone", "keys": KEYS, "label": "Mozilla/5.0 (Android) Firefox"}
    assert ana.put("/me/push", other).status_code == 204
    page = installed(open_page, ana, "#/settings", init_script=PUSH_SERVICE)
    part = page.locator("bw-device")
    expect(part.get_by_role("listitem")).to_have_count(1)
    assert page.evaluate("asked") == 0
    part.get_by_role("button", name="Turn on").click()
    expect(part).to_contain_text("On, also while Bellwire is closed.")
    assert page.evaluate("asked") == 1
    devices = part.get_by_role("listitem")
    expect(devices.filter(has_text="This device")).to_contain_text("on Linux")
    devices.filter(has_text="Firefox on Android").get_by_role("button").click()
    expect(devices).to_have_count(1)
    assert [item["endpoint"] for item in ana.get("/me/push").json()["items"]] == [ENDPOINT]
    key = page.evaluate("subscription.key")
    assert key == ana.get("/push/key").json()["key"]
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.wait_for_function("subscription === null")
    assert served.rows("SELECT COUNT(*) FROM push_subscriptions WHERE user_id=?", ana.id)[0][0] == 0


def test_an_iphone_has_to_put_the_page_on_its_home_screen_first(served: Gateway, open_page: Open) -> None:
    page = entered(open_page, served.user(), "#/settings", user_agent=IPHONE)
    expect(page.locator("bw-device")).to_contain_text("First add Bellwire to the home screen")
    expect(page.locator("bw-device").get_by_role("button")).to_have_count(0)


def test_a_hidden_page_notifies_except_in_quiet_hours_and_what_is_read_disappears(served: Gateway, open_page: Open) -> None:
    ana, ben = served.users(2)
    now = datetime.now(UTC)
    quiet_from, quiet_to = (f"{now + timedelta(hours=hours):%H:%M}" for hours in (-2, 2))
    quiet = {"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": quiet_from, "to": quiet_to}
    assert ana.patch("/me", {"timezone": "UTC", "quiet": quiet}).status_code == 200
    crew = ana.group(ben)
    page = installed(open_page, ana, "#/settings", init_script=PUSH_SERVICE + HIDDEN)
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("button", name="Turn off")).to_be_visible()
    worker = page.context.service_workers[0]
    worker.evaluate(KEEP_SHOWN)
    ben.send("while it is seen", at=crew, priority="urgent")
    expect(page).to_have_title("(1) Bellwire")
    page.evaluate("isHidden = true")
    ben.send("in quiet hours", at=crew)
    for level in ("none", "all"):
        assert ana.put(f"/conversations/{crew}/level", {"level": level}).status_code == 200
        sent = ben.send(f"**{level}**", at=crew, priority="urgent")
    address = f"{served.url}/#/conversations/{crew}/{sent['id']}"
    expected = [["Crew", f"{ben.name.capitalize()}: all", f"conversation-{crew}", True, address]]
    until(lambda: worker.evaluate(SHOWN) == expected)

    for tag in (f"conversation-{crew}", "notification-7"):
        page.evaluate(LISTED, tag)
    page.evaluate("isHidden = false")
    page.evaluate(f"location.hash = '#/conversations/{crew}'")
    expect(page).to_have_title("Crew – Bellwire")
    until(lambda: page.evaluate("listed.map(({ tag }) => tag)") == ["notification-7"])
