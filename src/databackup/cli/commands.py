"""The commands. Each opens what it is given, calls one operation, and hands over its report."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import click

from databackup import __version__
from databackup.adapters.registry import (
    open_repository,
    open_schema,
    without_password,
)
from databackup.adapters.sqlite.reflect import Types
from databackup.cli import confirm, render
from databackup.cli.apps import app_option
from databackup.cli.backups import backups, prune
from databackup.cli.command import (
    INTERRUPTED,
    Command,
    Run,
    as_json,
    opened_archive,
    target_options,
    wait_option,
    written_archive,
)
from databackup.cli.copy import copy
from databackup.cli.diff import diff
from databackup.cli.imports import dangling_option, import_options, opened_import, yes_option
from databackup.cli.interrupt import InterruptGuard
from databackup.cli.keys import Keys, reading_keys, rewriting_keys, writing_keys
from databackup.cli.limits import limit_option
from databackup.cli.migrate import migrate
from databackup.cli.output import Output
from databackup.cli.preview import preview
from databackup.cli.progress import progress_bar
from databackup.cli.safety import safety_options
from databackup.cli.secrets import Choice, chosen, secrets_option
from databackup.cli.selection import known_collections, selection_options
from databackup.cli.status import status
from databackup.cli.undo import undo
from databackup.cli.versions import check, freeze, history
from databackup.operations.diff import SAMPLE
from databackup.operations.export import export_all
from databackup.operations.seal import seal_archive
from databackup.operations.verify import inspect_archive, verify_archive
from databackup.schema.document import describe, description_digest

if TYPE_CHECKING:
    from databackup.archive.limits import Limits
    from databackup.operations.options import Dangling


class _Group(click.Group):
    command_class = Command
    group_class = type  # the same class again


def run() -> int:
    """Run the command line, and return its exit code."""
    # What drivers log is no answer to anybody; what goes wrong comes as an error.
    logging.lastResort = logging.NullHandler()
    try:
        guard = InterruptGuard(ends_the_process=True)
        code: int = cli.main(prog_name="databackup", standalone_mode=False, obj=guard) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):  # before there was a command
        Output(as_json=False).say(render.cancelled())
        return INTERRUPTED
    return code


# -- commands ----------------------------------------------------------------------------------


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Export all data of an app to one file, and import it back, all or nothing.

    TARGET is the path of a SQLite file, sqlite:///PATH, a URL of SQLAlchemy's such as
    postgresql://USER:PASSWORD@HOST/NAME, or package.module:attribute, which is a repository or a
    function without arguments that returns one. FILE is the archive; - is standard input or
    output.

    Exit codes: 0 done; 1 refused or failed, and nothing was changed; 2 wrong usage; 3 the
    connection was lost during the commit, and the outcome is unknown; 130 cancelled with Ctrl-C,
    and nothing was changed. Those of diff are 0 the same; 1 different; 2 trouble of any kind; 130.
    Those of status are 0 committed; 1 not committed; 2 trouble of any kind; 130.
    """


cli.add_command(backups)
cli.add_command(copy)
cli.add_command(diff)
cli.add_command(migrate)
cli.add_command(preview)
cli.add_command(prune)
cli.add_command(status)
cli.add_command(undo)


@cli.command(name="export")
@click.argument("target")
@click.argument("file")
@click.option(
    "--version",
    type=click.IntRange(min=1),
    metavar="N",
    help="Write an archive that the app of schema version N can read, by undoing migrations.",
)
@selection_options
@writing_keys
@secrets_option
@wait_option
@target_options
@as_json
@click.pass_obj
def export_command(
    run: Run,
    /,
    target: str,
    file: str,
    *,
    version: int | None,
    collections: tuple[str, ...] | None,
    closure: bool,
    keys: Keys,
    secret: tuple[str, ...],
    secrets: Choice | None,
    wait: float,
    types: Types,
    exclude: dict[str, str],
) -> None:
    """Write everything TARGET holds, or some collections, to the archive FILE or into a folder.

    A folder, which is one that is there or a name ending in /, gets a new file named by what it
    holds: app, version, time and number of records. It replaces none.

    A file ending in .gz or .zst is compressed, and one ending in .age encrypted, to --encrypt-to or
    with --passphrase-file. A FILE that exists must be an archive, and is replaced once the new one
    is complete; until then, and if anything goes wrong, the old one stays. With - the archive goes
    to standard output, uncompressed, and the report to standard error.

    Secret fields are left out, which the report says, unless --secrets include is given or what is
    written is encrypted.
    """
    encryption = keys.of_new()
    if file != "-":
        confirm.require_replaceable(file)
    repository = run.guard.repository(
        open_repository(target, types=types, exclude=exclude, secret=secret, wait=wait)
    )
    with (
        progress_bar(
            f"opening {without_password(target)}", wanted=run.output.wants_progress
        ) as progress,
        known_collections(),
    ):
        report = export_all(
            repository,
            written_archive(file),
            collections=collections,
            closure=closure,
            version=version,
            encryption=encryption,
            secrets=chosen(secrets, encrypted=encryption is not None),
            progress=progress,
        )
    run.output.done(render.exported(report), report.as_json())


