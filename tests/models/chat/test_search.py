"""Search: the same texts are found on both stores, and deleted ones leave the file."""

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf import Settings
from models.chat import conversation, conversation_search, message, search, search_hits, search_scope
from models.chat.message import Draft
from models.chat.search_query import Query, parse
from models.chat.search_scope import Scope, SearchFilter
from models.chat.search_tokens import phrases, split
from models.files import file as files
from models.log import event
from models.store.database import db, disconnect, engine, execute, multi_index_read, rows
from models.store.errors import InvalidError
from models.store.facts import Fact
from models.store.text_rules import fold, fold_letters
from tests.models.people import group, index_messages, people, send
from tests.models.stored_files import store_file

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
    "folded": "Große İstanbul-Straße, ﬃ",
}
FOUND = {
    **{"会议": ["meeting"], "上海": ["meeting"], "上": ["meeting"], "吗": ["meeting"], "海开会": ["meeting"], "海会": []},
    **{"lodz": ["city"], "ŁÓDŹ gda": ["city"], "🎉": ["party"], "👍": ["party"], "part 🎉": ["party"], "fine": ["ligature"]},
    **{"x2": ["ligature"], "ﬁn": ["ligature"], "手机": ["mixed"], "iphone手": ["mixed"], "의실": ["korean"], "ｶﾀｶﾅ": ["kana"]},
    **{"example": ["plain"], "example.org": ["plain"], "org.example": [], "🫨": ["newest"], "𠮷野": ["newest"], "!?": [], '"': []},
    **{"GROSSE": ["folded"], "istanbul strasse": ["folded"], "İST": ["folded"], "ffi": ["folded"], "stra\u00dfe": ["folded"]},
}


