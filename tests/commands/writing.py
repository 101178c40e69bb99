"""Writes to the store without a pause until its standard input closes: each transaction has three events and one record."""

import sys
import threading

from conf import load
from models.log import event
from models.records import activity
from models.store.database import connect

connect(load())
ended = threading.Event()


def wait_for_the_end() -> None:
    sys.stdin.read()
    ended.set()


threading.Thread(target=wait_for_the_end, daemon=True).start()
transactions = 0
while not ended.is_set():
    with event.transaction() as tx:
        for _ in range(3):
            tx.append("user:1", "written", b'{"filler":"%s"}' % (b"x" * 200))
        activity.record([(None, "written", "", "{}", None, None, tx.now_ms)])
    transactions += 1
    if transactions == 1:
        print("writing", flush=True)
print(transactions)
