"""`atomweave discover`: molecules with a property, by the published recipe and by rounds after it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError
from .cluster import Scheduler, Slurm
from .growing import Device, Seed, Weights

if TYPE_CHECKING:
    from ..discovery.objective import Direction
    from ..discovery.plan import Plan
    from ..discovery.work import Work

app = typer.Typer(add_completion=False)

DATA = Path("data/qm9.safetensors")
"""Where `make qm9` puts it."""


@app.command()
def discover(
    model: Weights,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run; where it holds one, that goes on.")],
    minimize: Annotated[str | None, typer.Option(metavar="PROPERTY", help="Make it small, e.g. gap.")] = None,
    maximize: Annotated[str | None, typer.Option(metavar="PROPERTY", help="Make it large: polarizability.")] = None,
    threshold: Annotated[
        float | None, typer.Option(help="From where on a molecule is good; the recipe's own for gap, polarizability.")
    ] = None,
    recipe: Annotated[str, typer.Option(help="Protocol: paper (Luo and Ji, ICLR 2022, section 4.2).")] = "paper",
    data: Annotated[
        Path | None, typer.Option(help=f"Store to choose from; by default {DATA}, made if it is not there.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of it that may be learnt from.")] = "edm/train",
    valid_split: Annotated[str, typer.Option(help="Split that the validation loss is watched on.")] = "edm/valid",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Of fine-tuning; 40 for gap, 80 for polarizability.")
    ] = None,
    learning_rate: Annotated[float, typer.Option(help="Of fine-tuning.")] = 1e-4,
    batch: Annotated[int, typer.Option(min=1, help="Molecules a step of fine-tuning.")] = 32,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="Molecules grown to measure a model.")] = 1000,
    scored: Annotated[
        str | None,
        typer.Option(metavar="N|all", help="Valid ones scored, drawn by lot; 200 for gap, 100 for polarizability."),
    ] = None,
    before: Annotated[
        int | None, typer.Option(min=0, help="The same of the model before fine-tuning; 0: do not look.")
    ] = None,
    method: Annotated[
        str, typer.Option(help="Of the property: FUNCTIONAL/BASIS or gfn2-xtb; the default is QM9's own.")
    ] = "b3lyp/6-31g(2df,p)",
    rounds: Annotated[int, typer.Option(min=0, help="Rounds after the recipe: grow, pick, score, teach the best.")] = 0,
    grow: Annotated[int, typer.Option(min=1, help="Molecules grown in a round.")] = 2000,
    budget: Annotated[int, typer.Option(min=2, help="Calculations of the property in a round.")] = 100,
    screen: Annotated[str, typer.Option(help="Method that says which molecules are worth one.")] = "gfn2-xtb",
    elite: Annotated[int, typer.Option(min=1, help="Best molecules, of data and run, that a round teaches.")] = 1000,
    trust_screen: Annotated[
        bool, typer.Option("--trust-screen", help="Molecules that the screen alone has seen may be among them.")
    ] = False,
    relax_by: Annotated[
        str, typer.Option(metavar="METHOD|none", help="Rounds look at the minima of this method; none: as grown.")
    ] = "gfn2-xtb",
    round_epochs: Annotated[int, typer.Option(min=1, help="Passes over them.")] = 20,
    sa_max: Annotated[float, typer.Option(help="Synthetic accessibility (1 easy, 10 hard) that is still pursued.")] = 6,
    temperatures: Annotated[str, typer.Option(help="own, or published: see atomweave sample.")] = "own",
    max_atoms: Annotated[int | None, typer.Option(min=1, help="Of a molecule, see atomweave sample.")] = None,
    seed: Seed = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes, by default one a CPU.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds for one calculation; by default by method.")] = None,
    memory: Annotated[float | None, typer.Option(help="GiB of address space for one; 8 by default.")] = None,
    scheduler: Scheduler = None,
    slurm: Slurm = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Of fine-tuning; by default torch's own choice.")] = None,
    device: Device = "cpu",
) -> None:
    """Find molecules with a small or large property.

    The recipe fine-tunes a model on the good molecules of the data, grows a thousand and scores a part of the valid;
    rounds go on from there. Every stage leaves its file in the folder: run the same command again and it goes on where
    it was interrupted. It ends in report.html, summary.json and molecules.csv.
    """
    from ..discovery.objective import Objective
    from ..memory import keep_freed_memory
    from .growing import check_device, temperatures_of

    if (minimize is None) == (maximize is None):
        raise UsageError("name one property, with --minimize or with --maximize, e.g. --minimize gap.")
    keep_freed_memory()  # before torch allocates anything
    check_device(device)
    from ..models.weights import weights_path

    name = minimize if minimize is not None else maximize
    assert name is not None
    direction: Direction = "minimize" if minimize is not None else "maximize"
    Objective(name, direction, threshold or 0.0)  # what is misspelt is refused before any data are made
    weights_path(model)
    store = data_store(data)
    options: dict[str, Any] = {
        "recipe": recipe, "target": name, "direction": direction, "model": model, "data": store.name, "split": split,
        "valid_split": valid_split, "seed": seed, "learning_rate": learning_rate, "batch": batch, "number": number,
        "method": method, "rounds": rounds, "grow": grow, "budget": budget, "screen": screen, "elite": elite,
        "trust_screen": trust_screen, "relax_by": None if relax_by == "none" else relax_by,
        "round_epochs": round_epochs, "sa_max": sa_max, "max_atoms": max_atoms,
        "temperatures": temperatures_of(temperatures, 1.0, 1.0, "exact"),
    }  # fmt: skip
    given = {"threshold": threshold, "epochs": epochs, "before": before}
    plan = make_plan(options, {k: v for k, v in given.items() if v is not None} | _scored(scored), store)

    from ..discovery.discover import discover as run
    from ..discovery.report import lines

    found = run(plan, store, out, _work(plan, out, workers, timeout, memory, scheduler, slurm, threads, device))
    print(*lines(found), sep="\n")
    print(out / "report.html", file=sys.stderr)


def data_store(asked: Path | None) -> Path:
    """Return the store to choose from; QM9 is made in its usual place if nothing is named and it is not there."""
    if asked is not None or DATA.exists():
        return asked or DATA
    from ..data.qm9 import build_qm9

    print(f"making {DATA} from the package qm9pack ...", file=sys.stderr)
    build_qm9().write(DATA)
    return DATA


def make_plan(options: dict[str, Any], given: dict[str, Any], data: Path) -> Plan:
    """Return the plan of a command: what the recipe says of the property, and over it what was given.

    Raises:
        UsageError: if the recipe, the property, the model or a method is unknown, or no threshold is known.
    """
    from ..data.store import MoleculeStore
    from ..discovery.objective import Objective
    from ..discovery.plan import Plan, defaults
    from ..files import sha256_of
    from ..models.presets import check
    from ..models.weights import weights_path
    from ..properties.methods import check_properties, parse_method

    said = defaults(options["recipe"], options["target"])
    if said.pop("direction", options["direction"]) != options["direction"]:
        said.pop("threshold")  # the recipe's own speaks of the other direction
    told = said | options | given
    Objective(told["target"], told["direction"], told.get("threshold", 0.0))  # refuses what it does not know
    if "threshold" not in told:
        raise UsageError(f"--threshold is missing: from where on is {told['target']} good?")
    for role in ("method", "screen", "relax_by"):
        if told[role] is None:
            continue
        method = parse_method(told[role])
        told |= {role: method.name, f"{role}_digest": method.digest}
    told |= {
        "model_sha256": sha256_of(weights_path(told["model"])),
        "data_sha256": MoleculeStore.open(data).sha256,
    }
    plan = check(told, Plan, "discover")
    for role in ("method", "screen"):
        check_properties((plan.target,), parse_method(told[role]))
    return plan


def _scored(text: str | None) -> dict[str, int | None]:
    """Return how many to score: nothing where the option was not given, None for all.

    Raises:
        UsageError: if it is neither a number nor "all".
    """
    if text is None:
        return {}
    if text == "all":
        return {"scored": None}
    if not text.isdecimal() or not int(text):
        raise UsageError(f"--scored: got {text!r}, wanted a number of molecules, or all.")
    return {"scored": int(text)}


def _work(
    plan: Plan, out: Path, workers: int | None, timeout: float | None, memory: float | None, scheduler: str | None,
    slurm: str | None, threads: int | None, device: str,
) -> Work:  # fmt: skip
    from ..discovery.work import Work
    from .progress import progress
    from .property_scores import Asked, PropertyScoring

    asked = Asked(
        plan.target, plan.method, False, plan.relax_by, None, False, workers, timeout, memory, scheduler, slurm
    )  # fmt: skip
    executor = PropertyScoring.of(asked, out).executor
    return Work(
        workers, device, threads, executor, progress, lambda sentence: print(sentence, file=sys.stderr, flush=True)
    )
