"""README.md of an artifact: what it is, for a person who finds the folder or publishes it."""

import re
from pathlib import Path

from pydantic import JsonValue

from qmodel.api.methods import Method
from qmodel.worker.companions import CARD
from qmodel.worker.manifest import MANIFEST
from qmodel.worker.parameters import PARAMETERS, Parameters
from qmodel.worker.provenance import PROVENANCE
from qmodel.worker.task import QuantizeTask, Recipe

_LICENSE = re.compile(r"^license: *([A-Za-z0-9][\w.+-]{0,63}) *$", re.MULTILINE)
_FRONT_MATTER_BYTES = 16 << 10
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def write(
    task: QuantizeTask,
    folder: Path,
    model_path: str,
    provenance: dict[str, JsonValue],
    found: Parameters | None,
) -> None:
    """Write the card of the artifact in `folder`."""
    sections = [
        _front_matter(task),
        _title(task),
        _recipe(task, provenance),
        _kept(found),
        _serving(model_path),
    ]
    card = "\n".join(section for section in sections if section)
    (folder / CARD).write_text(card, encoding="utf-8")


def described(recipe: Recipe) -> str:
    """Return a recipe in a few words, such as `AWQ, 4 bits, groups of 64, asymmetric`."""
    grouped = recipe.grid
    if recipe.gguf is not None:
        matrix = ", with an importance matrix" if recipe.gguf.importance_matrix else ""
        return f"GGUF {recipe.gguf.type}{matrix}"
    if grouped is not None:
        size = recipe.group_size
        groups = f"groups of {size}" if size > 0 else "one group a row"
        symmetry = "symmetric" if grouped.symmetric else "asymmetric"
        order = ", by activation order" if recipe.gptq and recipe.gptq.desc_act_order else ""
        return f"{recipe.method}, {grouped.bits} bits, {groups}, {symmetry}{order}"
    if recipe.bits_and_bytes is not None:
        doubled = recipe.bits_and_bytes.double_quantization
        twice = ", double quantization" if doubled else ""
        return f"bitsandbytes {recipe.bits_and_bytes.type}{twice}"
    return "as it is" if recipe.method is Method.NONE else str(recipe.method)


def _front_matter(task: QuantizeTask) -> str:
    """Return what model hubs read: the base model, and the licence that the source names."""
    lines = []
    if _REPOSITORY.fullmatch(task.source_repository):
        lines += [f"base_model: {task.source_repository}", "base_model_relation: quantized"]
    if name := _license(Path(task.source_directory) / CARD):
        lines.append(f"license: {name}")
    return "\n".join(["---", *lines, "---", ""]) if lines else ""


def _license(card: Path) -> str | None:
    """Return the licence in the source's own card."""
    if not card.is_file():
        return None
    with card.open(encoding="utf-8", errors="replace") as file:
        start = file.read(_FRONT_MATTER_BYTES)
    matter = start.split("\n---", 1)[0] if start.startswith("---") else ""
    found = _LICENSE.search(matter)
    return found[1] if found else None


def _title(task: QuantizeTask) -> str:
    return (
        f"# {task.source_repository}, {described(task.recipe)}\n\n"
        f"Made from {task.source_repository} at revision `{task.source_revision}`. The licence of"
        " the source applies. Tokenizer, chat template and generation config are the source's own,"
        " byte for byte.\n"
    )


def _recipe(task: QuantizeTask, provenance: dict[str, JsonValue]) -> str:
    """Return how it was made."""
    rows = [f"| Recipe | {described(task.recipe)} |"]
    if task.recipe.backend is not None:
        rows.append(f"| Library | {task.recipe.backend} |")
    if task.recipe.ignore:
        rows.append(f"| Kept unquantized | {', '.join(f'`{n}`' for n in task.recipe.ignore)} |")
    libraries = provenance["libraries"]
    if isinstance(libraries, dict):
        rows += [f"| {name} | {value} |" for name, value in libraries.items()]
    calibration = provenance.get("calibration")
    if isinstance(calibration, dict):
        rows.append(f"| Calibration | {_calibration(calibration)} |")
    return "\n".join(["## How it was made", "", "| | |", "|---|---|", *rows, ""])


def _calibration(facts: dict[str, JsonValue]) -> str:
    kind = "drawn by the model itself" if facts["kind"] == "SelfDrawn" else "given by the user"
    count = f"{facts['samples']} samples" if "samples" in facts else "a text"
    return f"{count} {kind}, sha256 `{facts['digest']}`"


def _kept(found: Parameters | None) -> str:
    """Return how much of the model was quantized."""
    if found is None:
        return ""
    quantized, kept = found.count(quantized=True), found.count(quantized=False)
    return (
        f"{quantized:,} weights were quantized, {kept:,} stayed as they were: `{PARAMETERS}` lists"
        " every one.\n"
    )


def _serving(model_path: str) -> str:
    """Return how to serve it, and what else lies beside it."""
    command = (
        f"llama-server --model {model_path}" if model_path.endswith(".gguf") else "vllm serve ."
    )
    return (
        f"## How to serve it\n\n```sh\n{command}\n```\n\n"
        f"`{MANIFEST}` holds the sha256 of every file, `{PROVENANCE}` the whole recipe.\n"
    )
