"""What is backed up: collections, fields, kinds, references; classes become collections here."""

from databackup.schema.classes import AwareDatetime, AwareTime, Json
from databackup.schema.compiled import Key, Row
from databackup.schema.interval import Interval
from databackup.schema.jsonvalues import JSON_NULL
from databackup.schema.kind import Kind, KindError, StructuringError
from databackup.schema.model import Collection, Exclusion, Field, Reference, Schema
from databackup.schema.offkind import RawText

__all__ = [
    "JSON_NULL",
    "AwareDatetime",
    "AwareTime",
    "Collection",
    "Exclusion",
    "Field",
    "Interval",
    "Json",
    "Key",
    "Kind",
    "KindError",
    "RawText",
    "Reference",
    "Row",
    "Schema",
    "StructuringError",
]
