"""Search: the same texts are found on both stores, and deleted ones leave the file."""

import pytest

from conf import Settings
from models.chat import conversation, message, search
from models.chat.message import Draft
from models.chat.search import SearchFilter
from models.chat.search_tokens import split
from models.log import event
from models.store.database import db, disconnect, engine, execute, rows
from models.store.errors import InvalidError
from models.store.facts import Fact
from tests.models.people import group, index_messages, people, send

TEXTS = {
    "meeting": "我们明天在上海开会议，好吗",
    "city": "Łódź i Gdańsk",
    "party": "party 🎉👍🏽 tonight",
    "ligature": "a ﬁne x²",
    "mixed": "iPhone手机 v2",
    "korean": "회의실에서 만나요",
    "kana": "カタカナと漢字",
    "plain": "ana@example.org sent /a/b",
    "newest": "🫨 𠮷野家",
}
FOUND = {
    **{"会议": ["meeting"], "上海": ["meeting"], "上": ["meeting"], "吗": ["meeting"], "海开会": ["meeting"], "海会": []},
    **{"lodz": ["city"], "ŁÓDŹ gda": ["city"], "🎉": ["party"], "👍": ["party"], "part 🎉": ["party"], "fine": ["ligature"]},
    **{"x2": ["ligature"], "ﬁn": ["ligature"], "手机": ["mixed"], "iphone手": ["mixed"], "의실": ["korean"], "ｶﾀｶﾅ": ["kana"]},
    **{"example": ["plain"], "example.org": ["plain"], "org.example": [], "🫨": ["newest"], "𠮷野": ["newest"], "!?": [], '"': []},
}