@cli.command(name="import")
@click.argument("file")
@click.argument("target")
@click.option("--dry-run", is_flag=True, help="Only show what would be done, as preview does.")
@yes_option
@safety_options
@import_options
@selection_options
@reading_keys
@limit_option
@target_options
@as_json
@click.pass_obj
def import_command(
    run: Run,
    /,
    file: str,
    target: str,
    *,
    dry_run: bool,
    yes: bool,
    types: Types,
    exclude: dict[str, str],
    keys: Keys,
    limits: Limits,
    **options: Any,
) -> None:
    """Bring the archive FILE into TARGET, or leave it as it is.

    Says what would become of the records of TARGET and asks, unless --yes is given; then that is
    done, or nothing where TARGET has changed meanwhile. Everything is checked before TARGET is
    touched, and compared before it is committed. What TARGET held is exported first, to a safety
    backup beside FILE, from which undo brings it back.
    """
    if file == "-" and not (yes or dry_run):
        raise confirm.NotConfirmed(
            "the archive comes from standard input, so nobody can be asked; nothing was changed"
        )
    reading = {"types": types, "exclude": exclude}
    with (
        known_collections(),
        opened_import(run, file, target, reading, limits, options, keep=not dry_run) as closed,
    ):
        found = closed.opened(keys)
        if dry_run:
            found.show(found.preview(sample=SAMPLE, **options))
            return
        plan = None if yes else found.agreed(**options)
        found.carry_out(plan=plan, **options)


@cli.command()
@click.argument("file")
@app_option()
@reading_keys
@limit_option
@as_json
@click.pass_obj
def inspect(run: Run, /, file: str, *, app: str | None, keys: Keys, limits: Limits) -> None:
    """Show what the archive FILE says of itself, once its seal is found sound.

    With --app also which migrations an import into that app would run.
    """
    schema = None if app is None else open_schema(app)
    with opened_archive(file, limits) as source:
        decryption = keys.opening((source, file))
        with progress_bar(f"reading {file}"):
            info = inspect_archive(source, schema, limits=limits, decryption=decryption)
    run.output.result(render.inspected(info), info.as_json())


@cli.command()
@click.argument("file")
@app_option()
@dangling_option
@reading_keys
@limit_option
@as_json
@click.pass_obj
def verify(
    run: Run,
    /,
    file: str,
    *,
    app: str | None,
    dangling: Dangling,
    keys: Keys,
    limits: Limits,
) -> None:
    """Read every record of the archive FILE: seal, values, counts, digests, keys, references.

    With --app against that app's schema, to which an older archive is migrated.
    """
    schema = None if app is None else open_schema(app)
    with opened_archive(file, limits) as source:
        decryption = keys.opening((source, file))
        with progress_bar(f"checking {file}") as progress:
            report = verify_archive(
                source,
                schema,
                dangling=dangling,
                limits=limits,
                decryption=decryption,
                progress=progress,
            )
    run.output.result(render.verified(report, file), report.as_json())


@cli.command()
@click.argument("edited")
@click.argument("sealed")
@rewriting_keys
@limit_option
@as_json
@click.pass_obj
def seal(run: Run, /, edited: str, sealed: str, keys: Keys, limits: Limits) -> None:
    """Check an archive that was edited, and write it to SEALED: counted and sealed anew.

    EDITED is an archive after any change of its records or its layout by hand or by a program. Its
    schema has to stay as it was. SEALED is written as by export, and says that it was edited.
    """
    if sealed != "-":
        confirm.require_replaceable(sealed)
    with opened_archive(edited, limits) as source:
        decryption = keys.opening((source, edited))
        with progress_bar(f"reading {edited}", wanted=run.output.wants_progress) as progress:
            report = seal_archive(
                source,
                written_archive(sealed),
                limits=limits,
                encryption=keys.of_rewritten(sealed),
                decryption=decryption,
                progress=run.guard.progress(progress),
            )
    run.output.done(render.sealed(report), report.as_json())


@cli.group()
def schema() -> None:
    """What is backed up of a TARGET, and the versions of an app's schema."""


@schema.command()
@click.argument("target")
@target_options
@as_json
@click.pass_obj
def show(run: Run, /, target: str, types: Types, exclude: dict[str, str]) -> None:
    """Show the collections of TARGET, with fields, kinds, keys and references."""
    found = open_repository(target, types=types, exclude=exclude).schema
    described = describe(found)
    report = {
        "app": found.app,
        "version": found.version,
        "digest": description_digest(described),
        "excluded": [{"name": item.name, "reason": item.reason} for item in found.excluded],
        **described,
    }
    run.output.result(render.schema(found), report)


schema.add_command(freeze)
schema.add_command(check)
schema.add_command(history)
