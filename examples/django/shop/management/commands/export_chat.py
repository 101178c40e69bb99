"""`manage.py export_chat > history.jsonl`: the old messages, for Bellwire's `run.py import history.jsonl`."""

from typing import Any

from django.core.management.base import BaseCommand

from shop.bellwire import history


class Command(BaseCommand):
    """Prints the lines."""

    help = "print users and old messages as lines for Bellwire's import"

    def handle(self, *_: Any, **__: Any) -> None:
        """Print them."""
        for line in history():
            self.stdout.write(line)
