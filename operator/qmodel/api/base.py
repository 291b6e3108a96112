"""What every API model shares: camelCase on the wire, unknown fields refused, frozen values."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, alias_generators
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from qmodel.api.docstrings import attribute_docstrings

GROUP = "qmodel.dev"
VERSION = "v1alpha1"
KIND = "QuantizedModel"
PLURAL = "quantizedmodels"


def wire_name(field: str) -> str:
    """Return a field's name on the wire: camelCase, with KL (the divergence) as it is written."""
    return alias_generators.to_camel(field).replace("Kl", "KL")


class ApiModel(BaseModel):
    """A part of spec or status; attribute docstrings become `kubectl explain` texts."""

    model_config = ConfigDict(
        alias_generator=wire_name,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        protected_namespaces=(),
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe each field by the text below it."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for field, text in attribute_docstrings(cls).items():
            if wire_name(field) in properties:
                properties[wire_name(field)].setdefault("description", text)
        return schema

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON form: camelCase keys, nothing that is unset."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def updated(self, values: Mapping[str, Any]) -> Self:
        """Return this with other values; itself where it has them already."""
        changed = {name: value for name, value in values.items() if getattr(self, name) != value}
        return self.model_copy(update=changed) if changed else self


def cel(rule: str, message: str) -> dict[str, str]:
    """Return one entry of `x-kubernetes-validations`."""
    return {"rule": rule, "message": message}


def rules(*entries: dict[str, str]) -> dict[str, Any]:
    """Return the schema extension that carries CEL rules."""
    return {"x-kubernetes-validations": list(entries)}
