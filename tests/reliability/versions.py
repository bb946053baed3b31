"""Other versions of Python and of the packages that Atomweave needs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from .counts import Count, check

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / ".versions"
UV = (sys.executable, "-m", "uv")
ENVIRONMENTS = (  # a share of them says the most first
    ("3.11", "lowest"),
    ("3.13", "highest"),
    ("3.12", "lowest"),
    ("3.11", "highest"),
    ("3.13", "lowest"),
    ("3.12", "highest"),
)
RESOLUTIONS = {"lowest": "lowest-direct", "highest": "highest"}
WITHOUT_WHEEL = ("antlr4-python3-runtime", "atomweave")
"""All other packages are taken as wheels: a version that was never built for a Python does not count as its lowest."""
PASSED = "passed.json"  # in an environment: at which commit its tests passed
COUNTS = re.compile(r"\d+ (?:passed|failed|skipped|error).*? in [\d.]+s")


@check(unit="environments", small=0, large=len(ENVIRONMENTS))
def tested_environments(size: int, seed: int, folder: Path) -> Count:
    """The tests pass on Python 3.11, 3.12 and 3.13, each with the lowest versions of all direct dependencies, extras
    included, that pyproject.toml allows and that have a wheel, and with the highest of everything.
    """
    found = {}
    failures = []
    for python, resolution in ENVIRONMENTS[:size]:
        name = f"{python} {resolution}"
        environment = FOLDER / name.replace(" ", "-")
        passed, found[name] = _passed_before(environment) or _tested(environment, python, resolution)
        if not passed:
            failures.append(f"{name}: {found[name]}")
        print(f"Python {python}, {resolution} versions: {found[name]}", flush=True)
    return Count(len(found), failures, found)


def _passed_before(environment: Path) -> tuple[bool, str] | None:
    """Return what the tests said if they passed at this very commit: the run may have been interrupted since."""
    record = environment / PASSED
    found = json.loads(record.read_text()) if record.exists() else {}
    return (True, found["said"]) if found and found["commit"] == _commit() else None


def _tested(environment: Path, python: str, resolution: str) -> tuple[bool, str]:
    """Make an environment anew and return whether all tests pass there, and what they said."""
    commit = _commit()
    passed, said = _install(environment, python, resolution) or _test(environment)
    if passed and commit is not None and commit == _commit():
        (environment / PASSED).write_text(json.dumps({"commit": commit, "said": said}))
    return passed, said


def _commit() -> str | None:
    """Return the commit; None if files differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    return None if git("status", "--porcelain") else git("rev-parse", "HEAD")


def _install(environment: Path, python: str, resolution: str) -> tuple[bool, str] | None:
    """Make an environment anew; where that fails, return False and why."""
    extras = ",".join(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    choice = ["--resolution", RESOLUTIONS[resolution], "--only-binary", ":all:"]
    choice += [option for name in WITHOUT_WHEEL for option in ("--no-binary", name)]
    into = ["--python", environment / "bin" / "python"]
    for command in (
        ["venv", "--quiet", "--clear", "--python", python, environment],
        ["pip", "install", "--quiet", "--compile-bytecode", *into, *choice, "--editable", f"{ROOT}[{extras}]"],
    ):
        done = subprocess.run([*UV, *command], cwd=ROOT, env=_settings(), capture_output=True, text=True, check=False)
        if done.returncode:
            return False, f"not set up: {' '.join(done.stderr.split())}"
    return None


def _test(environment: Path) -> tuple[bool, str]:
    """Return whether all tests pass, as `make test` runs them, and pytest's counts."""
    command = [environment / "bin" / "pytest", "-q", "-p", "no:cacheprovider", "-n", "2"]
    done = subprocess.run(command, cwd=ROOT, env=_settings(), capture_output=True, text=True, check=False)
    (environment / "pytest.log").write_text(done.stdout + done.stderr)
    counts = COUNTS.findall(done.stdout)
    return done.returncode == 0, counts[-1] if counts else f"pytest ended with status {done.returncode}"


def _settings() -> dict[str, str]:
    """Return this process's environment with one thread a process, and where pyenv keeps Pythons, for uv to find."""
    pythons = sorted(Path("~/.pyenv/versions").expanduser().glob("*/bin"))
    return os.environ | {
        "OMP_NUM_THREADS": "1",
        "PATH": os.pathsep.join([os.environ["PATH"], *map(str, pythons)]),
    }
