"""The CustomResourceDefinition, from the pydantic models.

Pydantic speaks JSON Schema; the API server takes its structural subset. Defaults are left out, so
that a stored spec stays as its author wrote it and a later default reaches old resources too. Only
the number of replicas has one: the scale subresource fails where that field is absent.
"""

import json
from copy import deepcopy
from typing import Any

import yaml
from pydantic import BaseModel

from qmodel.api.base import GROUP, KIND, PLURAL, VERSION
from qmodel.api.serving import Serving
from qmodel.api.spec import QuantizedModelSpec
from qmodel.api.status import QuantizedModelStatus
from qmodel.api.volume_rules import VOLUME_RULES

Schema = dict[str, Any]

NAME = f"{PLURAL}.{GROUP}"
_REF = "#/$defs/"
_DROPPED = frozenset({"title", "default", "discriminator", "$defs", "const", "exclusiveMinimum"})

AS_IN_A_POD = frozenset({"affinity"})
"""Fields whose schema is Kubernetes' own and as long as all the rest of spec: status has them
without it, and the reference names them only."""

_ORDER = ("description", "type", "format", "required", "properties", "items")

_COLUMNS = (
    ("METHOD", "string", ".spec.quantization.method", 0),
    ("STAGE", "string", ".status.stage", 0),
    ("READY", "string", '.status.conditions[?(@.type=="Ready")].status', 0),
    ("FOOTPRINT", "string", ".status.footprintSummary", 0),
    ("ACCELERATOR", "string", ".status.acceleratorSummary", 0),
    ("ENGINE", "string", ".status.engine", 1),
    ("RATIO", "string", ".status.evaluation.perplexityRatio", 1),
    ("ENDPOINT", "string", ".status.endpoint", 1),
    ("AGE", "date", ".metadata.creationTimestamp", 0),
)
"""What `kubectl get` shows: header, type, path, and 1 for `-o wide` only."""


def custom_resource_definition() -> dict[str, Any]:
    """Return the CRD as the API server takes it."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["qm"],
                "categories": ["all"],
            },
            "scope": "Namespaced",
            "versions": [_version()],
        },
    }


def structural_schema(model: type[BaseModel]) -> Schema:
    """Return a model's schema in the API server's subset."""
    schema = model.model_json_schema(by_alias=True)
    return _structural(schema, schema.get("$defs", {}))


def to_yaml(document: dict[str, Any]) -> str:
    """Return a document as YAML, in its own order and without aliases."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Writes repeated parts out: the API server's YAML reader knows aliases, people do not."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  the base's signature
        """Return True: nothing is an alias."""
        return True


def _version() -> dict[str, Any]:
    """Return the one version that there is."""
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _root()},
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.serving.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": [_column(*column) for column in _COLUMNS],
    }


def _column(name: str, kind: str, path: str, priority: int) -> dict[str, Any]:
    """Return one printer column."""
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path}
    return column | ({"priority": priority} if priority else {})


def _root() -> Schema:
    """Return the schema of the whole resource."""
    return {
        "description": "A large language model, quantized as asked, measured and served.",
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": _with_replicas(structural_schema(QuantizedModelSpec)),
            "status": _without_rules(structural_schema(QuantizedModelStatus)),
        },
        **VOLUME_RULES,
    }


def _with_replicas(spec: Schema) -> Schema:
    """Return the schema of spec with the default that `kubectl scale` needs."""
    serving = spec["properties"]["serving"]
    serving["default"] = {}
    serving["properties"]["replicas"]["default"] = Serving().replicas
    return spec


def _without_rules(schema: Schema) -> Schema:
    """Return a schema without CEL: a rule is for people, and status copies parts of spec."""
    kept = {key: value for key, value in schema.items() if key != "x-kubernetes-validations"}
    for key in ("items", "additionalProperties"):
        if key in kept:
            kept[key] = _without_rules(kept[key])
    if "properties" in kept:
        kept["properties"] = {
            name: _opaque(each) if name in AS_IN_A_POD else _without_rules(each)
            for name, each in kept["properties"].items()
        }
    return kept


def _opaque(schema: Schema) -> Schema:
    """Return the schema of an object that is taken as it is."""
    described = {"description": schema["description"], "type": "object"}
    return {**described, "x-kubernetes-preserve-unknown-fields": True}


def _structural(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Return one schema with references resolved and everything below it transformed."""
    flat = _without_null(_resolved(schema, definitions), definitions)
    result = {key: value for key, value in flat.items() if key not in _DROPPED}
    _translate_numbers(flat, result)
    if "const" in flat:
        result["enum"] = [flat["const"]]
    if "description" in result:
        result["description"] = _explained(flat)
    if "properties" in result:
        result["properties"] = {
            name: _structural(each, definitions) for name, each in flat["properties"].items()
        }
    if "items" in result:
        result["items"] = _structural(flat["items"], definitions)
    _translate_map(result, definitions)
    return dict(sorted(result.items(), key=_place))


def _explained(flat: Schema) -> str:
    """Return a description on one line, with the default that the schema does not carry."""
    text = " ".join(flat["description"].split())
    default = flat.get("default")
    if default is None or isinstance(default, (dict, list)) or default == "":
        return text
    return f"{text} Default: {json.dumps(default).strip(chr(34))}."


def _place(item: tuple[str, Any]) -> int:
    """Return where a keyword stands: what a person reads comes first."""
    return _ORDER.index(item[0]) if item[0] in _ORDER else len(_ORDER)


def _resolved(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Return a schema with its reference replaced; what stands beside the reference wins."""
    if "$ref" not in schema:
        return schema
    target = definitions[schema["$ref"].removeprefix(_REF)]
    beside = {key: value for key, value in schema.items() if key != "$ref"}
    return _resolved({**deepcopy(target), **beside}, definitions)


def _without_null(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Return the schema of an optional field as the schema of its value: absent is not null."""
    if "anyOf" not in schema:
        return schema
    values = [each for each in schema["anyOf"] if each.get("type") != "null"]
    if len(values) != 1:
        message = f"only optional values can be a union: {schema['anyOf']}"
        raise ValueError(message)
    beside = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**_resolved(values[0], definitions), **beside}


def _translate_numbers(flat: Schema, result: Schema) -> None:
    """Bring bounds into the form of OpenAPI 3.0, and name the width of integers."""
    if flat.get("type") == "integer":
        result["format"] = "int64"
        if "exclusiveMinimum" in flat:
            result["minimum"] = flat["exclusiveMinimum"] + 1


def _translate_map(result: Schema, definitions: dict[str, Schema]) -> None:
    """Keep the value schema of maps; unknown fields of objects are refused without a word here."""
    values = result.pop("additionalProperties", None)
    if isinstance(values, dict):
        result["additionalProperties"] = _structural(values, definitions)
