"""A long history of messages, written to the server's store by a process of its own: a million sends would take half an hour.

The messages, their index and their conversations are those of Bellwire's own code; the log has no events of them, since searching
reads none. `python -m bench.load.history MESSAGES` continues after the users of the store and prints nothing.
"""

import itertools
import random
import sys
from collections.abc import Iterator, Sequence

from bench.servers.bellwire import Bellwire

MEMBERS = 20  # of each conversation
CONVERSATIONS_OF_EACH = 20
VOCABULARY = 50_000
MEAN_WORDS = 12
MESSAGES_PER_TRANSACTION = 2_000
MINUTE_MS = 60_000
WRITE_TIMEOUT_S = 1800.0
SEED = 1


def word(rank: int) -> str:
    """Return the word of a rank, the most frequent being 1: syllables, as many as a common or rare word has."""
    syllables = []
    while rank:
        rank, digit = divmod(rank, 60)
        syllables.append("bdfgklmnprst"[digit % 12] + "aeiou"[digit // 12])
    return "".join(syllables)


def write_history(server: Bellwire, messages: int) -> None:
    """Write conversations among the users of the server's store, and messages into them."""
    server.run("-m", "bench.load.history", str(messages), timeout_s=WRITE_TIMEOUT_S)


def _texts() -> Iterator[str]:
    """Yield texts whose words are as frequent as those of a language (Zipf's law)."""
    chance = random.Random(SEED)
    weights = list(itertools.accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))
    words = [word(rank) for rank in range(1, VOCABULARY + 1)]
    while True:
        for length in (chance.randint(1, 2 * MEAN_WORDS) for _ in range(1000)):
            yield " ".join(chance.choices(words, cum_weights=weights, k=length))


def _create_conversations(users: Sequence[int]) -> dict[int, Sequence[int]]:
    """Create groups; return their members by conversation."""
    from models.chat import conversation as conversations
    from models.log import event

    chance = random.Random(SEED)
    members: dict[int, Sequence[int]] = {}
    for _ in range(CONVERSATIONS_OF_EACH * len(users) // MEMBERS):
        chosen = chance.sample(users, MEMBERS)
        with event.transaction() as tx:
            members[conversations.create(tx, chosen[0], chosen, "Group")] = chosen
    return members


def _write(messages: int) -> None:
    """Write the history into the store that the environment names."""
    from models.chat import message, search
    from models.identity.user import User
    from models.log import event
    from models.store.database import fetch_column, insert_rows

    users = fetch_column(User.select(User.id).where(User.role == "user").order_by(User.id))
    members = _create_conversations(users)
    chance, texts, targets = random.Random(SEED), _texts(), list(members)
    for start in range(0, messages, MESSAGES_PER_TRANSACTION):
        with event.transaction() as tx:
            values, end = [], min(messages, start + MESSAGES_PER_TRANSACTION)
            for number in range(start, end):
                target, at_ms = chance.choice(targets), tx.now_ms - (messages - number) * MINUTE_MS
                sender = chance.choice(members[target])
                values.append((tx.next_id("messages"), target, sender, next(texts), "normal", None, None, at_ms, 0))
            insert_rows(message.Message, message.INSERT_COLUMNS, values)
        for batch in search.batches([id_ for id_, *_ in values]):
            with event.transaction():
                search.index(batch)


if __name__ == "__main__":
    from commands import opening

    with opening.store(opening.settings()):
        _write(int(sys.argv[1]))
