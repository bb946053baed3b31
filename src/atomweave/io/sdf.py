"""SDF (V2000 and V3000): positions, elements and the total charge are read, bonds never; data items become properties.

Bonds in published files are wrong often enough (MoleculeNet's QM9 among them) that this reader does not look at them:
`chemistry.bonds` finds them from the geometry. Layout: BIOVIA, CTfile formats.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..molecule import NUMBERS, Molecule, formula
from .frames import Progress, Refusal, atomic_number, checked, coordinates, shown, whole_number
from .lines import Lines, open_text
from .sdvalues import parse_value

END_OF_RECORD = "$$$$"
LONGEST_RECORD = 2_000_000
"""Lines; a file without any end of record is refused instead of filling the memory."""

CHARGE_CODES = frozenset("123567")
"""Of an atom's own field in V2000: 4 minus the charge."""

CHARGE_V3000 = re.compile(r"\sCHG=([+-]?[0-9]{1,2})\b")
CHARGES_V2000 = re.compile(r"\s[0-9]{1,3}\s+([+-]?[0-9]{1,2})(?=\s|$)", re.ASCII)
"""An atom and its charge, after the number of them in a line M  CHG."""

LONGEST_FORMULA = 60
"""Characters; longer titles are not compared with the formula."""


def read_sdf(path: Path, progress: Progress | None = None) -> Iterator[Molecule | Refusal]:
    """Yield the records of an SDF or MOL file."""
    with open_text(path) as file:
        lines = Lines(file, progress)
        frame = 0
        while (record := _record(lines)) is not None:
            first, content, ended = record
            try:
                numbers, positions, properties = _parse(content, first, ended)
            except ValueError as error:
                yield Refusal(str(path), frame, str(error))
            else:
                yield checked(path, frame, numbers, positions, properties)
            frame += 1
        if frame == 0:
            yield Refusal(str(path), None, "the file holds no frames")


def _record(lines: Lines) -> tuple[int, list[str], bool] | None:
    """Return the number of a record's first line, its lines, and whether `$$$$` ended them; None at the end."""
    first = lines.number + 1
    content, ended = lines.take_up_to(END_OF_RECORD, LONGEST_RECORD)
    if not ended and not any(entry.strip() for entry in content):
        return None
    return first, content, ended


def _parse(lines: list[str], first: int, ended: bool) -> tuple[list[int], list[list[float]], dict[str, Any]]:
    if len(lines) < 4:
        raise ValueError(f"truncated: the record at line {first} has {len(lines)} lines, wanted a header of 4")
    counts = lines[3]
    ends = (i for i, line in enumerate(lines) if line.startswith("M") and i > 3 and line.split() == ["M", "END"])
    end = next(ends, None)
    if end is None:
        raise ValueError(f"truncated: the record at line {first} has no line 'M  END'")
    if "V3000" in counts:
        numbers, positions = _atoms_v3000(lines[4:end], first + 4)
        charge = sum(int(value) for line in lines[4:end] for value in CHARGE_V3000.findall(line))
    else:
        numbers, positions = _atoms_v2000(lines[3:end], first + 3)
        charge = _charge_v2000(lines[4 : 4 + len(numbers)], lines[4 + len(numbers) : end])
    if lines[1][20:22] == "2D" and len(numbers) > 1 and not any(z for _, _, z in positions):
        raise ValueError("a drawing in 2D, wanted positions in space")
    if not ended and any(line.strip() for line in lines[end + 1 :]):
        # A MOL file has no data and needs no end; where there are data, the one that matters may be lost.
        raise ValueError(f"truncated: the record at line {first} has data but no end {END_OF_RECORD}")
    properties = _data_items(lines[end + 1 :])
    title = lines[0].strip()
    # A molecule without a name is written under its formula, which says nothing that the atoms do not say.
    named = title and (len(title) > LONGEST_FORMULA or title != formula(numbers))
    told = ({"title": title} if named else {}) | ({"charge": charge} if charge else {})
    return numbers, positions, told | properties


