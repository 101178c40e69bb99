"""A little of everything that people do, so that every metric has data."""

from __future__ import annotations

from tests.gateway.client import Client
from tests.gateway.community import comment, post
from tests.gateway.newcomers import new_signup
from tests.gateway.running import Gateway
from tests.gateway.transports import socket, stream
from tests.jobs.pictures.drawing import png
from tests.smtp_server import SmtpServer
from tests.waiting import until

BREAKS = "this one breaks the store"


class Traffic:
    """The actions of Ana, Ben, Cleo and an admin; they can be repeated."""

    def __init__(self, house: Gateway, relay: SmtpServer) -> None:
        self._house, self._relay = house, relay
        self._admin = house.user("admin")
        self._ana, self._ben, self._cleo = house.users(3)
        self._group = self._ana.group(self._ben, self._cleo)
        house.execute(
            "CREATE TRIGGER broken BEFORE INSERT ON messages WHEN NEW.body='"
            + BREAKS
            + "' BEGIN SELECT RAISE(ABORT, 'broken'); END"
        )

    def once(self) -> None:
        """Do everything once."""
        self._messages()
        self._sign_ups()
        liked = post(self._ana)["id"]
        assert self._ben.put(f"/posts/{liked}/like").is_success
        comment(self._cleo, liked)
        announcement = {"type": "system", "title": "Tonight", "body": "We are back at nine.", "role": "user"}
        assert self._admin.post("/admin/notifications", announcement).status_code == 202
        self._files()
        self._ana.with_token("dead").get("/me")
        self._ana.with_token("dead").post("/login", {"login": self._ana.name, "password": "a wrong password"})
        assert self._ana.post("/telemetry/send", {"seconds": [0.004, 0.02]}).status_code == 204

    def _messages(self) -> None:
        with stream(self._ben) as streaming, socket(self._ben) as talking:
            next(streaming.blocks())
            talking.frame()
            polling = self._ben.polling(self._ben.now())
            until(lambda: self._house.metric("bellwire_polls_open", transport="poll") >= 1)
            self._ana.send("hello", to=self._ben)
            assert polling.result().json()["events"]
            self._ana.send("hello all", at=self._group)
            self._ana.send("so that the one before is counted", at=self._group)
            streaming.events(2)
            talking.events(2)
        self._ben.poll(self._ben.now())
        assert self._ana.post("/messages", {"to": self._ben.id, "body": ""}).status_code == 422
        assert self._ana.post("/messages", {"to": self._ben.id, "body": BREAKS}).status_code >= 500

    def _files(self) -> None:
        """Send a picture, and upload nothing."""
        file = self._ana.post("/files", content=png()).json()["id"]
        assert self._ana.post("/messages", {"to": self._ben.id, "body": "", "files": [file]}).status_code == 201
        assert self._ana.post("/files", content=b"").status_code == 422

    def _sign_ups(self) -> None:
        """Sign up with a mail that is sent, one that is deferred and one that is refused; request codes up to the limit."""
        accepted, busy, unknown = new_signup(), new_signup(), new_signup()
        self._relay.refused |= {busy["email"]: "450 later", unknown["email"]: "550 nobody here"}
        for newcomer in (accepted, busy, unknown):
            assert self._anonymous().post("/signup", newcomer).status_code == 201
        while self._anonymous().post("/otp", {"email": accepted["email"]}).status_code != 429:
            pass

    def _anonymous(self) -> Client:
        return self._house.anonymous()
