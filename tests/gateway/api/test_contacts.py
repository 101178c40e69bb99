"""Contacts by each call: gateways with the settings `shared` and `closed` on one store."""

import os
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.gateway.client import Client, problem
from tests.gateway.running import Gateway

NOBODY = 123_456_789  # an id that no user has


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway]) -> Gateway:
    """The gateway whose users reach those with whom they share."""
    return make_gateway(CONTACTS="shared")


@pytest.fixture(scope="module")
def second(make_gateway: Callable[..., Gateway], gateway: Gateway) -> Gateway:
    """Another gateway with the same settings."""
    return make_gateway(beside=gateway, CONTACTS="shared")


@pytest.fixture(scope="module")
def closed(make_gateway: Callable[..., Gateway], gateway: Gateway) -> Gateway:
    """A gateway whose users can't begin conversations."""
    return make_gateway(beside=gateway, CONTACTS="closed")


def found(client: Client, q: str = "") -> set[int]:
    """Return the users that a client finds, by pages of two."""
    users: list[int] = []
    page: str | None = ""
    while page is not None:
        answer = client.get("/users", q=q, limit=2, **({"page": page} if page else {})).json()
        users += [user["id"] for user in answer["items"]]
        page = answer["next"]
    assert len(users) == len(set(users))
    return set(users)


def refusal_of(answer: httpx.Response) -> tuple[int, str]:
    """Return all that a refusal says: it names no id."""
    return answer.status_code, answer.text


def calls(client: Client, other: int, crew: int) -> list[httpx.Response]:
    """Answers to all calls that name another user."""
    return [
        client.get(f"/users/{other}"),
        client.post("/messages", {"to": other, "body": "hello"}),
        client.post("/communication/chats/", {"receiver": other, "message": "hello"}),
        client.post("/conversations", {"members": [other]}),
        client.post("/conversations", {"members": [other], "title": "Us"}),
        client.put(f"/conversations/{crew}/members/{other}"),
    ]


def test_a_stranger_is_answered_as_an_id_that_nobody_has(gateway: Gateway, closed: Gateway, people: list[Client]) -> None:
    ana, ben, cleo = people
    crew = gateway.user("admin").group(ana, ben)
    gateway.execute("UPDATE memberships SET role='owner' WHERE conversation_id=? AND user_id=?", crew, ana.id)

    for caller in (ana, ana.at(closed)):
        strangers, nobody = calls(caller, cleo.id, crew), calls(caller, NOBODY, crew)
        assert [refusal_of(answer) for answer in strangers] == [refusal_of(answer) for answer in nobody]
        for answer in strangers:
            problem(answer, 404, "not-found")
        assert found(caller) >= {ana.id, ben.id}
        assert cleo.id not in found(caller) | found(caller, cleo.name) | found(caller, f"@{cleo.name}")
    assert ana.get("/state").json()["conversations"][0]["id"] == crew
    assert cleo.get("/conversations").json()["items"] == []


def test_who_shares_a_conversation_is_found_and_written_to(gateway: Gateway, admin: Client, people: list[Client]) -> None:
    ana, ben, cleo = people
    crew = admin.group(ana, ben)

    assert found(ana) == {ana.id, ben.id, admin.id}
    assert found(ana, ben.name) == {ben.id}
    assert ana.get(f"/users/{ben.id}").json()["username"] == ben.name
    direct = ana.send("hello", to=ben)["conversation"]
    assert ana.post("/conversations", {"members": [ben.id]}).json()["id"] == direct
    own = ana.group(ben)
    problem(ana.put(f"/conversations/{own}/members/{cleo.id}"), 404, "not-found")

    assert ana.delete(f"/conversations/{crew}/members/{ana.id}").status_code == 204
    assert found(ana) == {ana.id, ben.id}
    assert ana.delete(f"/conversations/{own}/members/{ben.id}").status_code == 204
    assert ana.get(f"/users/{ben.id}").status_code == 200  # a direct conversation is shared for good
    assert ana.send("still", to=ben)["conversation"] == direct


