"""Carrying a SQLite store over to PostgreSQL, with ids and cursors kept.

What the target holds already says where to go on: rows arrive in the order of their keys, a batch a statement, so a copy that was
interrupted anywhere is gone on with by starting it again. Until the last transaction the target has a fact that says whose copy it
is to become; no other target with rows is touched.
"""

from models.transfer.copying.carrying import carry
from models.transfer.copying.tables import CopyError

__all__ = ["CopyError", "carry"]
