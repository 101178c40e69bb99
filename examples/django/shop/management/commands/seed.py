"""`manage.py seed`: customers, orders and 500 messages of the old chat, to try the example with."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand

from shop.models import OldMessage, Order

PEOPLE = ("ben", "maria josé", "o'neil", "王小明", "zoë")
MESSAGES = 500
FIRST = datetime(2026, 1, 5, 9, tzinfo=UTC)


class Command(BaseCommand):
    """Fills an empty database."""

    help = "customers, orders and the messages of an old chat; the password of everybody is the username"

    def handle(self, *_: Any, **__: Any) -> None:
        """Make them, unless there are some."""
        if User.objects.exists():
            self.stdout.write("There are users already: nothing to do.")
            return
        ana = User.objects.create_superuser("ana", "ana@example.org", "ana", first_name="Ana", last_name="of the shop")
        people = [User.objects.create_user(name, password=name, first_name=name.title()) for name in PEOPLE]
        Order.objects.bulk_create(Order(owner=person, what=what) for person in people for what in ("A bell", "Ten yards of wire"))
        OldMessage.objects.bulk_create(_old_messages(ana, people))
        self.stdout.write(f"Made {1 + len(people)} users, {2 * len(people)} orders and {MESSAGES} old messages.")


def _old_messages(ana: User, people: list[User]) -> list[OldMessage]:
    messages = []
    for n in range(MESSAGES):
        person = people[n % len(people)]
        sender, receiver = (ana, person) if n // len(people) % 2 else (person, ana)
        messages.append(OldMessage(sender=sender, receiver=receiver, body=f"Old message {n}", sent_at=FIRST + timedelta(minutes=n)))
    return messages
