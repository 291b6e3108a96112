"""What quantities may be, wherever spec has one."""

import pytest
from pydantic import TypeAdapter, ValidationError

from qmodel.api.quantities import ByteQuantity, CPUQuantity, bytes_of

BYTES: TypeAdapter[str] = TypeAdapter(ByteQuantity)
CPU: TypeAdapter[str] = TypeAdapter(CPUQuantity)
LARGEST_INTEGER = 2**63 - 1
"""What status can hold."""


@pytest.mark.parametrize("text", ["1Mi", "1024Ki", "0.5Gi", "5G", "1048576", "2P", "8Pi", "8192Ti"])
def test_bytes_that_are_taken(text: str) -> None:
    assert BYTES.validate_python(text) == text
    assert bytes_of(text) * 1000 < LARGEST_INTEGER


@pytest.mark.parametrize("text", ["0", "0Gi", "1", "1m", "1000m", "1023Ki", "9Pi", "20000000Ti"])
def test_bytes_out_of_bounds_are_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="must be between 1Mi and 8Pi bytes"):
        BYTES.validate_python(text)


@pytest.mark.parametrize("text", ["1m", "500m", "0.5", "64", "4096"])
def test_cpus_that_are_taken(text: str) -> None:
    assert CPU.validate_python(text) == text


@pytest.mark.parametrize("text", ["0", "0.0001", "4097", "16Gi", "5k"])
def test_cpus_out_of_bounds_are_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="must be between 1m and 4096 CPUs"):
        CPU.validate_python(text)


@pytest.mark.parametrize("text", ["huge", "-1Gi", "1gb", "", "1Ei"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="pattern"):
        BYTES.validate_python(text)