def test_who_shares_a_group_of_the_community_is_found_and_written_to(people: list[Client]) -> None:
    ana, ben, cleo = people
    walkers = ana.post("/groups", {"name": "Walkers"}).json()["id"]
    ben.put(f"/groups/{walkers}/members/me")
    cleo.put(f"/groups/{walkers}/members/me")

    assert found(ana) == {ana.id, ben.id, cleo.id}
    crew = ana.group(ben)
    ben.delete(f"/groups/{walkers}/members/me")
    cleo.delete(f"/groups/{walkers}/members/me")

    assert found(ana) == {ana.id, ben.id}
    problem(ana.put(f"/conversations/{crew}/members/{cleo.id}"), 404, "not-found")


def test_only_admins_make_conversations_where_they_are_closed(closed: Gateway, admin: Client, people: list[Client]) -> None:
    ana, ben, cleo = (person.at(closed) for person in people)
    crew = admin.at(closed).group(ana, ben)
    closed.execute("UPDATE memberships SET role='owner' WHERE conversation_id=? AND user_id=?", crew, ana.id)

    problem(ana.post("/messages", {"to": ben.id, "body": "hello"}), 403, "forbidden")
    problem(ana.post("/communication/chats/", {"receiver": ben.id, "message": "hello"}), 403, "forbidden")
    problem(ana.post("/conversations", {"members": [ben.id]}), 403, "forbidden")
    problem(ana.post("/conversations", {"members": [ben.id], "title": "Us"}), 403, "forbidden")
    problem(ana.put(f"/conversations/{crew}/members/{ben.id}"), 403, "forbidden")
    problem(ana.post("/conversations", {"members": [ben.id, cleo.id]}), 404, "not-found")
    assert found(ana) == {ana.id, ben.id, admin.id}
    assert ana.send("hello", at=crew)["conversation"] == crew

    direct = admin.at(closed).send("welcome", to=ana)["conversation"]
    assert ana.send("thank you", to=admin)["conversation"] == direct
    assert ana.post("/conversations", {"members": [admin.id]}).json()["id"] == direct


def test_admins_reach_everybody(gateway: Gateway, closed: Gateway, people: list[Client]) -> None:
    ana, ben, cleo = people
    for admin in (gateway.user("admin"), gateway.user("admin").at(closed)):
        assert {ana.id, ben.id, cleo.id} <= {user["id"] for user in admin.get("/users", q="person", limit=200).json()["items"]}
        assert admin.get(f"/users/{ana.id}").status_code == 200
        crew = admin.group(ana)
        assert admin.put(f"/conversations/{crew}/members/{ben.id}").status_code == 204
        assert admin.send("hello", to=cleo)["sender"] == admin.id


def test_a_retry_is_answered_after_the_other_can_no_longer_be_reached(admin: Client, people: list[Client]) -> None:
    ana, ben, _ = people
    crew = admin.group(ana, ben)
    first = ana.send("hello", at=crew, client_id="one")
    ana.delete(f"/conversations/{crew}/members/{ana.id}")

    again = ana.post("/messages", {"to": ben.id, "body": "hello", "client_id": "one"})
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    problem(ana.post("/messages", {"to": ben.id, "body": "hello", "client_id": "two"}), 404, "not-found")


def test_a_demoted_admin_is_bound_at_once(gateway: Gateway, admin: Client, people: list[Client]) -> None:
    other = gateway.user("admin")
    assert other.get(f"/users/{people[0].id}").status_code == 200

    assert admin.patch(f"/admin/users/{other.id}", {"role": "user"}).status_code == 200

    problem(other.post("/messages", {"to": people[0].id, "body": "hello"}), 404, "not-found")
    problem(other.post("/conversations", {"members": [people[0].id]}), 404, "not-found")
    problem(other.get(f"/users/{people[0].id}"), 404, "not-found")


