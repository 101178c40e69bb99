"""The titles of notifications are those in which a deletion finds a name, whichever it was."""

import pytest

from jobs.rules.rules import RULES
from models.accounts.former_names import FormerNames, Origin
from models.notices.causes import Words
from models.notices.notifying import FLOOD_WORDS

NAMES = ["Zoë", "Z", "Zoë and 2 others", "Zoë in Rome", "in", "Zoë liked your post", "Zoë did 3 more things"]
NOW = {"id": 7, "username": "deleted-7", "display_name": "Deleted user"}
ACTS = [rule.words for rule in RULES if rule.type == "community"]


def replaced(kind: str, title: str, data: dict[str, int], origin: Origin | None = None) -> str:
    names = FormerNames(7, [("Now", "display_name")], NOW, erases=True, conversations={5}, origin=lambda _: origin)
    return names.in_title(kind, title, data)


@pytest.mark.parametrize("words", [*ACTS, FLOOD_WORDS], ids=lambda words: words.title)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_name_goes_from_the_title_of_each_act(words: Words, name: str, count: int) -> None:
    values = {"name": name, "group": "Crew in Rome"}
    expected = words.filled(count, values | {"name": "Deleted user"})[0]
    given = words.filled(count, values)[0]
    outcome = replaced("community", given, {"user": 7})
    assert outcome == expected or (name.endswith("others") and outcome.startswith("Deleted user "))
    assert replaced("community", given, {"user": 70}) == given
    assert replaced("order.shipped", given, {"user": 7}) == given


@pytest.mark.parametrize("name", NAMES)
def test_a_name_goes_from_the_title_of_a_message(name: str) -> None:
    data = {"conversation": 5, "message": 9}
    assert replaced("message", name, data, Origin(7, "direct", None)) == "Deleted user"
    assert replaced("message", f"{name} in Crew", data, Origin(7, "group", "Crew")) == "Deleted user in Crew"
    assert replaced("message", f"{name} in Crew", data, Origin(7, "group", "Renamed")) == "Deleted user"
    assert replaced("message", name, data, Origin(70, "direct", None)) == name
    assert replaced("message", name, {"conversation": 6, "message": 9}, Origin(7, "direct", None)) == name
