"""Runs in the quantizer's image: the model types that its transformers loads to continue text.

One JSON line, read from the library's source: importing it takes longer than all the rest.
"""

import ast
import json
from importlib.util import find_spec
from pathlib import Path

FILE, TABLE = "models/auto/modeling_auto.py", "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES"

spec = find_spec("transformers")
source = (Path(spec.submodule_search_locations[0]) / FILE).read_text()
(table,) = (
    node.value
    for node in ast.parse(source).body
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == TABLE
)
pairs = (node for node in ast.walk(table) if isinstance(node, ast.Tuple))
types = {pair.elts[0].value for pair in pairs if isinstance(pair.elts[0], ast.Constant)}
print(json.dumps({"types": sorted(types)}), flush=True)