def test_names_in_a_search_are_those_of_people_who_can_be_reached(admin: Client, people: list[Client]) -> None:
    ana, ben, cleo = people
    crew = admin.group(ana, ben, cleo)
    sent = [client.send("harvest", at=crew)["id"] for client in (ben, cleo)]

    def hits(q: str, **params: Any) -> list[int]:
        return [hit["id"] for hit in ana.get("/search/messages", q=q, **params).json()["items"]]

    assert hits(f"from:@{ben.name}") == [sent[0]]
    cleo.delete(f"/conversations/{crew}/members/{cleo.id}")
    assert cleo.patch("/me", {"display_name": "Zenobia"}).status_code == 200

    assert hits("from:Zenobia") == hits(f"from:@{cleo.name}") == hits("from:Nobody") == []
    assert hits(f"in:{crew}", **{"from": NOBODY}) == []


def test_many_members_of_a_conversation_are_made_members_by_admins(ana: Client) -> None:
    answer = ana.post("/conversations", {"members": list(range(NOBODY, NOBODY + 200)), "title": "All"})

    assert problem(answer, 422, "invalid")["errors"][0]["field"] == "members"


def test_the_instance_says_who_may_reach_whom(gateway: Gateway, closed: Gateway) -> None:
    assert gateway.anonymous().get("/instance").json()["contacts"] == "shared"
    assert closed.anonymous().get("/instance").json()["contacts"] == "closed"


def test_public_posts_and_their_comments_are_shown_to_those_who_see_their_authors(admin: Client, people: list[Client]) -> None:
    ana, ben, cleo = people
    admin.group(ana, ben)
    crew = admin.group(ben, cleo)
    post = ben.post("/posts", {"body": "hello"}).json()["id"]
    answered = cleo.post(f"/posts/{post}/comments", {"body": "hi"}).json()["id"]
    hidden = cleo.post("/posts", {"body": "who sees it?"}).json()["id"]

    assert [item["id"] for item in ana.get("/posts").json()["items"]] == [post]
    assert ana.get(f"/posts/{post}/comments").json()["items"] == []
    problem(ana.delete(f"/comments/{answered}"), 404, "not-found")
    for comment in (answered, NOBODY):
        problem(ana.post(f"/posts/{post}/comments", {"body": "hi", "reply_to": comment}), 422, "invalid")
    for number in (hidden, NOBODY):
        for method, path in (
            *(("GET", ""), ("DELETE", ""), ("PUT", "/like"), ("DELETE", "/like"), ("PUT", "/bookmark"), ("DELETE", "/bookmark")),
            *(("GET", "/comments"), ("POST", "/comments")),
        ):
            body = {"body": "hi"} if method == "POST" else None
            problem(ana.call(method, f"/posts/{number}{path}", body), 404, "not-found")
    assert ben.get(f"/posts/{hidden}").json()["author"]["id"] == cleo.id
    assert [comment["id"] for comment in ben.get(f"/posts/{post}/comments").json()["items"]] == [answered]

    assert ben.put(f"/posts/{hidden}/bookmark").status_code == 200
    cleo.delete(f"/conversations/{crew}/members/{cleo.id}")
    assert [item["id"] for item in ben.get("/posts").json()["items"]] == [post]
    assert ben.get("/posts", bookmarked=True).json()["items"] == []
    assert {hidden, post} <= {item["id"] for item in admin.get("/posts").json()["items"]}


def test_followers_of_posts_receive_those_of_their_groups_only(people: list[Client]) -> None:
    ana, ben, _ = people
    walkers = ana.post("/groups", {"name": "Walkers"}).json()["id"]
    ben.put(f"/groups/{walkers}/members/me")
    start = ana.now()
    ben.post("/posts", {"body": "to all"})
    ben.patch("/me", {"display_name": "Benedikt"})
    posted = ben.post("/posts", {"body": "to us", "group": walkers}).json()["id"]

    assert [e["data"]["id"] for e in ana.events(start, follow="posts")] == [posted]
    assert ana.poll(start, follow="posts", types="user.updated")["events"] == []