def test_both_stores_find_the_same(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    names = {send(ana, text, to=ben): name for name, text in TEXTS.items()}
    index_messages(list(names))
    found = {query: [names[number] for number in search.find(ben, query, None, 10).ids] for query in FOUND}
    assert found == FOUND


def test_a_message_is_found_by_the_names_of_its_files_until_it_is_deleted(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    both = [store_file(None, ana, name="Grundriss_Küche.pdf"), store_file(None, ana, name="IMG 4711.heic")]
    sent = send(ana, "", to=ben, files=both)
    assert index_messages([sent, send(ana, "no file", to=ben)]) == 2
    assert [search.find(ben, query, None, 10).ids for query in ("kuche", "grundriss", "4711", "pdf IMG")] == [[sent]] * 4
    with event.transaction() as tx:
        message.delete(tx, ana, "user", sent)
    assert (index_messages([sent]), search.find(ben, "kuche", None, 10).ids) == (0, [])


def test_messages_without_files_are_indexed_without_a_read_of_files(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, ben = people("ana", "ben")
    sent = send(ana, "no file", to=ben)
    monkeypatch.setattr(files, "rows", lambda *_: 1 // 0)
    assert index_messages([sent]) == 1


@pytest.mark.parametrize("max_listed", [0, search.MAX_MESSAGES_LISTED])
def test_filters_within_the_query_are_the_same_on_both_stores(
    store: Settings, max_listed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MAX_MESSAGES_LISTED", max_listed)
    monkeypatch.setattr(search, "FIRST_WINDOW", 2)
    ana, ben, cy = people("ana", "ben.weber", "cy")
    execute("UPDATE profiles SET timezone='Asia/Tokyo' WHERE user_id=?", (cy,))
    crew = group(ana, ben, cy, title="The Größte Crew")
    sent = {
        **{"crew ana": send(ana, "words", at=crew), "crew ben": send(ben, "words", at=crew), "crew cy": send(cy, "other", at=crew)},
        **{"direct": send(ana, "words", to=cy), "deleted": send(ben, "words", at=crew), "private": send(ana, "words", to=ben)},
    }
    index_messages(list(sent.values()))
    with event.transaction() as tx:
        message.delete(tx, ben, "user", sent.pop("deleted"))
    for number, day in zip(sent.values(), (20, 21, 22, 23, 24), strict=True):  # at six in the evening, and at three in Tokyo
        at_ms = int(datetime(2026, 11, day, 18, tzinfo=UTC).timestamp() * 1000)
        execute("UPDATE messages SET created_ms=? WHERE id=?", (at_ms, number))
    names = {number: name for name, number in sent.items()}

    def found(text: str, user: int = cy) -> list[str]:
        return [names[number] for number in search.find(user, text, None, 10).ids]

    assert found("from:ana words") == found("WORDS From:@ana") == ["direct", "crew ana"]
    assert found("from:web") == found("from:@ben.weber") == ["crew ben"]
    assert found("from:me") == ["crew cy"]
    assert found("from:me from:weber") == ["crew cy", "crew ben"]
    assert found("from:nobody words") == found("from:!? words") == found("in:nowhere") == []
    assert found('in:"grosste crew" words') == ["crew ben", "crew ana"]
    assert found("in:ana") == found("in:@ana") == ["direct"]
    assert found("in:crew", ben) == ["crew cy", "crew ben", "crew ana"]
    assert found("in:crew in:ana from:ana") == ["direct", "crew ana"]
    assert found("after:2026-11-23") == ["direct", "crew cy"], "the day begins in the time zone of the user"
    assert found("after:2026-11-23", ben) == ["private"]
    assert found("before:2026-11-22 words", ben) == ["crew ben", "crew ana"]
    assert found("words before:2026-11-23 after:2026-11-22") == ["crew ben"]
    assert found("before:2026-11") == found("after:2027") == found("before:noon") == found("to:ana words") == []


def test_names_that_mean_too_many_senders_are_refused(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_scope, "MAX_SENDERS", 2)
    ana, ben, cy, _ = people("ana", "ben", "cy", "anton")
    sent = [send(user, "words", to=cy) for user in (ana, ben)]
    index_messages(sent)
    assert search.find(cy, "words from:a", None, 10).ids == sent[:1]
    assert search.find(cy, "words from:ana from:b", None, 10).ids == sent[::-1]
    for names in ("from:a from:b", "from:an from:me"):
        with pytest.raises(InvalidError, match="q: must name at most 2 people"):
            search.find(cy, f"words {names}", None, 10)


def test_a_query_has_words_and_filters() -> None:
    assert parse('hello from:ana in:"The  crew" world') == Query(["hello", "world"], ["ana"], ["The  crew"])
    assert parse("IN:“die Crew” from:@ana from:me") == Query([], ["@ana", "me"], ["die Crew"])
    assert parse("after:2026 before:2026-3") == Query([], [], [], date(2026, 1, 1), date(2026, 3, 1))
    assert parse("after:2026-01-05 after:2026-02-01 before:2027") == Query([], [], [], date(2026, 2, 1), date(2027, 1, 1))
    assert parse("in:a in:b in:a from:c from:d from:e from:e") == Query([], ["c", "d", "e"], ["a", "b"])
    with pytest.raises(InvalidError, match="at most 5 names"):
        parse("in:a in:b in:c from:c from:d from:e")
    for words in (
        "to:ana",
        "from:",
        'in:""',
        "before:",
        "before:noon",
        "after:2026-02-30",
        "before:0999",
        "after:２０２６",
        "(from:ana)",
    ):
        assert parse(words) == Query(words.split(), [], []), words


@pytest.mark.parametrize(
    ("query", "text", "marked"),
    [
        ("hello", "Hello, hello world", ["Hello", "hello"]),
        ("wor", "a WORLD of words", ["WORLD", "words"]),
        ("example.org", "ana@example.org sent", ["example.org"]),
        ("strasse", "Die Straße und STRASSE", ["Straße", "STRASSE"]),
        ("istanbul", "nach İstanbul", ["İstanbul"]),
        ("fine", "a ﬁne day", ["ﬁne"]),
        ("creme", "Cre\u0301me bru\u0302le\u0301e Crème", ["Cre\u0301me", "Crème"]),
        ("soft", "a so\u00adft word", ["so\u00adft"]),
        ("会议", "我们明天在上海开会议，好吗", ["会议"]),
        ("海开会", "我们明天在上海开会议，好吗", ["海开会"]),
        ("上", "在上海，上", ["上", "上"]),
        ("𠮷野", "🫨 𠮷野家", ["𠮷野"]),
        ("𠮷", "👍🏽 𠮷野家", ["𠮷"]),
        ("ガ", "ｶﾞｽ", ["ｶﾞ"]),
        ("각", "\u1100\u1161\u11a8하", ["\u1100\u1161\u11a8"]),
        ("🎉", "party 🎉🎉👍🏽 tonight", ["🎉🎉"]),
        ("one two", "two one", ["two", "one"]),
        ("x", "", []),
    ],
)
def test_the_places_of_the_words_are_marked(query: str, text: str, marked: list[str]) -> None:
    places = search_hits.marks(text, phrases(query.split()))
    assert [text[start : start + length] for start, length in places] == marked


def test_the_first_characters_of_a_text_are_marked() -> None:
    first = "words é " * (search_hits.MAX_MARKED_CHARS // 8)
    assert search_hits.marks(first + "hello", phrases(["hello"])) == []
    assert len(search_hits.marks(first + "hello", phrases(["words"]))) == search_hits.MAX_MARKS


@given(st.text(st.sampled_from("aB ßİﬁ́̈会议上ｶﾞ각ᄀ각🎉👍🏽_.,१क्षिे"), max_size=12))
def test_a_text_is_folded_letter_by_letter_as_it_is_folded_whole(text: str) -> None:
    folded = fold_letters(text)
    assert folded.text == fold(text)
    assert search_hits.index(folded.text).words == split(text)
    assert len(folded.text) == len(folded.starts) == len(folded.ends)
    for word in text.split():
        if required := phrases([word]):
            assert search_hits.marks(text, required), word


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


def test_titles_are_read_once_for_all_filters(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def reading(sql: str, params: object) -> list[tuple[Any, ...]]:
        read.append(sql)
        return rows(sql, params)

    monkeypatch.setattr(conversation_search, "rows", reading)
    ana, ben = people("ana", "ben")
    for title in ("One", "Two", "Three"):
        group(ana, ben, title=title)
    search.find(ana, "in:one in:two in:ben in:one", None, 10)
    assert len(read) == 2, "titles, and names where there are none"


def test_the_time_that_filters_take_is_of_the_search(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    now, resolve = [0.0], search_scope.resolve

    def resolving(*args: Any) -> Scope:
        now[0] += search.MAX_SEARCH_S + 0.001
        return resolve(*args)

    for owner, name, value in (
        *((search, name, value) for name, value in {"MAX_MESSAGES_LISTED": 0, "FIRST_WINDOW": 1, "WINDOW_FACTOR": 1}.items()),
        (search, "time", SimpleNamespace(monotonic=lambda: now[0])),
        (search_scope, "resolve", resolving),
    ):
        monkeypatch.setattr(owner, name, value)
    ana, ben = people("ana", "ben")
    sent = [send(ana, "words", to=ben) for _ in range(3)]
    index_messages(sent)
    assert search.find(ben, "words from:ana", None, 10)[:2] == (sent[2:], sent[2])


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


@pytest.mark.only("postgresql")
def test_each_search_has_a_plan_of_its_own(store: Settings) -> None:
    with multi_index_read():
        assert rows("SELECT current_setting('plan_cache_mode')") == [("force_custom_plan",)]


def test_words_of_ascii_texts_are_those_of_other_texts() -> None:
    text = "It's a_b c-d 12:30, mail ana@example.org! " + "x" * 150 + "\x00\x7f~Y"
    assert split(text) == split(f"{text} é")[:-1]
