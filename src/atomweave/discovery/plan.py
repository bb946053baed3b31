"""Everything that decides the outcome of a discovery run; it lies in the run's folder, and a run keeps to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, PositiveInt, ValidationError

from ..config import Config
from ..errors import RefusedFileError, UsageError, did_you_mean
from ..files import write_atomic
from ..models.base import Temperatures
from .objective import Direction, Objective

PLAN = "plan.json"

RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    "paper": {
        "gap": {"direction": "minimize", "threshold": 4.5, "epochs": 40, "scored": 200, "before": 50},
        "polarizability": {"direction": "maximize", "threshold": 91.0, "epochs": 80, "scored": 100, "before": 25},
    }
}
"""Named protocols: recipe -> property -> what it says. "paper": Luo and Ji, ICLR 2022, section 4.2 (learning rate,
batch and number grown are the fields' defaults). It scores all that are valid; the numbers here keep to a night."""

NAMES = {"model", "data"}
"""Fields that only name what others hold the hash of."""

LATER = {"rounds"}
"""Fields that say how far to go: a run may go further than it was first told."""

UNTIL_ROUNDS = {
    "scored",
    "before",
    "grow",
    "budget",
    "screen",
    "screen_digest",
    "elite",
    "round_epochs",
    "sa_max",
    "trust_screen",
    "relax_by",
    "relax_by_digest",
}
"""Fields that may change as long as no round was asked for: what rounds do means nothing before, and a hundred drawn to
be scored are the first of two hundred."""


class Plan(Config):
    """What a run does."""

    recipe: str = "paper"
    target: str = Field(description="name of the property")
    direction: Direction = Field(description="minimize or maximize")
    threshold: float = Field(description="where a molecule begins to be good, in the property's unit")
    model: str = Field(description="weights to begin with")
    model_sha256: str
    data: str = Field("", description="store that the biased set is chosen from")
    data_sha256: str
    split: str = Field("edm/train", description="what may be learnt from")
    valid_split: str = Field("edm/valid", description="what the validation loss is watched on")
    seed: int = Field(0, ge=0)

    epochs: PositiveInt = Field(40, description="passes over the biased set")
    learning_rate: float = Field(1e-4, gt=0)
    batch: PositiveInt = Field(32, description="molecules a step")

    number: PositiveInt = Field(1000, description="molecules grown to measure a model")
    temperatures: Temperatures = Temperatures()
    max_atoms: PositiveInt | None = Field(None, description="null: a fifth above the largest that was learnt from")
    method: str = Field("b3lyp/6-31g(2df,p)", description="of the property")
    method_digest: str = ""
    scored: PositiveInt | None = Field(200, description="valid molecules drawn to be scored; null scores all")
    before: int = Field(50, ge=0, description="the same for the model as it was; 0 leaves it unmeasured")

    rounds: int = Field(0, ge=0, description="rounds after the recipe")
    grow: PositiveInt = Field(2000, description="molecules grown in a round")
    budget: PositiveInt = Field(100, description="calculations of the property in a round")
    screen: str = Field("gfn2-xtb", description="method that chooses which molecules are worth a calculation")
    screen_digest: str = ""
    elite: PositiveInt = Field(1000, description="best molecules, of data and run, that a round teaches")
    trust_screen: bool = Field(False, description="molecules that the screen alone has seen may teach, too")
    relax_by: str | None = Field("gfn2-xtb", description="method whose minima rounds look at; null: as grown")
    relax_by_digest: str = ""
    round_epochs: PositiveInt = Field(20, description="passes over them")
    sa_max: float = Field(6.0, gt=0, description="synthetic accessibility above which a molecule is not pursued")

    @property
    def objective(self) -> Objective:
        """What is looked for."""
        return Objective(self.target, self.direction, self.threshold)


def defaults(recipe: str, property_name: str) -> dict[str, Any]:
    """Return what a recipe says of a property; nothing where the paper says nothing.

    Raises:
        UsageError: if there is no such recipe.
    """
    if recipe not in RECIPES:
        raise UsageError(f"--recipe: there is none called {recipe!r}; {did_you_mean(recipe, RECIPES)}")
    return dict(RECIPES[recipe].get(property_name, {}))


def keep_to(plan: Plan, folder: Path) -> None:
    """Write the plan into a new folder; in one that has a plan, check that this is the same.

    Raises:
        UsageError: if the folder holds a run of another plan; the sentence names what differs.
        RefusedFileError: if what lies there is no plan.
    """
    path = folder / PLAN
    if path.exists():
        there = _read(path)
        changed = _differences(there, plan)
        if changed:
            raise UsageError(
                f"{folder}: holds another run ({'; '.join(changed)}); take another -o, or the same options."
            )
    elif folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder}: is not empty and holds no discovery run; take another -o.")
    with write_atomic(path) as temporary:
        temporary.write_text(plan.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _read(path: Path) -> Plan:
    try:
        return Plan.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise RefusedFileError(f"{path}: is no plan of a discovery run ({first}); take another -o.") from None


def _differences(there: Plan, here: Plan) -> list[str]:
    free = NAMES | LATER | (set() if there.rounds else UNTIL_ROUNDS)
    before, now = there.model_dump(mode="json"), here.model_dump(mode="json")
    return [
        f"{_said(name, there, here)} there, {_said(name, here, there)} here"
        for name in before
        if name not in free and before[name] != now[name]
    ]


def _said(name: str, plan: Plan, other: Plan) -> str:
    """Return a field and its value as a user would name them."""
    stem = name.removesuffix("_sha256").removesuffix("_digest")
    value = getattr(plan, stem)
    if stem != name and value == getattr(other, stem):  # one name, two contents
        return f"{stem} {value} ({getattr(plan, name)[:12]})"
    if isinstance(value, Config):
        value = value.model_dump_json(exclude_none=True)
    return f"{stem} {'all' if value is None else value}"
