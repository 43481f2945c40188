"""Values of the json kind: what may stand in them, numbers by value, and the `$json` escape.

A JSON number is held as an int, as a float where the float's shortest form has the number's exact
value, and as a Decimal otherwise, so that no digit is lost.
"""

from __future__ import annotations

import decimal
import operator
import re
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from databackup.schema.kind import KindError, shown
from databackup.schema.kinds import encodable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_DEPTH: Final = 256
MAX_NUMBER_LENGTH: Final = 1000
_FLOAT_LENGTH: Final = 18  # characters that a float may have in plain notation, or some more
_FIRST_PLAIN, _LAST_PLAIN = -5, 15  # exponents of the first digit in plain notation
_LARGEST = decimal.Decimal("1.7976931348623157e308")
# A number that no float is: of 18 digits or more. It is short of exponents, and written as it is.
_LONG_FRACTION: Final = re.compile(
    r"-?(?:0\.0{0,4}[1-9][0-9]{16,}[1-9]|[1-9][0-9]{0,15}\.[0-9]{16,}[1-9])"
)
# The integers next to those whose text is still short enough; a sign counts.
_TOO_SMALL, _TOO_LARGE = -(10 ** (MAX_NUMBER_LENGTH - 1)), 10**MAX_NUMBER_LENGTH
_TEXTS: Final = frozenset({str})
_NUMBERS: Final = frozenset({int, float})
_SCALARS: Final = frozenset({str, bool, type(None)})
# Numbers of the longest text lose nothing here, whatever the host's own context does.
_EXACT = decimal.Context(
    prec=2 * MAX_NUMBER_LENGTH, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN, capitals=1
)


class JsonNull:
    """The JSON value null in a nullable json field, where None means that there is no value."""

    __slots__ = ()
    _only: Self | None = None

    def __new__(cls) -> Self:
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    def __repr__(self) -> str:
        return "JSON_NULL"

    def __reduce__(self) -> str:
        return "JSON_NULL"


JSON_NULL: Final = JsonNull()


def number(text: str) -> int | float | decimal.Decimal:
    """A JSON number's text as a Python number of the same value. Raises `KindError`."""
    if "." not in text and "e" not in text and "E" not in text:
        return integer(text)
    if len(text) > MAX_NUMBER_LENGTH:
        raise _too_long("a longer one")  # long text is cut: it may be longer still
    if len(text) > _FLOAT_LENGTH and _LONG_FRACTION.fullmatch(text):
        return decimal.Decimal(text)
    double = float(text)
    if repr(double) == text:  # as most are written
        return double
    try:
        exact = decimal.Decimal(text)
    except decimal.InvalidOperation:
        raise _out_of_range(text) from None
    if not exact.is_finite() or exact.copy_abs() > _LARGEST:
        raise _out_of_range(text)
    return double if decimal.Decimal(repr(double)) == exact else exact


def integer(text: str) -> int | float:
    """As `number`, of one without a point and an exponent."""
    if len(text) > MAX_NUMBER_LENGTH:
        raise _too_long("a longer one")
    return -0.0 if text == "-0" else int(text)


def number_layout(value: decimal.Decimal) -> str:
    """The canonical text of a number that is held as a Decimal.

    An integer is its digits. Any other number has its digits as a float has them: plain notation
    where the first digit's exponent is from −5 to 15, otherwise scientific with `e`, no plus sign
    and no padding.
    """
    sign, digits, exponent = _parts(_EXACT.to_sci_string(value))
    if not digits:
        return "0"
    if exponent >= 0:
        return sign + digits + "0" * exponent
    first = len(digits) + exponent - 1
    if not _FIRST_PLAIN <= first <= _LAST_PLAIN:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{first}"
    if first < 0:
        return f"{sign}0.{'0' * (-first - 1)}{digits}"
    return f"{sign}{digits[: first + 1]}.{digits[first + 1 :]}"


def _parts(text: str) -> tuple[str, str, int]:
    """Sign, digits without zeros around them, and exponent of a number's text."""
    mantissa, _, power = text.replace("E", "e").partition("e")
    sign = "-" if mantissa[0] == "-" else ""
    whole, _, fraction = mantissa[len(sign) :].partition(".")
    digits = (whole + fraction).lstrip("0")
    stripped = digits.rstrip("0")
    return sign, stripped, int(power or 0) - len(fraction) + len(digits) - len(stripped)


def escape(value: Any, depth: int = 0) -> Any:
    """The form of a JSON value: checked, Decimals as numbers, `{"$…": …}` wrapped in `$json`."""
    kind = type(value)
    if kind is list:
        return _items(escape, value, depth)
    if kind is dict:
        return wrap(_members(escape, value, value, depth))
    if kind is decimal.Decimal:
        return msgspec.Raw(_decimal_text(value).encode())
    return _scalar(value)


def canonical(value: Any, depth: int = 0) -> Any:
    """The canonical form of a JSON value: keys sorted, numbers by value, `$json` as in `escape`.

    It shares with the value what is the same in both.
    """
    kind = type(value)
    if kind is list:
        return _itself_or(_items(canonical, value, depth), value)
    if kind is dict:
        members = _members(canonical, value, sorted(map(_key, value)), depth)
        return wrap(_itself_or(members, value))
    if kind is float:
        return _canonical_float(_finite(value))
    if kind is decimal.Decimal:
        return _canonical_decimal(value)
    return _scalar(value)


