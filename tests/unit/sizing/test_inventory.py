from typing import Any

import pytest

from qmodel.api.placement import Toleration
from qmodel.api.serving import Accelerator, AcceleratorType
from qmodel.planner.observed import Node
from qmodel.sizing.inventory import (
    GPU_MEMORY_LABEL,
    GPU_PRESENT_LABEL,
    GPU_PRODUCT_LABEL,
    choose_accelerator,
)

GIB = 2**30
GPU = "nvidia.com/gpu"


def node(name: str = "a", gpus: int = 1, memory_mib: int | None = 24_576, **changes: Any) -> Node:
    labels = {} if memory_mib is None else {GPU_MEMORY_LABEL: str(memory_mib)}
    labels |= changes.pop("labels", {})
    allocatable = {"cpu": "8", "memory": "64Gi"} | ({GPU: str(gpus)} if gpus else {})
    return Node(name=name, labels=labels, allocatable=allocatable, **changes)


PLAIN = node("plain", gpus=0, memory_mib=None)
WANTS_GPU = Accelerator(type=AcceleratorType.GPU)


def test_cpu_is_cpu_whatever_the_cluster_has() -> None:
    chosen = choose_accelerator(Accelerator(type=AcceleratorType.CPU), (node(),), GIB, "k")
    assert (chosen.type, chosen.count, chosen.resource_name) == (AcceleratorType.CPU, 0, None)


def test_gpu_is_taken_as_asked_even_where_no_node_has_it() -> None:
    tolerations = [Toleration(key=GPU, operator="Exists")]
    wanted = Accelerator(
        type=AcceleratorType.GPU,
        resource_name="amd.com/gpu",
        count=2,
        node_selector={"pool": "gpu"},
        tolerations=tolerations,
    )
    chosen = choose_accelerator(wanted, (PLAIN,), GIB, "k")
    assert chosen.type is AcceleratorType.GPU
    assert (chosen.resource_name, chosen.count) == ("amd.com/gpu", 2)
    assert chosen.node_selector == {"pool": "gpu"}
    assert chosen.tolerations == tolerations


@pytest.mark.parametrize(
    ("nodes", "need_bytes", "chosen", "said"),
    [
        ((PLAIN,), GIB, AcceleratorType.CPU, "no schedulable node offers 1 x nvidia.com/gpu"),
        ((PLAIN, node()), GIB, AcceleratorType.GPU, "fits 24576 MiB"),
        ((node(),), 25 * GIB, AcceleratorType.CPU, "exceeds the largest GPU memory"),
        ((node(memory_mib=None),), GIB, AcceleratorType.CPU, "publishes its memory"),
        ((node(schedulable=False),), GIB, AcceleratorType.CPU, "no schedulable node"),
    ],
)
def test_auto_takes_a_gpu_only_where_the_estimate_fits(
    nodes: tuple[Node, ...], need_bytes: int, chosen: AcceleratorType, said: str
) -> None:
    found = choose_accelerator(Accelerator(), nodes, need_bytes, "k")
    assert found.type is chosen
    assert said in found.reason


def test_auto_adds_up_the_memory_of_the_asked_number() -> None:
    wanted = Accelerator(count=2)
    found = choose_accelerator(wanted, (node(gpus=2),), 40 * GIB, "k")
    assert (found.type, found.count) == (AcceleratorType.GPU, 2)


SMALL = node("small", memory_mib=16_384, labels={GPU_PRODUCT_LABEL: "T4"})
LARGE = node("large", memory_mib=81_920, labels={GPU_PRODUCT_LABEL: "A100"})
LARGER = node("larger", memory_mib=98_304, labels={GPU_PRODUCT_LABEL: "H100"})
UNKNOWN = node("unknown", memory_mib=None, labels={GPU_PRODUCT_LABEL: "B200"})


@pytest.mark.parametrize(
    ("nodes", "need_gib", "selector", "memory_gib"),
    [
        ((SMALL, LARGE), 8, {}, 16),
        ((SMALL, LARGE), 40, {GPU_PRODUCT_LABEL: "A100"}, 80),
        ((LARGER, SMALL, LARGE), 40, {GPU_PRODUCT_LABEL: "A100"}, 80),
        ((UNKNOWN, SMALL), 8, {GPU_PRODUCT_LABEL: "T4"}, 16),
        ((node("a", memory_mib=16_384), LARGE), 8, {}, 16),
        ((SMALL, node("b", memory_mib=81_920)), 40, {GPU_MEMORY_LABEL: "81920"}, 80),
        (
            (SMALL, node("b", memory_mib=81_920, labels={GPU_PRODUCT_LABEL: "T4"})),
            40,
            {GPU_MEMORY_LABEL: "81920"},
            80,
        ),
        ((node("small", memory_mib=16_384, schedulable=False), LARGE), 40,
         {GPU_PRODUCT_LABEL: "A100"}, 80),
        ((SMALL, PLAIN), 40, {}, 16),
    ],
)  # fmt: skip
def test_auto_admits_only_nodes_whose_gpu_fits(
    nodes: tuple[Node, ...], need_gib: int, selector: dict[str, str], memory_gib: int
) -> None:
    found = choose_accelerator(Accelerator(), nodes, need_gib * GIB, "k")
    assert found.node_selector == selector
    assert found.memory_bytes == memory_gib * GIB
    fits = need_gib <= memory_gib
    assert found.type is (AcceleratorType.GPU if fits else AcceleratorType.CPU)


@pytest.mark.parametrize(
    ("nodes", "memory_gib"), [((SMALL, LARGE), 80), ((LARGE, UNKNOWN), 0), ((PLAIN,), 0)]
)
def test_gpus_that_are_asked_for_have_the_memory_of_the_largest(
    nodes: tuple[Node, ...], memory_gib: int
) -> None:
    found = choose_accelerator(WANTS_GPU, nodes, GIB, "k")
    assert (found.node_selector, found.memory_bytes) == ({}, memory_gib * GIB)


def test_auto_keeps_to_the_node_selector() -> None:
    wanted = Accelerator(node_selector={"pool": "b"})
    assert choose_accelerator(wanted, (node(),), GIB, "k").type is AcceleratorType.CPU
    there = node(labels={"pool": "b"})
    assert choose_accelerator(wanted, (there,), GIB, "k").type is AcceleratorType.GPU


def test_the_first_pod_is_kept_near_the_gpus() -> None:
    present = {GPU_PRESENT_LABEL: "true"}
    labelled = node(labels=present)
    assert choose_accelerator(WANTS_GPU, (PLAIN, labelled), GIB, "k").node_selector == present
    assert choose_accelerator(WANTS_GPU, (node("b"), labelled), GIB, "k").node_selector == {}


def test_a_missing_gpu_is_named_with_what_the_nodes_have() -> None:
    wanted = Accelerator(type=AcceleratorType.GPU, count=4)
    chosen = choose_accelerator(wanted, (node("a"), node("b", gpus=2)), GIB, "k")
    assert chosen.reason == (
        "spec.accelerator.type is GPU; "
        "no schedulable node offers 4 x nvidia.com/gpu: they have a: 1, b: 2"
    )
    chosen = choose_accelerator(WANTS_GPU, (PLAIN,), GIB, "k")
    assert "no node has nvidia.com/gpu at all" in chosen.reason


def test_a_gpu_that_is_there_needs_no_more_words() -> None:
    chosen = choose_accelerator(WANTS_GPU, (node(),), GIB, "k")
    assert chosen.reason == "spec.accelerator.type is GPU"
    assert chosen.key == "k"