def test_both_stores_find_the_same(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    names = {send(ana, text, to=ben): name for name, text in TEXTS.items()}
    index_messages(list(names))
    found = {query: [names[number] for number in search.find(ben, query, None, 10).ids] for query in FOUND}
    assert found == FOUND


def test_words_of_hostile_texts_are_accepted(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    texts = ["'\\ \" :* & | <-> ()", "x" * 20_000, "会" * 20_000, "\ue0001f389", "a\u0301" * 500, "\u0378\U000e0100 \U0003134f"]
    sent = [send(ana, text, to=ben) for text in texts]
    assert index_messages(sent) == len(sent)
    for text in texts:
        search.find(ben, text, None, 10)
    assert search.find(ben, "会会会", None, 10).ids == [sent[2]]


def test_a_message_that_an_earlier_version_indexed_is_indexed_anew_once(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    old = [send(ana, text, to=ben) for text in ("会议在上海", "words")]
    with event.transaction() as tx:
        index_messages(old)
        if engine().name == "sqlite":
            execute("UPDATE message_search SET body='会议在上海' WHERE rowid=?", (old[0],))
        else:
            execute("UPDATE message_search SET words='''会议在上海'':1'::tsvector WHERE rowid=?", (old[0],))
        Fact.create(name=search.REINDEXED, value=f"0:{tx.now_ms - 1}")
    assert search.find(ben, "上海", None, 10).ids == []
    reindexed = []
    while ids := search.next_to_reindex(1):
        reindexed += ids
        index_messages(ids)
        search.note_reindexed(ids[-1])
    assert reindexed == old
    assert search.find(ben, "上海", None, 10).ids == [old[0]]
    with event.transaction(appends=False) as tx:
        assert [search.end_reindexing(tx), search.end_reindexing(tx)] == [1, 0]
    assert search.next_to_reindex(1) == []


def test_a_message_that_changed_after_its_words_were_found_is_left_out(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    kept, edited, deleted = [send(ana, f"words {n}", to=ben) for n in range(3)]
    (batch,) = search.batches([kept, edited, deleted])
    with event.transaction() as tx:
        message.edit(tx, ana, edited, "tulips")
        message.delete(tx, ana, "user", deleted)
    with event.transaction(appends=False):
        assert search.index(batch) == 1
    assert search.find(ben, "words", None, 10).ids == [kept]
    assert index_messages([edited, deleted]) == 1
    assert search.find(ben, "tulips", None, 10).ids == [edited]


def test_a_transaction_writes_few_long_texts_or_many_short_ones(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    long = [send(ana, " ".join(f"w{n}" for n in range(3_000)), to=ben) for _ in range(3)]
    short = [send(ana, "words", to=ben) for _ in range(100)]
    assert [len(batch) for ids in (long, short) for batch in search.batches(ids)] == [1, 1, 1, 100]


@pytest.mark.only("sqlite")
def test_deleted_words_leave_the_file(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    secrets = [send(ana, f"verysecret{n} hiddenword " + "buriedlong " * (1500 * (n == 2)), to=ben) for n in range(3)]
    others = [send(ana, f"word{n} public", to=ben) for n in range(300)]
    for part in (secrets, others):
        index_messages(part)
    with event.transaction() as tx:
        for secret in secrets:
            message.delete(tx, ana, "user", secret)
    index_messages(others[:200])
    left = True
    while left:
        with event.transaction(appends=False) as tx:
            left = search.erase_next(tx)
    assert search.find(ben, "public", None, 500).ids == others[::-1]
    assert rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0] == 0
    disconnect()
    contents = store.sqlite_path.read_bytes()
    assert b"public" in contents
    for word in (b"verysecret", b"hiddenword", b"buriedlong"):
        assert word not in contents


def test_the_words_of_a_text() -> None:
    assert split("Hello, WORLD_wide 上海市 x🎉") == ["hello", "world", "wide", "上海", "海市", "市", "x", "\ue0001f389"]


@pytest.mark.parametrize("max_listed", [0, search.MAX_MESSAGES_LISTED])
def test_messages_of_a_sender_and_of_a_conversation(store: Settings, max_listed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MAX_MESSAGES_LISTED", max_listed)
    ana, ben, cy = people("ana", "ben", "cy")
    crew = group(ana, ben, cy)
    sent = [send(sender, "words", at=crew) for sender in (ana, ben, ana)] + [send(ana, "words", to=ben)]
    index_messages(sent)
    direct = rows("SELECT conversation_id FROM messages WHERE id=?", (sent[3],))[0][0]
    assert search.find(ben, "words", None, 10, SearchFilter(sender=ana)).ids == [sent[3], sent[2], sent[0]]
    assert search.find(ben, "words", sent[2], 10, SearchFilter(ana, crew)).ids == [sent[0]]
    assert search.find(cy, "words", None, 10, SearchFilter(conversation=direct)).ids == []


def test_a_search_that_takes_long_ends_and_goes_on_where_it_ended(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MAX_MESSAGES_LISTED": 0, "FIRST_WINDOW": 3, "MAX_SEARCH_S": -1.0}.items():
        monkeypatch.setattr(search, name, value)
    ana, ben, cy = people("ana", "ben", "cy")
    own = [send(ana, "words", to=ben), send(ana, "words", to=ben)]
    others = [send(ben, "words", to=cy) for _ in range(8)]
    index_messages(own + others)
    found = [search.find(ana, "words", None, 10)]
    while found[-1].reached is not None:
        found.append(search.find(ana, "words", found[-1].reached, 10))
    assert [each.ids for each in found] == [[], [], own[1:], own[:1]]
    assert [each.reached for each in found] == [8, 5, 2, None]


@pytest.mark.only("sqlite")
@pytest.mark.parametrize("chosen", [SearchFilter(), SearchFilter(sender=2)])
def test_an_old_cursor_or_a_filter_reads_no_more_of_ones_own_messages(
    store: Settings, chosen: SearchFilter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MAX_MESSAGES_LISTED", 100)
    ana, ben = people("ana", "ben")
    oldest = send(ana, "words", to=ben)
    with event.transaction() as tx:
        message.post(tx, [Draft(ana, 0, "words", to=ben) for _ in range(1_000)])
    steps = []
    db.connection().set_progress_handler(lambda: steps.append(1), 100)
    assert search.find(ana, "nothing", oldest + 1, 10, chosen).ids == []
    db.connection().set_progress_handler(None, 0)
    assert len(steps) < 30, "so many hundreds of instructions of SQLite; a thousand messages take more"


@pytest.mark.only("sqlite")
def test_matches_in_conversations_of_others_cost_a_caller_nothing(store: Settings) -> None:
    ana, ben, cy = people("ana", "ben", "cy")
    own = send(cy, "words", to=ana)
    with event.transaction() as tx:
        message.post(tx, [Draft(ana, 0, "words", to=ben) for _ in range(1_000)])
        index_messages(range(own, conversation.newest_message() + 1))
    steps = []
    db.connection().set_progress_handler(lambda: steps.append(1), 100)
    assert search.find(cy, "words", None, 10).ids == [own]
    db.connection().set_progress_handler(None, 0)
    assert len(steps) < 30, "so many hundreds of instructions of SQLite; a thousand matches take more than hundred"


def test_a_message_has_at_most_fifty_different_reactions(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    sent = send(ana, "words", to=ben)
    with event.transaction() as tx:
        for number in range(message.MAX_EMOJIS_PER_MESSAGE):
            message.react(tx, ben, sent, f"e{number}", added=True)
        with pytest.raises(InvalidError):
            message.react(tx, ana, sent, "another", added=True)
        message.react(tx, ana, sent, "e7", added=True)
        message.react(tx, ben, sent, "e0", added=False)
        message.react(tx, ana, sent, "another", added=True)
