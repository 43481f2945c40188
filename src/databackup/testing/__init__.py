"""For those who write adapters and apps: contracts of both as tests, and Hypothesis strategies.

```python
from databackup.testing import AdapterContract

class TestMyRepository(AdapterContract):
    def make(self, schema):
        return MyRepository.empty(schema)
```

`check_adapter(factory)` does the same without a class. An app's own suite checks its migrations:

```python
from databackup.testing import check_migrations, check_schema

def test_the_schema_is_as_it_was_frozen():
    check_schema(schema)

def test_old_archives_can_be_imported():
    check_migrations(schema)
```

This package needs Hypothesis; nothing else of databackup imports it.
"""

from importlib.util import find_spec

from databackup.errors import MissingExtra

if find_spec("hypothesis") is None:
    raise MissingExtra("databackup.testing needs Hypothesis: pip install hypothesis")

from databackup.testing.contract import PROMISES, AdapterContract, check_adapter
from databackup.testing.exact import exact_row, exact_rows, exact_value
from databackup.testing.machine import AdapterMachine, adapter_state_machine
from databackup.testing.migrations import check_migrations, check_schema
from databackup.testing.oracle import Oracle
from databackup.testing.strategies import datasets, field_values, rows, schemas, values

__all__ = [
    "PROMISES",
    "AdapterContract",
    "AdapterMachine",
    "Oracle",
    "adapter_state_machine",
    "check_adapter",
    "check_migrations",
    "check_schema",
    "datasets",
    "exact_row",
    "exact_rows",
    "exact_value",
    "field_values",
    "rows",
    "schemas",
    "values",
]
