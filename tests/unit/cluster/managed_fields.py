"""Who holds which field of an object, as the API server keeps it for server-side apply.

A field that an apply leaves out goes only if nobody else holds it: neither another manager, nor the
same one by an Update. That the real one does so is proven in tests/integration.
"""

import json
from copy import deepcopy
from typing import Any

from qmodel.naming import MANAGER

Object = dict[str, Any]
Path = tuple[str, ...]

KEYS = {"f:ownerReferences": "uid", "f:containers": "name", "f:env": "name"}
"""Lists whose items are held one by one, and by which field they are told apart."""
NOT_HELD = ("apiVersion", "kind", "metadata")
META_NOT_HELD = ("name", "namespace", "uid", "resourceVersion", "managedFields")


def created(body: Object) -> Object:
    """Return an object whose fields are all held by the Update that creates it."""
    body = deepcopy(body)
    body["metadata"]["managedFields"] = [_entry("Update", _paths(_held(body)))]
    return body


def applied(found: Object, body: Object) -> Object:
    """Return an object after an apply by the operator."""
    body, found = _held(body), deepcopy(found)
    managed = found["metadata"].get("managedFields", [])
    others = [e for e in managed if (e["manager"], e["operation"]) != (MANAGER, "Apply")]
    before = {path for e in managed if e not in others for path in _flat(e["fieldsV1"])}
    kept = {path for e in others for path in _flat(e["fieldsV1"])}
    now = _paths(body)
    for path in sorted(before - kept - now, key=_order):
        _remove(found, path)
    found = _merged(found, body, "")
    found["metadata"]["managedFields"] = [_entry("Apply", now), *others]
    return found


def updated(found: Object, body: Object) -> Object:
    """Return an object after a patch by the operator, which holds what it changed by an Update.

    A patch of managedFields itself is taken as it is.
    """
    managed = body["metadata"].get("managedFields", [])
    if managed != found["metadata"].get("managedFields", []):
        return body
    changed = {f: v for f, v in body["spec"].items() if v != found["spec"].get(f)}
    held = _flat(next((e["fieldsV1"] for e in managed if _is_our_update(e)), {})) - {()}
    entry = _entry("Update", held | {("f:spec", *path) for path in _paths(changed)})
    body["metadata"]["managedFields"] = [*(e for e in managed if not _is_our_update(e)), entry]
    return body


def _is_our_update(entry: Object) -> bool:
    return (entry["manager"], entry["operation"]) == (MANAGER, "Update")


def _order(path: Path) -> tuple[bool, Path]:
    """Return what has the fields that tell items apart go last."""
    return path[-1].removeprefix("f:") in KEYS.values(), path


def _entry(operation: str, paths: set[Path]) -> Object:
    tree: Object = {}
    for path in paths:
        node = tree
        for name in path:
            node = node.setdefault(name, {})
    return {"manager": MANAGER, "operation": operation, "fieldsV1": tree}


def _flat(tree: Object) -> set[Path]:
    """Return the leaves of a FieldsV1 tree."""
    if not tree:
        return {()}
    return {(name, *rest) for name, below in tree.items() for rest in _flat(below)}


def _held(body: Object) -> Object:
    """Return the part of an object that somebody holds."""
    meta = {k: v for k, v in body["metadata"].items() if k not in META_NOT_HELD}
    rest = {k: v for k, v in body.items() if k not in NOT_HELD}
    return deepcopy({**rest, "metadata": meta})


def _parts(value: Any, name: str) -> dict[str, Any]:
    """Return what is held one by one within a value; nothing if it is held as a whole."""
    if isinstance(value, dict):
        return {f"f:{key}": part for key, part in value.items()}
    if isinstance(value, list) and name in KEYS:
        return {f"k:{json.dumps({KEYS[name]: item[KEYS[name]]})}": item for item in value}
    return {}


def _paths(value: Any, name: str = "") -> set[Path]:
    parts = _parts(value, name)
    if not parts:
        return {()}
    return {(key, *rest) for key, part in parts.items() for rest in _paths(part, key)}


def _remove(value: Any, path: Path) -> None:
    """Remove a field; what is left empty goes too."""
    name, *rest = path
    if isinstance(value, list):
        key = json.loads(name.removeprefix("k:"))
        below = next((item for item in value if key.items() <= item.items()), None)
    else:
        key = name.removeprefix("f:")
        below = value.get(key)
    if below is None:
        return
    if rest:
        _remove(below, tuple(rest))
    if not rest or not below:
        value.remove(below) if isinstance(value, list) else value.pop(key)


def _merged(found: Any, wanted: Any, name: str) -> Any:
    """Return a value with what is wanted of it."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        merged = {key: _merged(found.get(key), wanted[key], f"f:{key}") for key in wanted}
        return {**found, **merged}
    if isinstance(found, list) and name in KEYS:
        items = _parts(found, name)
        items |= {key: _merged(items.get(key), w, key) for key, w in _parts(wanted, name).items()}
        return list(items.values())
    return wanted