def test_the_owner_of_a_group_is_named_to_those_who_see_them(admin: Client, people: list[Client]) -> None:
    ana, ben, _ = people
    walkers = ana.post("/groups", {"name": "Walkers"}).json()["id"]

    def owner(client: Client) -> int | None:
        (found,) = [group for group in client.get("/groups", limit=200).json()["items"] if group["id"] == walkers]
        return None if found["owner"] is None else int(found["owner"])

    assert (owner(ana), owner(ben), owner(admin)) == (ana.id, None, ana.id)
    ben.put(f"/groups/{walkers}/members/me")
    assert owner(ben) == ana.id


# Random histories at two gateways

EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "3"))
PERSON = st.integers(0, 3)
PICK = st.integers(0, 10**6)  # index into a list, modulo its length
SECOND = st.booleans()  # at which gateway


def named(value: Any) -> set[int]:
    """Return the users whom JSON names: USERs, and ids in the fields that have them."""
    if isinstance(value, list):
        return {user for item in value for user in named(item)}
    if not isinstance(value, dict):
        return set()
    own = {value["id"]} if "username" in value else set()
    ids = {value[field] for field in ("sender", "user", "author", "owner", "by") if isinstance(value.get(field), int)}
    return own | ids | {user for item in value.values() for user in named(item)}