def _atoms_v2000(lines: list[str], first: int) -> tuple[list[int], list[list[float]]]:
    n_atoms = whole_number(lines[0][:3].strip())
    if n_atoms is None:
        raise ValueError(f"line {first}: got {shown(lines[0])} where a counts line was wanted")
    if len(lines) - 1 < n_atoms:
        raise ValueError(f"truncated: line {first} announces {n_atoms} atoms, {len(lines) - 1} lines follow")
    numbers, positions = [], []
    for atom, line in enumerate(lines[1 : n_atoms + 1]):
        try:
            number, position = _atom_v2000(line)
        except ValueError as error:
            raise ValueError(f"line {first + 1 + atom}, atom {atom}: {error}") from None
        numbers.append(number)
        positions.append(position)
    # Three columns hold no more than 999: programs that write on past them make "100" of 1000 atoms.
    if n_atoms >= 100 and len(lines) - 1 > n_atoms and _is_atom(lines[n_atoms + 1]):
        raise ValueError(f"line {first} announces {n_atoms} atoms, more follow: above 999 atoms only V3000 will do")
    return numbers, positions


def _charge_v2000(atoms: list[str], others: list[str]) -> int:
    """Return the charge of a whole record: of its lines M  CHG, or, where there are none, of the atoms' own field."""
    told = [line[9:] for line in others if line.startswith("M  CHG")]
    if told:
        return sum(int(charge) for line in told for charge in CHARGES_V2000.findall(line))
    codes = [line[36:39].strip() for line in atoms if line[31:34].strip() in NUMBERS]
    return sum(4 - int(code) for code in codes if code in CHARGE_CODES)


def _is_atom(line: str) -> bool:
    try:
        _atom_v2000(line)
    except ValueError:
        return False
    return True


def _atom_v2000(line: str) -> tuple[int, list[float]]:
    try:  # the columns are fixed, and may touch each other
        return atomic_number(line[31:34].strip()), coordinates((line[:10], line[10:20], line[20:30]))
    except ValueError:  # some programs only separate them by blanks
        fields = line.split()
        return atomic_number(fields[3] if len(fields) > 3 else ""), coordinates(fields[:3])


def _atoms_v3000(lines: list[str], first: int) -> tuple[list[int], list[list[float]]]:
    numbers: list[int] = []
    positions: list[list[float]] = []
    announced, inside, ended, carried = None, False, False, ""
    for place, line in enumerate(lines, first):
        if not line.startswith("M  V30 "):
            continue
        text = carried + line[7:]
        carried = text[:-1] if text.endswith("-") else ""
        if carried:
            continue
        fields = text.split()
        if fields[:1] == ["COUNTS"] and len(fields) > 1:
            announced = whole_number(fields[1])
        elif fields[:2] in (["BEGIN", "ATOM"], ["END", "ATOM"]):
            inside, ended = fields[0] == "BEGIN", ended or fields[0] == "END"
        elif inside:
            try:
                if len(fields) < 5:
                    raise ValueError(f"got {shown(text)} where index, element and position were wanted")
                numbers.append(atomic_number(fields[1]))
                positions.append(coordinates(fields[2:5]))
            except ValueError as error:
                raise ValueError(f"line {place}, atom {len(numbers)}: {error}") from None
    if announced is None:
        raise ValueError(f"the record at line {first - 4} is V3000 but has no line COUNTS")
    if (not ended and announced) or announced != len(numbers):
        raise ValueError(f"truncated: COUNTS announces {announced} atoms, {len(numbers)} follow")
    return numbers, positions


def _data_items(lines: list[str]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    name: str | None = None
    value: list[str] = []
    for line in [*lines, ""]:
        if name is None:
            if line.startswith(">") and "<" in line:
                name, value = line[line.index("<") + 1 :].rpartition(">")[0], []
        elif line.strip():
            value.append(line)
        else:
            if name:
                properties[name] = parse_value("\n".join(value))
            name = None
    return properties
