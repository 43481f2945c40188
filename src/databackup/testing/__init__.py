"""For those who write adapters and apps: the contract of an adapter, and Hypothesis strategies.

```python
from databackup.testing import AdapterContract

class TestMyRepository(AdapterContract):
    def make(self, schema):
        return MyRepository.empty(schema)
```

`check_adapter(factory)` does the same without a class. This package needs Hypothesis; nothing else
of databackup imports it.
"""

from importlib.util import find_spec

from databackup.errors import MissingExtra

if find_spec("hypothesis") is None:
    raise MissingExtra("databackup.testing needs Hypothesis: pip install hypothesis")

from databackup.testing.contract import PROMISES, AdapterContract, check_adapter
from databackup.testing.exact import exact_row, exact_rows, exact_value
from databackup.testing.machine import AdapterMachine, adapter_state_machine
from databackup.testing.oracle import Oracle
from databackup.testing.strategies import datasets, field_values, rows, schemas, values

__all__ = [
    "PROMISES",
    "AdapterContract",
    "AdapterMachine",
    "Oracle",
    "adapter_state_machine",
    "check_adapter",
    "datasets",
    "exact_row",
    "exact_rows",
    "exact_value",
    "field_values",
    "rows",
    "schemas",
    "values",
]
