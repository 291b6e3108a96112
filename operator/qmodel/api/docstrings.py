"""The texts below fields, which become `kubectl explain`.

Pydantic can keep them itself (`use_attribute_docstrings`), but then it reads every module's source
whenever one is imported: a tenth of the operator's start, for texts that only the CRD holds.
"""

import ast
import inspect
import textwrap
from itertools import pairwise


def attribute_docstrings(cls: type) -> dict[str, str]:
    """Return the text below each field of a class, those of its bases included."""
    found: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        if each.__module__.startswith("qmodel."):
            found |= _own(each)
    return found


def _own(cls: type) -> dict[str, str]:
    """Return the texts that stand in the class itself."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef)).body
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
