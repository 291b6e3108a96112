"""Every reason that a condition can have, other than success and plain work, is explained.

Reasons are read from the code: what is given to the functions that make a verdict or a failure, by
name or as it is. What the cluster says in its own words is listed here.
"""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from qmodel import planner, worker
from qmodel.api.conditions import WorkReason
from qmodel.cluster.errors import BeingDeleted, NameTaken
from qmodel.planner import invalid
from qmodel.worker.errors import StepError

REPOSITORY = Path(__file__).parents[3]
TROUBLE = {"blocked": 1, "troubled": 1, "Failed": 0, "_disturbed": 0, "Delay": 0}
"""Functions that are given a reason, and which of their arguments it is."""
SUCCESS = {"done": 1}
PROBLEMS = (
    *("experts", "feasibility", "images", "kernels", "nearness"),
    *("serving_fit", "splitting", "taken"),
)
"""Modules that answer with a reason and a message."""
OF_KUBERNETES = {
    *("ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError"),
    *("CreateContainerError", "RunContainerError", "CrashLoopBackOff", "Evicted"),
    *("Forbidden", "Invalid", "Conflict"),
}
"""Reasons of kubelets and the API server, which a condition shows as they are."""
OF_WORK = {*WorkReason, "WaitingForVolume"}
"""Reasons of work that can last longer than it should."""


def documented() -> set[str]:
    """Return the reasons in the first column of the tables."""
    text = (REPOSITORY / "docs/troubleshooting.md").read_text()
    cells = re.findall(r"^\| ([^|]*`[^|]*) \|", text, re.MULTILINE)
    return {reason for cell in cells for reason in re.findall(r"`(\w+)`", cell)}


def given(functions: dict[str, int]) -> set[str]:
    """Return the reasons that the planner gives to these functions."""
    found: set[str] = set()
    for module, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _name(node.func) in functions:
                position = functions[_name(node.func)]
                found |= set(_reasons(module, node.args[position : position + 1]))
    return found


def answered() -> set[str]:
    """Return the reasons of the problems that make a spec impossible."""
    found: set[str] = set()
    for module, tree in modules():
        if module.rpartition(".")[2] in PROBLEMS:
            returned = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return)]
            pairs = [value.elts for value in returned if isinstance(value, ast.Tuple)]
            found |= {reason for pair in pairs for reason in _reasons(module, pair[:1])}
    return found


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Yield name and source of the planner's modules."""
    for path in Path(planner.__path__[0]).glob("*.py"):
        yield f"{planner.__name__}.{path.stem}", ast.parse(path.read_text())


def reported() -> set[str]:
    """Return the reasons that a step reports."""
    classes = [StepError]
    for each in classes:
        classes.extend(each.__subclasses__())
    sources = (path.read_text() for path in Path(worker.__path__[0]).rglob("*.py"))
    literals = (re.findall(r'Failure\(reason="(\w+)"', source) for source in sources)
    return {each.reason for each in classes}.union(*literals)


def _reasons(module: str, arguments: list[ast.expr]) -> Iterator[str]:
    """Yield what an argument stands for, unless it is only known when the code runs."""
    for each in arguments:
        if isinstance(each, ast.Constant):
            yield each.value
        elif isinstance(each, ast.Name):
            value = getattr(import_module(module), each.id, None)
            if isinstance(value, str):
                yield value


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def test_every_reason_is_explained_and_nothing_else() -> None:
    refused = {NameTaken.__name__, BeingDeleted.__name__, invalid.REASON}
    known = given(TROUBLE) | answered() | reported() | refused | OF_KUBERNETES
    assert documented() >= known, sorted(known - documented())
    allowed = known | given(SUCCESS) | OF_WORK
    assert documented() <= allowed, sorted(documented() - allowed)


def test_trouble_is_never_called_by_the_name_of_work() -> None:
    assert given(TROUBLE).isdisjoint(WorkReason)


def test_reasons_are_found_wherever_they_are_written() -> None:
    assert {"Suspended", "BelowGate", "OOMKilled", "NoPod", "PodLost", "Killed"} <= given(TROUBLE)
    assert {"GroupSizeDoesNotFit", "ContextTooLong"} <= answered()
    assert {"DiskFull", "HubUnavailable", "InternalError"} <= reported()
