"""The promises of the protocol, one small function each; a docstring states the promise."""

from typing import TYPE_CHECKING

from databackup.testing.promises import (
    capabilities,
    forms,
    reading,
    references,
    savepoints,
    transactions,
    values,
    writing,
)

if TYPE_CHECKING:
    from databackup.testing.harness import Promise

ALWAYS: "tuple[Promise, ...]" = capabilities.PROMISES
"""What every adapter is held to, even one whose store cannot be written."""

WRITABLE: "tuple[Promise, ...]" = (
    *reading.PROMISES,
    *values.PROMISES,
    *writing.PROMISES,
    *savepoints.PROMISES,
    *transactions.PROMISES,
    *references.PROMISES,
    *forms.PROMISES,
)
"""What an adapter is held to that can commit a transaction."""
