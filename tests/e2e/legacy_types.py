"""Runs in AutoAWQ's and in AutoGPTQ's image: the model types that the library there knows.

One JSON line, with those that its transformers knows too. Read from their source: importing either
takes longer than all the rest.
"""

import ast
import json
from importlib.util import find_spec
from pathlib import Path

TABLES = {
    "AutoAWQ": ("awq", "models/auto.py", "AWQ_CAUSAL_LM_MODEL_MAP"),
    "AutoGPTQ": ("auto_gptq", "modeling/auto.py", "GPTQ_CAUSAL_LM_MODEL_MAP"),
}
OF_TRANSFORMERS = (
    "transformers", "models/auto/modeling_auto.py", "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
)  # fmt: skip


def words(package: str, file: str, table: str) -> set[str]:
    """Return the strings of a table; nothing where the package is not installed."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return set()
    source = (Path(spec.submodule_search_locations[0]) / file).read_text()
    (found,) = (
        node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == table
    )
    constants = (node.value for node in ast.walk(found) if isinstance(node, ast.Constant))
    return {value for value in constants if isinstance(value, str)}


for backend, where in TABLES.items():
    if known := words(*where) & words(*OF_TRANSFORMERS):
        print(json.dumps({"backend": backend, "types": sorted(known)}), flush=True)