def unescape(form: Any, depth: int = 0) -> Any:
    """The JSON value of a form: the inverse of `escape`. Raises `KindError`."""
    kind = type(form)
    if kind is list:
        return _items(unescape, form, depth)
    if kind is dict:
        members = unwrap(form)
        return _members(unescape, members, members, depth)
    if kind is decimal.Decimal:
        _decimal_text(form)
        return form
    return _scalar(form)


def is_plain(value: Any, depth: int = 0) -> bool:
    """Whether a JSON value is its own form, and its canonical form but for the order of names.

    Most are: what has a tag, a Decimal, or a float without a fraction in it is not. Lone surrogates
    pass, as they do for text: writing the value as JSON raises UnicodeEncodeError.
    """
    kind = type(value)
    if kind is dict:
        if not _TEXTS.issuperset(map(type, value)) or is_tag(value):
            return False
        items = value.values()
    elif kind is list:
        items = value
    else:
        return kind in _SCALARS or (kind in _NUMBERS and _is_plain_number(value))
    if depth >= MAX_DEPTH:
        return False
    for item in items:
        kind = type(item)
        # Most items are done with here: a call for each would cost more than all else.
        if kind in _SCALARS or (kind is int and _TOO_SMALL < item < _TOO_LARGE):
            continue
        if not is_plain(item, depth + 1):
            return False
    return True


def _is_plain_number(value: float) -> bool:
    return _TOO_SMALL < value < _TOO_LARGE if type(value) is int else abs(value) % 1.0 > 0.0


# A level of JSON is two calls, no comprehension between them: the deepest value has to stay far
# from Python's recursion limit.


def _items(walk: Callable[[Any, int], Any], value: list[Any], depth: int) -> list[Any]:
    _check_depth(depth)
    items = []
    for step, item in enumerate(value):
        try:
            items.append(walk(item, depth + 1))
        except KindError as error:
            raise error.under(step) from None
    return items


def _members(
    walk: Callable[[Any, int], Any], value: dict[str, Any], names: Iterable[str], depth: int
) -> dict[str, Any]:
    _check_depth(depth)
    members = {}
    for name in names:
        key = _key(name)
        try:
            members[key] = walk(value[name], depth + 1)
        except KindError as error:
            raise error.under(key) from None
    return members


def _itself_or(made: Any, value: Any) -> Any:
    """What was made of a list or an object, or that one itself where nothing differs in it.

    So a second large value is not held beside the first.
    """
    if type(value) is list:
        is_same = all(map(operator.is_, made, value))
    else:
        is_same = [*made] == [*value] and all(map(operator.is_, made.values(), value.values()))
    return value if is_same else made


def _check_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise KindError(f"JSON at most {MAX_DEPTH} levels deep", "a deeper value")


def wrap(form: dict[str, Any]) -> dict[str, Any]:
    """An object, inside `$json` where it could be mistaken for a tagged value."""
    return {"$json": form} if is_tag(form) else form


def unwrap(form: dict[str, Any]) -> dict[str, Any]:
    """The object that `wrap` was given. Raises `KindError` where nothing was wrapped right."""
    if not is_tag(form):
        return form
    inner = form.get("$json")
    if type(inner) is not dict or not is_tag(inner):
        expected = 'an object, {"$json": …} around one whose only key starts with $'
        raise KindError(expected, shown(form))
    return inner


def is_tag(form: Any) -> bool:
    """Whether a form is an object whose only key starts with `$`."""
    return type(form) is dict and len(form) == 1 and next(iter(form)).startswith("$")


def _key(key: Any) -> str:
    if type(key) is not str:
        raise KindError("text as the key of a JSON object", shown(key))
    return encodable(key)


def _scalar(value: Any) -> Any:
    kind = type(value)
    if kind is str:
        return encodable(value)
    if kind is int:
        if not _TOO_SMALL < value < _TOO_LARGE:
            raise _too_long("a longer one")
        return value
    if kind is float:
        return _finite(value)
    if value is None or kind is bool:
        return value
    raise KindError("a JSON value", shown(value))


def _finite(value: float) -> float:
    if value - value != 0.0:
        raise KindError("a finite number in JSON", shown(value))
    return value


def _decimal_text(value: decimal.Decimal) -> str:
    text = _EXACT.to_sci_string(value)
    if len(text) <= MAX_NUMBER_LENGTH and _LONG_FRACTION.fullmatch(text):  # as most are
        return text
    if not value.is_finite() or value.copy_abs() > _LARGEST:
        raise _out_of_range(value)
    if len(text) > MAX_NUMBER_LENGTH:
        raise _too_long(f"{len(text)} characters")
    return text


def _too_long(found: str) -> KindError:
    return KindError(f"a number of at most {MAX_NUMBER_LENGTH} characters", found)


def _out_of_range(value: object) -> KindError:
    return KindError("a number in the range of a double", shown(value))


def _canonical_float(value: float) -> Any:
    if not value.is_integer():
        return value
    if abs(value) < 2**53:
        return int(value)
    # 1e300 stands for the number its text names, not for the nearest binary fraction.
    sign, digits, exponent = _parts(repr(value))
    return msgspec.Raw((sign + digits + "0" * exponent).encode())


def _canonical_decimal(value: decimal.Decimal) -> Any:
    text = _decimal_text(value)
    if _LONG_FRACTION.fullmatch(text):
        return msgspec.Raw(text.encode())
    double = float(value)
    if not double.is_integer() and decimal.Decimal(repr(double)) == value:
        return double
    return msgspec.Raw(number_layout(value).encode())
