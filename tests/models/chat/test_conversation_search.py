"""Finding own conversations by title and partner."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf import Settings
from models.chat import conversation, conversation_search, targets, views
from models.identity.user import name_parts, search_words
from models.log import event
from models.store.text_rules import fold
from tests.models.people import group, people, send


def test_conversations_are_found_by_title_and_by_the_names_of_others(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, ben, cy, dan = people("ana", "ben.weber", "cy", "dan")
    crew = group(ana, ben, title="Die Größte Crew 会议室")
    untitled = conversation_of(ana, [ben, cy])
    for user in (ben, cy):
        send(ana, to=user)
    send(ben, to=cy)
    send(dan, to=cy)
    with_ben, with_cy = (conversation_of(ana, [user]) for user in (ben, cy))

    def found(text: str) -> list[int]:
        return [view.id for _, view in views.conversation_list(ana, None, 10, conversation_search.find(ana, [text]))]

    assert found("GROSSTE") == found("crew die") == found("室") == found("会议") == [crew]
    assert found("web") == found("@ben") == [with_ben, untitled]
    assert found("cy") == [with_cy, untitled]
    assert found("cy weber") == [untitled]
    assert found("ana") == found("rew") == found("dan") == found("!?") == []
    (first,) = views.conversation_list(ana, None, 1, conversation_search.find(ana, ["web"]))
    assert [view.id for _, view in views.conversation_list(ana, first[0], 1, {with_ben, untitled})] == [untitled]
    monkeypatch.setattr(conversation_search, "MAX_NAMES", 1)
    assert found("web") == [], "of too many, the newest are searched"


@given(
    st.text(st.sampled_from("aB ßéł_.\u3000会か각1"), max_size=8), st.text(st.sampled_from("abésß会か각1"), min_size=1, max_size=2)
)
def test_words_begin_where_those_of_peoples_names_begin(title: str, text: str) -> None:
    (word,) = search_words(text)
    is_found = conversation_search._beginning(word).search(fold(title)) is not None
    assert is_found == any(part.startswith(word) for part in name_parts(title, len(title)))


def conversation_of(user: int, others: list[int]) -> int:
    with event.transaction() as tx:
        if len(others) == 1:
            return targets.get_or_create_direct(tx, user, others[0])[0]
        return conversation.create(tx, user, others, None)
