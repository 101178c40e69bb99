"""The replay's script, from the recorded conversations."""

from tests.journeys.replay.conversations import read_script


def test_all_recorded_conversations_have_two_different_people() -> None:
    script = read_script()
    assert (len(script.dialogues), script.people) == (7168, 1315)
    assert sum(len(dialogue.messages) for dialogue in script.dialogues) + script.unsendable == 258_145
    for dialogue in script.dialogues:
        assert dialogue.pair[0] < dialogue.pair[1]
        assert {sender for sender, _ in dialogue.messages} <= set(dialogue.pair)


def test_a_short_script_has_only_the_people_who_speak_in_it() -> None:
    script = read_script(3)
    assert len(script.dialogues) == 3
    assert {who for dialogue in script.dialogues for who, _ in dialogue.messages} <= set(range(script.people))
