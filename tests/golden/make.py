"""Writes the golden archives that are not there yet, and notes what they are answered.

Run it from the root of the project: python -m tests.golden.make. It overwrites nothing: files that
are there stay as they are, whatever the library has become since, and so do their answers. The new
answers are to be read by somebody before they are committed.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import tempfile
from pathlib import Path

from tests.golden.answers import answers_to
from tests.golden.making import golden

HERE = Path(__file__).parent
ANSWERS = "answers.json"
SUMS = "SHA256SUMS"


def main(folder: Path = HERE) -> None:
    """Write what is missing."""
    answers_file, sums = folder / ANSWERS, folder / SUMS
    answers = json.loads(answers_file.read_text("utf-8")) if answers_file.exists() else {}
    missing = [(name, data) for name, data in golden() if not (folder / name).exists()]
    for name, data in missing:
        (folder / name).parent.mkdir(exist_ok=True)
        with (folder / name).open("xb") as file:
            file.write(data)
    listed = sums.read_text("utf-8") if sums.exists() else ""
    for path in held_files(folder):
        name = path.relative_to(folder).as_posix()
        if f"  {name}\n" not in listed:
            listed += f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n"
    for name, _ in missing:
        if name not in answers:
            with tempfile.TemporaryDirectory() as scratch:
                answers[name] = answers_to(folder / name, Path(scratch))
    text = json.dumps(answers, indent=1, sort_keys=True, ensure_ascii=False)
    answers_file.write_text(text + "\n", "utf-8")
    sums.write_text(listed, "utf-8")


def held_files(folder: Path = HERE) -> list[Path]:
    """The files that never change: the archives, and the versions they were made by."""
    found = [folder.glob(f"{part}/*") for part in ("sound", "damaged", "catering/versions")]
    return sorted(itertools.chain.from_iterable(found))


if __name__ == "__main__":
    main()
