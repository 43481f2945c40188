"""A repository over an app's own lists and dicts.

A transaction works on private copies and replaces the contents at its end, so that whatever goes
wrong before leaves them untouched, object by object.
"""

from databackup.adapters.memory.repository import (
    Lock,
    MemoryRepository,
    MemorySnapshot,
    MemoryTransaction,
)

__all__ = ["Lock", "MemoryRepository", "MemorySnapshot", "MemoryTransaction"]
