"""Export, preview and import for hosts on an event loop: in a thread, so that the loop goes on."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from databackup.operations.diff import SAMPLE
from databackup.operations.export import export_all
from databackup.operations.importing import import_all
from databackup.operations.preview import preview_import

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from databackup.archive.encryption import Decryption, Encryption
    from databackup.archive.files import PathOrFile
    from databackup.archive.limits import Limits
    from databackup.operations.omitted import Secrets
    from databackup.operations.options import Dangling, Mode, WrongAppChoice
    from databackup.operations.plans import ImportPlan
    from databackup.operations.reports import (
        ExportReport,
        ImportReport,
        Progress,
        ProgressCallback,
    )
    from databackup.operations.safety import PathOrFolder
    from databackup.repository import Repository, Transaction

T = TypeVar("T")


async def export_all_async(
    repository: Repository,
    destination: PathOrFile,
    *,
    collections: Iterable[str] | None = None,
    closure: bool = True,
    exclude: Mapping[str, str] | None = None,
    version: int | None = None,
    encryption: Encryption | None = None,
    secrets: Secrets = "included",
    progress: ProgressCallback | None = None,
) -> ExportReport:
    """As `export_all`, in a thread. `progress` is called there.

    When the task is cancelled, so is the export, at its next batch; CancelledError comes out once
    it has ended.
    """
    options: dict[str, Any] = {
        "collections": collections,
        "closure": closure,
        "exclude": exclude,
        "version": version,
        "encryption": encryption,
        "secrets": secrets,
    }
    return await _in_thread(
        lambda watched: export_all(repository, destination, progress=watched, **options), progress
    )


async def import_all_async(
    repository: Repository,
    source: PathOrFile,
    *,
    mode: Mode = "replace",
    read_back: bool = True,
    wrong_app: WrongAppChoice = "refuse",
    dangling: Dangling = "refuse",
    allow_cascade: bool = False,
    create: bool = False,
    wait: float = 5.0,
    marker: bool = False,
    collections: Iterable[str] | None = None,
    closure: bool = True,
    safety_backup: PathOrFolder | None = None,
    limits: Limits | None = None,
    decryption: Decryption | None = None,
    plan: ImportPlan | None = None,
    before_import: Callable[[ImportPlan], object] | None = None,
    in_transaction: Callable[[Transaction, ImportReport], object] | None = None,
    after_commit: Callable[[ImportReport], object] | None = None,
    progress: ProgressCallback | None = None,
) -> ImportReport:
    """As `import_all`, in a thread. `progress` and the hooks are called there.

    When the task is cancelled, so is the import, at its next batch; CancelledError comes out once
    all is rolled back. If its commit had begun, it was committed, and a note on the error says so.
    """
    options: dict[str, Any] = {
        "mode": mode,
        "read_back": read_back,
        "wrong_app": wrong_app,
        "dangling": dangling,
        "allow_cascade": allow_cascade,
        "create": create,
        "wait": wait,
        "marker": marker,
        "collections": collections,
        "closure": closure,
        "safety_backup": safety_backup,
        "limits": limits,
        "decryption": decryption,
        "plan": plan,
        "before_import": before_import,
        "in_transaction": in_transaction,
        "after_commit": after_commit,
    }
    return await _in_thread(
        lambda watched: import_all(repository, source, progress=watched, **options), progress
    )


async def preview_import_async(
    repository: Repository,
    source: PathOrFile,
    *,
    mode: Mode = "replace",
    read_back: bool = True,
    wrong_app: WrongAppChoice = "refuse",
    dangling: Dangling = "refuse",
    allow_cascade: bool = False,
    create: bool = False,
    wait: float = 5.0,
    marker: bool = False,
    collections: Iterable[str] | None = None,
    closure: bool = True,
    limits: Limits | None = None,
    decryption: Decryption | None = None,
    sample: int = SAMPLE,
    progress: ProgressCallback | None = None,
) -> ImportPlan:
    """As `preview_import`, in a thread. `progress` is called there.

    When the task is cancelled, so is the preview, at its next batch.
    """
    options: dict[str, Any] = {
        "mode": mode,
        "read_back": read_back,
        "wrong_app": wrong_app,
        "dangling": dangling,
        "allow_cascade": allow_cascade,
        "create": create,
        "wait": wait,
        "marker": marker,
        "collections": collections,
        "closure": closure,
        "limits": limits,
        "decryption": decryption,
        "sample": sample,
    }
    return await _in_thread(
        lambda watched: preview_import(repository, source, progress=watched, **options), progress
    )


class _Cancelled(Exception):
    """Raised in the thread, to be rolled back by."""


async def _in_thread(work: Callable[[ProgressCallback], T], progress: ProgressCallback | None) -> T:
    """What `work` returns. It is never left running: cancelling waits until it has ended."""
    cancelled = threading.Event()

    def watched(step: Progress) -> None:
        if cancelled.is_set():
            raise _Cancelled
        if progress is not None:
            progress(step)

    thread = asyncio.ensure_future(asyncio.to_thread(work, watched))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError as error:
        cancelled.set()
        await _ended(thread)
        if thread.exception() is None:
            error.add_note("the work was done already when it was cancelled")
        raise


async def _ended(thread: asyncio.Future[Any]) -> None:
    """Wait, whoever cancels again, and let nothing come out."""
    while not thread.done():
        try:
            await asyncio.wait([thread])
        except asyncio.CancelledError:
            continue
