"""XYZ and extended XYZ.

A frame is a line with the number of atoms, a comment line, and one line an atom: symbol (or atomic number) and
position in Å. In extended XYZ the comment holds `key=value` pairs, which become properties of the molecule;
`Properties=` names the columns of the atom lines and is obeyed under either suffix, since ASE writes extended frames
into files that end in .xyz. Columns other than species and position are left out. After a broken frame, reading goes
on at the next line that can be the head of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ..files import write_atomic
from ..molecule import Molecule
from .comment import Columns, default_columns, format_comment, parse_columns, parse_comment
from .frames import Progress, Refusal, atomic_number, checked, coordinates, shown, whole_number
from .lines import Lines, open_text


def read_xyz(path: Path, progress: Progress | None = None) -> Iterator[Molecule | Refusal]:
    """Yield the frames of a plain XYZ file; a comment becomes the property `comment`."""
    return _frames(path, progress, extended=False)


def read_extxyz(path: Path, progress: Progress | None = None) -> Iterator[Molecule | Refusal]:
    """Yield the frames of an extended XYZ file."""
    return _frames(path, progress, extended=True)


def write_xyz(path: Path, molecules: Iterable[Molecule]) -> None:
    """Write plain XYZ: of the properties only `comment` is kept."""
    _write(path, ((m, " ".join(str(m.properties.get("comment", "")).split())) for m in molecules))


def write_extxyz(path: Path, molecules: Iterable[Molecule]) -> None:
    """Write extended XYZ with all properties in the comment line."""
    _write(path, ((m, format_comment(m.properties)) for m in molecules))


def _write(path: Path, frames: Iterable[tuple[Molecule, str]]) -> None:
    with write_atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for molecule, comment in frames:
            file.write(f"{len(molecule)}\n{comment}\n")
            for symbol, (x, y, z) in zip(molecule.symbols, molecule.positions.tolist(), strict=True):
                file.write(f"{symbol:<2} {x:15.8f} {y:15.8f} {z:15.8f}\n")


def _frames(path: Path, progress: Progress | None, extended: bool) -> Iterator[Molecule | Refusal]:
    with open_text(path) as file:
        lines = Lines(file, progress)
        frame = 0
        while _skip_blank(lines):
            try:
                numbers, positions, comment = _frame(lines)
                if extended or "Properties=" in comment:
                    properties = parse_comment(comment)
                else:
                    properties = {"comment": comment.strip()} if comment.strip() else {}
            except ValueError as error:
                yield Refusal(str(path), frame, str(error))
                _find_head(lines)
            else:
                yield checked(path, frame, numbers, positions, properties)
            frame += 1
        if frame == 0:
            yield Refusal(str(path), None, "the file holds no frames")


def _frame(lines: Lines) -> tuple[list[int], list[list[float]], str]:
    head = lines.take() or ""
    n_atoms = _count(head)
    if n_atoms is None:
        raise ValueError(f"line {lines.number}: got {shown(head)} where the number of atoms was wanted")
    first = lines.number
    comment = lines.take()
    if comment is None:
        raise ValueError(f"the file ends at line {lines.number}, before the comment line: truncated")
    try:
        columns = parse_columns(comment) if "Properties=" in comment else default_columns()
        numbers, positions = [], []
        for atom in range(n_atoms):
            line = lines.peek()
            if line is None or _ends_frame(line):
                if atom == n_atoms - 1 and _is_atom(comment):
                    place = f"line {first + 1}: got {shown(comment)}"
                    raise ValueError(f"{place} where a comment line, if only an empty one, was wanted")
                raise ValueError(f"truncated: line {first} announces {n_atoms} atoms, {atom} follow")
            try:
                number, position = _atom(line, columns)
            except ValueError as error:
                cut = "truncated: " if lines.peek(1) is None and lines.open_end else ""
                raise ValueError(f"{cut}line {lines.number + 1}, atom {atom}: {error}") from None
            numbers.append(number)
            positions.append(position)
            lines.take()
    except ValueError:
        # What is left of this frame is passed over, so that the next one is not taken for a part of it.
        while lines.number < first + 1 + n_atoms and (line := lines.peek()) is not None and not _ends_frame(line):
            lines.take()
        raise
    return numbers, positions, comment


def _atom(line: str, columns: Columns) -> tuple[int, list[float]]:
    fields = line.split()
    if len(fields) < columns.width:
        raise ValueError(f"got {shown(line)} where an element and three coordinates were wanted")
    position = coordinates(fields[columns.position : columns.position + 3])
    return atomic_number(fields[columns.species]), position


def _ends_frame(line: str) -> bool:
    return not line.strip() or _count(line) is not None


def _count(line: str) -> int | None:
    return whole_number(line.strip(), longest=9)


def _is_atom(line: str) -> bool:
    try:
        _atom(line, default_columns())
    except ValueError:
        return False
    return True


def _skip_blank(lines: Lines) -> bool:
    """Take empty lines; return whether another line follows."""
    while (line := lines.peek()) is not None:
        if line.strip():
            return True
        lines.take()
    return False


def _find_head(lines: Lines) -> None:
    """Take lines up to one that can head a frame: a lone number, now or later above two lines that end in an atom."""
    if not _skip_blank(lines) or _count(lines.peek() or "") is not None:
        return
    while (line := lines.peek()) is not None:
        if _count(line) is not None:
            after = lines.peek(2)
            if after is None or _count(line) == 0 or len(after.split()) >= 4:
                return
        lines.take()
