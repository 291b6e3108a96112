import re
from collections.abc import Iterator
from typing import Any

import pytest

from qmodel.api.crd import custom_resource_definition, to_yaml

VERSION = custom_resource_definition()["spec"]["versions"][0]
SCHEMA: dict[str, Any] = VERSION["schema"]["openAPIV3Schema"]
SPEC = SCHEMA["properties"]["spec"]
STATUS = SCHEMA["properties"]["status"]


def walk(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, each in schema.get("properties", {}).items():
        yield from walk(each, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from walk(schema[key], f"{path}[]")


EVERYTHING = [*walk(SPEC, "spec"), *walk(STATUS, "status")]


@pytest.mark.parametrize(("path", "schema"), EVERYTHING, ids=[path for path, _ in EVERYTHING])
def test_every_field_is_structural(path: str, schema: dict[str, Any]) -> None:
    foreign = {"$ref", "anyOf", "allOf", "title", "const", "$defs", "exclusiveMinimum"}
    assert not foreign & schema.keys(), path
    assert schema["type"] in {"object", "array", "string", "integer", "number", "boolean"}


@pytest.mark.parametrize(
    ("path", "schema"), list(walk(SPEC, "spec")), ids=[path for path, _ in walk(SPEC, "spec")]
)
def test_everything_that_users_write_is_bounded_and_explained(
    path: str, schema: dict[str, Any]
) -> None:
    if schema["type"] == "string":
        assert "maxLength" in schema or "enum" in schema, path
    if schema["type"] == "array":
        assert {"maxItems", "x-kubernetes-list-type"} <= schema.keys(), path
    if "additionalProperties" in schema:
        assert "maxProperties" in schema, path
    if schema["type"] == "integer":
        assert "enum" in schema or {"minimum", "maximum"} <= schema.keys(), path
    if not path.endswith("[]"):
        assert schema.get("description"), path


def test_only_what_the_scale_subresource_reads_has_a_default() -> None:
    defaults = {path: schema["default"] for path, schema in EVERYTHING if "default" in schema}
    assert defaults == {"spec.serving": {}, "spec.serving.replicas": 1}


def test_only_source_and_method_are_required() -> None:
    assert SPEC["required"] == ["source", "quantization"]
    assert SPEC["properties"]["quantization"]["required"] == ["method"]


def test_status_has_no_rules_that_could_refuse_a_write() -> None:
    assert not [path for path, s in walk(STATUS, "status") if "x-kubernetes-validations" in s]


def optional_fields(schema: dict[str, Any], place: str) -> Iterator[str]:
    """Yield the fields below an object that may be absent, by their paths in its rules."""
    for name, each in schema.get("properties", {}).items():
        if name not in schema.get("required", ()):
            yield f"{place}.{name}"
        yield from optional_fields(each, f"{place}.{name}")


@pytest.mark.parametrize(
    ("schema", "rule"),
    [
        pytest.param(schema, rule["rule"], id=f"{path}: {rule['rule'][:40]}")
        for path, schema in walk(SCHEMA, "resource")
        for rule in schema.get("x-kubernetes-validations", ())
    ],
)
def test_a_rule_asks_whether_a_field_is_there_before_it_reads_it(
    schema: dict[str, Any], rule: str
) -> None:
    for field in optional_fields(schema, "self"):
        read = re.search(rf"(?<!has\(){re.escape(field)}\b", rule)
        asked = re.search(rf"has\({re.escape(field)}\)", rule)
        assert read is None or (asked is not None and asked.start() < read.start()), field


def test_what_a_volume_cannot_follow_is_kept_by_rules_that_see_the_spec_before() -> None:
    kept = {
        field: rule["rule"]
        for rule in SCHEMA["x-kubernetes-validations"]
        for field in ("accessMode", "storageClassName")
        if f"storage.{field} cannot change" in rule["message"]
    }
    assert kept.keys() == {"accessMode", "storageClassName"}
    for field, rule in kept.items():
        assert "has(oldSelf.status.claimUid)" in rule
        assert f"oldSelf.spec.storage.{field}" in rule


def test_status_keeps_affinity_as_it_is_and_spec_is_held_to_a_schema() -> None:
    known = {path for path, _ in EVERYTHING if ".affinity" in path}
    assert "spec.serving.podTemplate.affinity.nodeAffinity" in known
    template = STATUS["properties"]["rollout"]["properties"]["podTemplate"]["properties"]
    assert template["affinity"]["x-kubernetes-preserve-unknown-fields"]
    assert "properties" not in template["affinity"]


def test_conditions_and_steps_merge_by_key() -> None:
    properties = STATUS["properties"]
    assert properties["conditions"]["x-kubernetes-list-map-keys"] == ["type"]
    assert properties["steps"]["x-kubernetes-list-map-keys"] == ["name"]


def test_columns() -> None:
    columns = VERSION["additionalPrinterColumns"]
    narrow = [c["name"] for c in columns if not c.get("priority")]
    assert narrow == ["METHOD", "STAGE", "READY", "FOOTPRINT", "ACCELERATOR", "AGE"]
    assert {c["name"] for c in columns} - set(narrow) == {"ENGINE", "RATIO", "ENDPOINT"}


def test_the_paths_of_columns_and_scale_exist() -> None:
    scale = VERSION["subresources"]["scale"]
    columns = [c["jsonPath"] for c in VERSION["additionalPrinterColumns"]]
    for path in [*columns, *scale.values()]:
        place = SCHEMA
        steps = path.split("[")[0].strip(".").split(".")
        if steps[0] == "metadata":
            continue
        for step in steps:
            place = place["properties"][step]


def test_yaml_repeats_instead_of_pointing() -> None:
    assert "*id" not in to_yaml(custom_resource_definition())


def test_only_bits_that_can_be_served_are_offered() -> None:
    quantization = SPEC["properties"]["quantization"]["properties"]
    assert quantization["gptq"]["properties"]["bits"]["enum"] == [4, 8]
    assert quantization["awq"]["properties"]["bits"]["enum"] == [4]
