"""What admins did, as admins read it."""

from __future__ import annotations

from gateway.records import RecordsHandler
from models import audit


class AuditLog(RecordsHandler):
    """GET: the records, each with `outcome`, `address` and `request_id` besides."""

    kind = audit.KIND
