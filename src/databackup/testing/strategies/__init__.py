"""Hypothesis strategies for values, rows, datasets and schemas.

With `portable=True`, which is the default, they keep to what every store holds: integers in 64
bits, finite floats without −0.0, decimals of 15 significant digits, text without NUL, moments in
UTC, no values off their field's kind. With `portable=False` they give all that an archive holds.
"""

from databackup.testing.strategies.datasets import datasets, rows
from databackup.testing.strategies.schemas import schemas
from databackup.testing.strategies.values import field_values, values

__all__ = ["datasets", "field_values", "rows", "schemas", "values"]