class ContactsMachine(RuleBasedStateMachine):
    """Four people and an admin; the model is who is in which conversation or group, and who ever shared with whom."""

    gateways: tuple[Gateway, Gateway]
    admin: Client

    def __init__(self) -> None:
        super().__init__()
        self.people = self.gateways[0].users(4)
        self.places: list[tuple[str, int, set[int]]] = []  # path, id and members
        self.owner: dict[int, int] = {}  # of a conversation
        self.direct: set[frozenset[int]] = set()
        self.ever = {person.id: {person.id} for person in self.people}
        self.start = self.admin.now()

    def at(self, number: int, second: bool) -> Client:
        """Return a client of a person at one of the gateways."""
        return self.people[number].at(self.gateways[second])

    def shares(self, user: int) -> set[int]:
        """Return with whom a user shares, by the model."""
        return {user}.union(*(place for place in (*(m for *_, m in self.places), *self.direct) if user in place))

    def note(self) -> None:
        """Note who has ever shared with whom."""
        for user, met in self.ever.items():
            met |= self.shares(user)

    @initialize()
    def begin(self) -> None:
        """Two people share, and the first of them has a conversation of their own."""
        self.bring_together({0, 1}, second=False)
        self.make_conversation(0, {1}, second=True)
        for author in range(4):
            self.write_in_public(author, 0, second=False)

    def teardown(self) -> None:
        """Let everybody look in the end: Hypothesis leaves rules out of some histories."""
        for viewer in range(4):
            self.look(viewer, second=bool(viewer % 2))

    @rule(members=st.sets(PERSON, min_size=1), second=SECOND)
    def bring_together(self, members: set[int], second: bool) -> None:
        people = [self.people[number] for number in sorted(members)]
        conversation = self.admin.at(self.gateways[second]).group(*people)
        self._made(conversation, {self.admin.id, *(person.id for person in people)}, self.admin.id)

    def _made(self, conversation: int, members: set[int], owner: int) -> None:
        self.places.append(("conversations", conversation, members))
        self.owner[conversation] = owner
        self.note()

    @rule(caller=PERSON, others=st.sets(PERSON, min_size=1, max_size=2), second=SECOND)
    def make_conversation(self, caller: int, others: set[int], second: bool) -> None:
        client, members = self.at(caller, second), {self.people[number].id for number in others - {caller}}
        if not members:
            return
        answer = client.post("/conversations", {"members": sorted(members), "title": "Us"})
        assert answer.status_code == (201 if members <= self.shares(client.id) else 404)
        if answer.status_code == 201:
            self._made(answer.json()["id"], {client.id, *members}, client.id)

    @rule(caller=PERSON, other=PERSON, as_message=st.booleans(), second=SECOND)
    def begin_chat(self, caller: int, other: int, as_message: bool, second: bool) -> None:
        client, to = self.at(caller, second), self.people[other].id
        if client.id == to:
            return
        pair = frozenset({client.id, to})
        may = pair in self.direct or to in self.shares(client.id)
        if as_message:
            assert client.post("/messages", {"to": to, "body": "hello"}).status_code == (201 if may else 404)
        else:
            assert (client.post("/conversations", {"members": [to]}).status_code in (200, 201)) == may
        if may:
            self.direct.add(pair)
            self.note()

    @rule(caller=st.one_of(st.none(), PERSON), other=PERSON, pick=PICK, second=SECOND)
    def add_member(self, caller: int | None, other: int, pick: int, second: bool) -> None:
        """None: as the owner of a conversation that is no admin's."""
        conversations = sorted(c for c, owner in self.owner.items() if caller is not None or owner != self.admin.id)
        conversation, added = conversations[pick % len(conversations)], self.people[other].id
        owners = (number for number, person in enumerate(self.people) if person.id == self.owner[conversation])
        client = self.at(next(owners) if caller is None else caller, second)
        ((*_, members),) = [place for place in self.places if place[:2] == ("conversations", conversation)]
        status = client.put(f"/conversations/{conversation}/members/{added}").status_code
        if client.id not in members:
            assert status == 404
        elif client.id != self.owner[conversation]:
            assert status == 403
        else:
            assert status == (204 if added in self.shares(client.id) else 404)
        if status == 204:
            members.add(added)
            self.note()

    @rule(caller=PERSON, pick=PICK, second=SECOND)
    @precondition(lambda self: self.places)
    def leave(self, caller: int, pick: int, second: bool) -> None:
        client, (path, number, members) = self.at(caller, second), self.places[pick % len(self.places)]
        if client.id not in members or self.owner.get(number) == client.id:
            return
        mine = "me" if path == "groups" else str(client.id)
        assert client.delete(f"/{path}/{number}/members/{mine}").status_code in (200, 204)
        members.remove(client.id)

    @rule(caller=PERSON, pick=PICK, second=SECOND)
    def join_group(self, caller: int, pick: int, second: bool) -> None:
        client, groups = self.at(caller, second), [place for place in self.places if place[0] == "groups"]
        if len(groups) < 2:
            number = client.post("/groups", {"name": f"Group of {client.name}"}).json()["id"]
            self.places.append(("groups", number, {client.id}))
        else:
            _, number, members = groups[pick % len(groups)]
            client.put(f"/groups/{number}/members/me")
            members.add(client.id)
        self.note()

    @rule(author=PERSON, pick=PICK, second=SECOND)
    def write_in_public(self, author: int, pick: int, second: bool) -> None:
        """Post, or comment on what the author sees."""
        client = self.at(author, second)
        posts = [post for post in client.get("/posts").json()["items"] if named(post) & self.ever.keys()]
        if posts and pick % 2:
            post = posts[pick % len(posts)]["id"]
            assert client.post(f"/posts/{post}/comments", {"body": "I see"}).status_code == 201
        else:
            assert client.post("/posts", {"body": f"by {client.name}"}).status_code == 201

    @rule(typist=PERSON, viewer=PERSON, pick=PICK)
    @precondition(lambda self: self.owner)
    def type(self, typist: int, viewer: int, pick: int) -> None:
        """Only members of the conversation hear that somebody types, and of the presence of those with whom they share."""
        conversation = sorted(self.owner)[pick % len(self.owner)]
        ((*_, members),) = [place for place in self.places if place[:2] == ("conversations", conversation)]
        client, watcher = self.people[typist], self.people[viewer]
        poll = watcher.polling(watcher.now(), types="typing,presence,message.created")
        status = client.post(f"/conversations/{conversation}/typing", {"typing": True}).status_code
        assert status == (204 if client.id in members else 404)
        if not (client.id in members and watcher.id in members and client.id != watcher.id):
            self.admin.send("the end of the poll", to=watcher)  # which the poll waits for when it hears of no typing
            self._with_admin(watcher.id)
        events = poll.result().json()["events"]
        for event in events:
            if event["type"] == "typing":
                assert (event["data"]["user"], event["data"]["conversation"]) == (client.id, conversation)
                assert {client.id, watcher.id} <= members
            elif event["type"] == "presence":
                assert event["data"]["user"] in self.shares(watcher.id)

    def _with_admin(self, user: int) -> None:
        self.direct.add(frozenset({user, self.admin.id}))
        self.note()

    @rule(leaver=PERSON, writer=PERSON)
    def write_while_leaving(self, leaver: int, writer: int) -> None:
        """A first message that is answered 201 was written before the other had left the last common place."""
        common = {self.people[leaver].id, self.people[writer].id}
        places = [place for place in self.places if common <= place[2]]
        last = len(places) == 1 and len(common) == 2 and common not in self.direct
        if not last or places[0][0] != "conversations" or self.owner[places[0][1]] == self.people[leaver].id:
            return
        (_, number, members), gone = places[0], self.at(leaver, False)
        left = self.gateways[0].later(gone.delete, f"/conversations/{number}/members/{gone.id}")
        sent = self.at(writer, True).post("/messages", {"to": gone.id, "body": "wait"})
        assert left.result().status_code == 204
        members.remove(gone.id)
        assert sent.status_code in (201, 404)
        if sent.status_code == 201:
            self.direct.add(frozenset(common))
            events = [e for e in gone.events(self.start) if e["type"] in ("conversation.created", "member.left")]
            place = {e["data"].get("conversation", e["data"].get("id")): n for n, e in enumerate(events)}
            assert place[sent.json()["conversation"]] < place[number]

    @rule(viewer=PERSON, second=SECOND)
    def look(self, viewer: int, second: bool) -> None:
        """Nothing that a user reads or infers is of somebody else than those with whom they share, or shared at the time."""
        client = self.at(viewer, second)
        shared = self.shares(client.id)
        assert {user["id"] for user in client.get("/users", limit=200).json()["items"]} == shared
        nobody = refusal_of(client.get(f"/users/{NOBODY}"))
        for other in self.people:
            answer = client.get(f"/users/{other.id}")
            if other.id in shared:
                assert answer.status_code == 200
            else:
                assert refusal_of(answer) == nobody
                assert client.get("/users", q=other.name).json()["items"] == []
        assert {int(user) for user in client.get("/state").json()["presence"]} <= shared
        for path in ("/posts", "/groups"):
            assert named(client.get(path).json()["items"]) <= shared
        for post in client.get("/posts").json()["items"]:
            assert named(client.get(f"/posts/{post['id']}/comments").json()["items"]) <= shared
        assert named(client.events(self.start, follow="posts")) <= self.ever[client.id]


@pytest.mark.usefixtures("gateway")
def test_nobody_learns_of_people_with_whom_they_share_nothing(gateway: Gateway, second: Gateway, admin: Client) -> None:
    machine = type("Machine", (ContactsMachine,), {"gateways": (gateway, second), "admin": admin})

    run_state_machine_as_test(machine, settings=settings(max_examples=EXAMPLES, stateful_step_count=20))


def test_calls_for_somebody_by_an_admin_reach_everybody(closed: Gateway, admin: Client, people: list[Client]) -> None:
    ana, ben, cleo = people
    acting = {"headers": {"Bellwire-As": str(ana.id)}}
    root = admin.at(closed)

    assert root.get(f"/users/{ben.id}", **acting).status_code == 200
    assert root.post("/messages", {"to": ben.id, "body": "hello"}, **acting).json()["sender"] == ana.id
    crew = root.post("/conversations", {"members": [ben.id], "title": "Crew"}, **acting).json()["id"]
    assert root.put(f"/conversations/{crew}/members/{cleo.id}", **acting).status_code == 204
