"""Copying a SQLite store to PostgreSQL, with its ids and cursors.

Rows are copied in the order of their keys, one batch for each statement. So the rows in the target show where an interrupted copy
must continue: running it again continues. Until the last transaction the target has a fact with the epoch of the store that it is a
copy of; no other target with rows is changed.
"""

from models.transfer.copying.carrying import carry
from models.transfer.copying.tables import CopyError

__all__ = ["CopyError", "carry"]
