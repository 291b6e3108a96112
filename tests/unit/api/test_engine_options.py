"""What engines may be told, held against every option of the pinned versions' parsers."""

import re
from pathlib import Path

import pytest

from qmodel.api.engine_options import (
    LLAMA_CPP_ARGUMENTS,
    RESERVED_VARIABLES,
    VLLM_ARGUMENTS,
    argument_rule,
    refused,
)
from qmodel.api.serving import Engine
from qmodel.engines import ENGINES
from unit.engines.settings import SETTINGS

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests" / "unit" / "engines" / "data"
LLAMA_CPP_FLAGS = (DATA / "llamacpp-0.3.36-flags.txt").read_text().split()
LLAMA_CPP_VARIABLES = (DATA / "llamacpp-0.3.36-variables.txt").read_text().split()
VLLM_FLAGS = (DATA / "vllm-0.32.0-flags.txt").read_text().split()
ENGINE_FLAGS = [
    (Engine.LLAMA_CPP, LLAMA_CPP_ARGUMENTS, LLAMA_CPP_FLAGS),
    (Engine.VLLM, VLLM_ARGUMENTS, VLLM_FLAGS),
]
UNDOING = [
    "--host", "--port", "--api-key", "--model", "-m", "--ctx-size", "-c", "--parallel", "-np",
    "--no-kv-offload", "-nkvo", "--override-tensor", "-ot", "--cpu-moe", "-cmoe", "--n-cpu-moe",
    "--split-mode", "-sm", "--tensor-split", "-ts", "--main-gpu", "--cpu-mask", "-C",
    "--override-kv", "--rope-scaling", "--rope-freq-base", "--yarn-orig-ctx", "--spec-type",
    "--spec-draft-model", "-md", "--embeddings", "--rerank", "--no-jinja", "--ui", "--webui",
    "--tools", "--agent", "--sleep-idle-seconds", "--log-file", "--rpc", "--numa", "--repack",
    "--backend-sampling", "--log-colors",
]  # fmt: skip


@pytest.mark.parametrize(("engine", "allowed", "flags"), ENGINE_FLAGS)
def test_what_is_allowed_is_an_option_of_the_pinned_version(
    engine: Engine, allowed: frozenset[str], flags: list[str]
) -> None:
    assert allowed <= set(flags), engine


@pytest.mark.parametrize(("engine", "allowed", "flags"), ENGINE_FLAGS)
def test_what_the_operator_says_itself_is_not_allowed(
    engine: Engine, allowed: frozenset[str], flags: list[str]
) -> None:
    said = {word for word in ENGINES[engine].server_argv(SETTINGS) if word in flags}
    harmless = {
        "--disable-uvicorn-access-log",
        "--enable-server-load-tracking",
        "--enforce-eager",
    }
    ours = said - harmless  # to say twice
    assert len(ours) > 10
    assert not ours & allowed


@pytest.mark.parametrize("flag", UNDOING)
def test_llama_cpp_is_not_given_what_undoes_a_decision(flag: str) -> None:
    assert flag in LLAMA_CPP_FLAGS
    assert refused([flag, "1"], LLAMA_CPP_ARGUMENTS) == [flag]


@pytest.mark.parametrize(("engine", "allowed", "flags"), ENGINE_FLAGS)
def test_what_is_not_allowed_is_refused_however_it_is_written(
    engine: Engine, allowed: frozenset[str], flags: list[str]
) -> None:
    for flag in (flag for flag in flags if flag not in allowed):
        beginnings = {flag[:length] for length in range(3, len(flag) + 1)} - allowed
        underscored = flag[:2] + flag[2:].replace("-", "_")
        written = [*beginnings, underscored, f"{flag}=1", f"{flag}.key"]
        assert refused(written, allowed) == written, engine


def test_values_are_no_arguments() -> None:
    assert refused(["--seed", "-1", "--tool-call-parser", "hermes"], VLLM_ARGUMENTS) == []
    assert refused(["--temp", "0.2", "--logit-bias", "15-1"], LLAMA_CPP_ARGUMENTS) == []


def test_the_api_takes_what_either_engine_may_be_given() -> None:
    listed = set(re.findall(r"'(-[^']+)'", argument_rule()["rule"]))
    assert listed == LLAMA_CPP_ARGUMENTS | VLLM_ARGUMENTS


def test_the_documentation_lists_what_is_allowed() -> None:
    text = (ROOT / "docs" / "engines.md").read_text()
    listed = set(re.findall(r"`(--?[A-Za-z][\w-]*)`", text))
    for _, allowed, _ in ENGINE_FLAGS:
        positive = {flag for flag in allowed if f"--{flag.removeprefix('--no-')}" not in allowed}
        assert positive <= listed


@pytest.mark.parametrize(
    "name",
    [
        *LLAMA_CPP_VARIABLES,
        "LLAMA_ARG_NO_KV_OFFLOAD",
        "LLAMA_CACHE",
        "GGML_BACKEND_PATH",
        "MODEL_ENDPOINT",
        "VLLM_PLUGINS",
        "CUDA_VISIBLE_DEVICES",
        "NVIDIA_VISIBLE_DEVICES",
        "ROCR_VISIBLE_DEVICES",
        "LD_PRELOAD",
        "PYTHONPATH",
        "PATH",
        "HOME",
        "XDG_CONFIG_HOME",
    ],
)
def test_variables_that_stand_for_arguments_are_not_taken(name: str) -> None:
    assert re.search(RESERVED_VARIABLES, name)


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "NCCL_DEBUG", "TZ", "MY_PATH", "HOMEPAGE"])
def test_other_variables_are_taken(name: str) -> None:
    assert not re.search(RESERVED_VARIABLES, name)
