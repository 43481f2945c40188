"""From the name of a target to its repository: paths, URLs, `module:attribute`.

Adapters of other packages are found through entry points of the group `databackup.adapters`. The
entry point's name is the URL's scheme; what it names is called with the URL and, by keyword, with
`types` and `exclude`, and returns a `Repository`.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import inspect
import operator
import os
import re
import sys
import traceback
import urllib.parse
from typing import TYPE_CHECKING, Any, Final, Literal

from databackup.adapters.sqlite import SQLiteRepository
from databackup.adapters.sqlite.newfile import new_file
from databackup.errors import AppError, DatabackupError, FileError, MissingExtra, TargetError
from databackup.repository import Repository
from databackup.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from databackup.adapters.sqlite.reflect import Types

GROUP: Final = "databackup.adapters"

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
# Up to the last @: whoever forgot to percent-encode a password shows none of it either.
_PASSWORD = re.compile(r"^([^:]+://[^:/@]*):.*@", re.DOTALL)
_SECRET_OPTION = re.compile(r"([?&][^=&]*(?:pass|pwd|secret|token)[^=&]*=)[^&]*", re.IGNORECASE)
# By SQLAlchemy's name for an engine, the extra that brings its driver.
_SERVERS: Final = {"mariadb": "mysql", "mysql": "mysql", "postgresql": "postgresql"}
_PORTS: Final = {"mysql": "3306", "postgresql": "5432"}
_PLACES: Final = ("host", "port", "service", "unix_socket")
# A drive's letter is a module's name, too: `C:\x.db` and `C:/x.db` do not match, `c:x` does.
_ATTRIBUTE = re.compile(
    r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<path>[^\W\d]\w*(\.[^\W\d]\w*)*)"
)


def open_repository(
    target: str,
    *,
    types: Types = "storage",
    exclude: Mapping[str, str] | None = None,
    secret: Sequence[str] = (),
    wait: float = 5.0,
    create: bool = False,
) -> Repository:
    """The repository that a target names.

    A target is the path of a SQLite file; `sqlite:///path` (relative; four slashes for an absolute
    path; percent-encoded); any other URL of SQLAlchemy's for PostgreSQL, MariaDB, MySQL or SQLite;
    `package.module:attribute`, a repository or a function without arguments that returns one, with
    the current directory importable as it is for `python -m`; or the URL of an installed adapter.
    What the form of the target says is final: write `./app:db` for a file of that name. No error
    has the password of a URL in it.

    `types`, `exclude` (tables or columns that are not backed up, each with its reason) and `secret`
    (columns, as TABLE.COLUMN) are for stores whose schema is read from the store itself; `wait` is
    how many seconds it may be locked while it is read. With `create` a database may be empty:
    tables will be made in it.
    Raises `TargetError`, `MissingExtra`, `FileError`, `StoreError`.
    """
    if url := _URL.fullmatch(target):
        return _open_url(
            url["scheme"].lower(),
            url["rest"],
            target,
            types,
            exclude or {},
            secret=secret,
            wait=wait,
            create=create,
        )
    if attribute := _ATTRIBUTE.fullmatch(target):
        if types != "storage" or exclude or secret:
            raise TargetError(
                f"{target} brings its own schema; types, exclusions and secrets are stated there, "
                "and as options only for a SQLite file"
            )
        return _open_attribute(target, attribute["module"], attribute["path"])
    return _open_sqlite(target, types, exclude or {}, secret, wait, create=create)


def open_schema(app: str) -> Schema:
    """The schema that `package.module:attribute` names.

    It is a `Schema`, a repository, whose schema it is then, or a function without arguments that
    returns one of the two. Raises `AppError`, and what the host's code raises of this library.
    """
    attribute = _ATTRIBUTE.fullmatch(app)
    if attribute is None:
        raise AppError(f"{without_password(app)} is not of the form package.module:attribute")
    try:
        found = _found(app, attribute["module"], attribute["path"], Schema | Repository)
        if not isinstance(found, type) and _is_a(app, found, Repository):
            found = _call(app, "reading its schema", operator.attrgetter("schema"), found)
    except TargetError as error:
        raise AppError(error.message) from error
    if not isinstance(found, Schema):
        raise AppError(f"{app} is {_described(found)}, neither a schema nor a repository")
    return found


def notation_of(target: str) -> Literal["url", "attribute", "path"]:
    """How a target is written."""
    if _URL.fullmatch(target):
        return "url"
    return "attribute" if _ATTRIBUTE.fullmatch(target) else "path"


@contextlib.contextmanager
def new_target(target: str, *, keep: bool = True) -> Iterator[None]:
    """The empty file that a target names, made where it is one of SQLite's and not there.

    Where the block fails, and where it is not to be kept, it is gone again. Raises `FileError`,
    `TargetError`.
    """
    file = _file_of(target)
    with new_file(file, keep=keep) if file else contextlib.nullcontext():
        yield


def is_same_target(one: str, other: str) -> bool:
    """Whether two targets plainly name the same database, in whatever form."""
    first, second = _file_of(one), _file_of(other)
    if first and second:
        return os.path.realpath(first) == os.path.realpath(second)
    return _place_of(one) == _place_of(other)


def _file_of(target: str) -> str | None:
    """The SQLite file that a target names, None where it names something else."""
    url = _URL.fullmatch(target)
    if url is None:
        return None if _ATTRIBUTE.fullmatch(target) else target
    backend, plus, _ = url["scheme"].lower().partition("+")
    if backend != "sqlite":
        return None
    return _path_of(url["rest"].partition("?")[0] if plus else url["rest"], target)


def _place_of(target: str) -> tuple[object, ...]:
    """Where a URL leads: engine, host, port, name, and what else says where; without a user."""
    url = _URL.fullmatch(target)
    if url is None:
        return (target,)
    backend = url["scheme"].lower().partition("+")[0]
    rest, _, options = url["rest"].rpartition("@")[2].partition("?")
    host, _, name = rest.partition("/")
    where = sorted(pair for pair in urllib.parse.parse_qsl(options) if pair[0] in _PLACES)
    port = _PORTS.get(_SERVERS.get(backend, ""), "")
    host = host if ":" in host else f"{host or 'localhost'}:{port}"
    return _SERVERS.get(backend, backend), host.lower(), urllib.parse.unquote(name), *where


# -- SQLite files ------------------------------------------------------------------------------


def _open_sqlite(
    path: str,
    types: Types,
    exclude: Mapping[str, str],
    secret: Sequence[str],
    wait: float,
    *,
    create: bool,
) -> Repository:
    if not path:  # which `Path` takes for the current folder
        raise FileError("a file without a name does not exist", path)
    repository = SQLiteRepository.reflect(
        path, types=types, exclude=exclude, secret=secret, wait=wait
    )
    if not repository.schema.collections and not create:
        # SQLite takes an empty file for an empty database, and a backup of it would seem to be one.
        raise TargetError(f"{path} holds no tables to back up")
    return repository


def _open_url(
    scheme: str,
    rest: str,
    target: str,
    types: Types,
    exclude: Mapping[str, str],
    *,
    secret: Sequence[str],
    wait: float,
    create: bool,
) -> Repository:
    if scheme == "sqlite":
        return _open_sqlite(_path_of(rest, target), types, exclude, secret, wait, create=create)
    shown = without_password(target)
    if _is_sqlalchemys(scheme):
        return _open_sqlalchemy(
            scheme, target, shown, exclude, secret=secret, wait=wait, create=create
        )
    opener = _installed(scheme, shown)
    if secret:
        raise TargetError(f"{shown}: secrets are stated where its schema is made, not as options")
    try:
        found = opener(target, types=types, exclude=exclude)
    except DatabackupError:
        raise
    except (Exception, SystemExit) as error:
        if target in str(error) and shown != target:  # and so it would be in the cause
            raise TargetError(f"{shown}: the adapter for {scheme}:// failed") from None
        raise _failed(shown, f"the adapter for {scheme}://", error) from error
    return _require_repository(shown, found)


def _is_sqlalchemys(scheme: str) -> bool:
    backend, plus, _ = scheme.partition("+")
    return backend in _SERVERS or (backend == "sqlite" and bool(plus))


def _open_sqlalchemy(
    scheme: str,
    target: str,
    shown: str,
    exclude: Mapping[str, str],
    *,
    secret: Sequence[str],
    wait: float,
    create: bool,
) -> Repository:
    try:
        urls = importlib.import_module("databackup.adapters.sqlalchemy.urls")
    except ModuleNotFoundError as error:
        if error.name != "sqlalchemy":
            raise
        extra = _SERVERS.get(scheme.partition("+")[0], "sqlalchemy")
        raise MissingExtra.of(extra, shown) from error
    repository: Repository = urls.open_url(
        target, shown, exclude, secret=secret, wait=wait, create=create
    )
    return repository


def without_password(target: str) -> str:
    """A target as it may be shown to anybody."""
    if notation_of(target) != "url":
        return target
    return _SECRET_OPTION.sub(r"\1***", _PASSWORD.sub(r"\1:***@", target))


def _path_of(rest: str, target: str) -> str:
    if not rest.startswith("/") or rest == "/":
        raise TargetError(
            f"{target} names no file: write sqlite:///PATH, with four slashes for an absolute path"
        )
    if "?" in rest or "#" in rest:
        raise TargetError(f"{target} has options, and sqlite:///PATH takes none (? is %3F, # %23)")
    try:
        return urllib.parse.unquote(rest[1:], errors="strict")
    except UnicodeDecodeError as error:
        raise TargetError(f"{target} is not percent-encoded UTF-8") from error


def _installed(scheme: str, target: str) -> Callable[..., Any]:
    found = {point.name: point for point in importlib.metadata.entry_points(group=GROUP)}
    if scheme not in found:
        known = ", ".join(f"{name}://" for name in sorted({"sqlite", *_SERVERS, *found}))
        raise TargetError(f"no adapter is installed for {target}; there are {known}")
    opener = _call(target, f"loading the adapter for {scheme}://", found[scheme].load)
    if not callable(opener):
        raise TargetError(f"the adapter for {scheme}:// is no function: {found[scheme].value}")
    checked: Callable[..., Any] = opener
    return checked


# -- package.module:attribute ------------------------------------------------------------------


def _open_attribute(target: str, module_name: str, path: str) -> Repository:
    return _require_repository(target, _found(target, module_name, path, Repository))


def _found(target: str, module_name: str, path: str, wanted: Any) -> Any:
    """The attribute of a module, or what it returns where it is a function and not `wanted`."""
    found: Any = _import(target, module_name)
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise TargetError(f"{target}: {_described(found)} has no attribute {name!r}") from error
    if not _is_a(target, found, wanted) and callable(found):
        _require_no_arguments(target, found)
        found = _call(target, f"calling {path}", found)
    return found


def _import(target: str, name: str) -> Any:
    # As `python -m` does; what the module imports later is then found, too.
    if not {"", os.getcwd()} & set(sys.path):  # noqa: PTH109 - sys.path holds texts
        sys.path.insert(0, os.getcwd())  # noqa: PTH109 - the same
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _failed(target, f"importing {name}", error) from error
        raise TargetError(f"{target}: there is no module {error.name!r}") from error
    except DatabackupError:
        raise
    except (Exception, SystemExit) as error:
        raise _failed(target, f"importing {name}", error) from error


def _require_no_arguments(target: str, function: Callable[..., Any]) -> None:
    try:
        inspect.signature(function).bind()
    except ValueError:
        return  # written in C, without a signature: calling it will tell
    except TypeError as error:
        raise TargetError(
            f"{target} is a function with arguments ({error}); name one without"
        ) from error


def _call(target: str, what: str, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What a function of the host or of another package returns, its failures as ours."""
    try:
        return function(*args, **options)
    except DatabackupError:
        raise
    except (Exception, SystemExit) as error:
        raise _failed(target, what, error) from error


def _failed(target: str, what: str, error: BaseException) -> TargetError:
    """The error that names what the host's code raised, and the line of it that did."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "importlib" not in frame.filename]
    place = f" ({own[-1].filename}, line {own[-1].lineno})" if own[1:] else ""
    return TargetError(f"{target}: {what} failed: {type(error).__name__}: {error}{place}")


def _require_repository(target: str, found: Any) -> Repository:
    if isinstance(found, type) or not _is_a(target, found, Repository):
        raise TargetError(f"{target} is {_described(found)}, not a repository")
    repository: Repository = found
    return repository


def _is_a(target: str, found: Any, wanted: Any) -> bool:
    # Before Python 3.12 this reads the properties of a protocol, which are the host's code.
    return bool(_call(target, "reading its schema", isinstance, found, wanted))


def _described(found: Any) -> str:
    if inspect.ismodule(found):
        return f"the module {found.__name__!r}"
    if isinstance(found, type):
        return f"the class {found.__qualname__!r}"
    return "None" if found is None else f"an object of the type {type(found).__name__!r}"
