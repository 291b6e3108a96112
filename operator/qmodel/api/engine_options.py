"""What users may tell the engines: the arguments that are allowed, and the variables that are not.

An argument may undo what the operator decides or counts (address, memory, processors), or reach
files, programs, tools and the network. Engines have hundreds and gain some with each release: only
a list of what is allowed can be complete. Both engines' parsers also take other spellings than the
listed ones, which are refused: each is written in full.
"""

import re
from collections.abc import Iterable

from qmodel.api.base import cel

_FLAG_PATTERN = "^-+[A-Za-z]"
_FLAG = re.compile(_FLAG_PATTERN)
"""What parsers take for a flag; a negative number is a value."""

LLAMA_CPP_ARGUMENTS = frozenset((
    # sampling, where a request does not say it itself
    "--samplers", "--sampler-seq", "--sampling-seq", "-s", "--seed", "--temp", "--temperature",
    "--top-k", "--top-p", "--min-p", "--top-nsigma", "--top-n-sigma", "--xtc-probability",
    "--xtc-threshold", "--typical", "--typical-p", "--repeat-last-n", "--repeat-penalty",
    "--presence-penalty", "--frequency-penalty", "--dry-multiplier", "--dry-base",
    "--dry-allowed-length", "--dry-penalty-last-n", "--dry-sequence-breaker",
    "--adaptive-target", "--adaptive-decay", "--dynatemp-range", "--dynatemp-exp", "--mirostat",
    "--mirostat-lr", "--mirostat-ent", "-l", "--logit-bias", "--ignore-eos", "--grammar", "-j",
    "--json-schema",
    # where an answer ends, and what is in it
    "-n", "--predict", "--n-predict", "--keep", "--context-shift", "--no-context-shift", "-r",
    "--reverse-prompt", "-sp", "--special", "-e", "--escape", "--no-escape", "--spm-infill",
    # how a chat becomes a prompt, and an answer a message
    "--chat-template", "--chat-template-kwargs", "--reasoning-format", "-rea", "--reasoning",
    "--reasoning-effort", "--reasoning-budget", "--reasoning-budget-message",
    "--reasoning-preserve", "--no-reasoning-preserve", "--skip-chat-parsing",
    "--no-skip-chat-parsing", "--prefill-assistant", "--no-prefill-assistant",
    # the cache of a slot, within its memory
    "--cache-prompt", "--no-cache-prompt", "--cache-reuse", "-sps", "--slot-prompt-similarity",
    # what browsers may ask, and how long anybody waits
    "--cors-origins", "--cors-methods", "--cors-headers", "--cors-credentials",
    "--no-cors-credentials", "-to", "--timeout", "--sse-ping-interval",
    # what is logged and told
    "-v", "--verbose", "--log-verbose", "-lv", "--verbosity", "--log-verbosity", "--log-prefix",
    "--no-log-prefix", "--log-timestamps", "--no-log-timestamps", "--perf", "--no-perf",
    "--tags", "--warmup", "--no-warmup",
))  # fmt: skip
"""The arguments that llama-server may be given.

It has 412 and takes underscores for dashes.
"""

VLLM_ARGUMENTS = frozenset((
    "--aggregate-engine-logging", "--allow-credentials", "--allowed-headers",
    "--allowed-methods", "--allowed-origins", "--anthropic-disabled-thinking-effort",
    "--attention-backend", "--chat-template-content-format", "--cohere-format",
    "--cohere-is-reasoning-model", "--cudagraph-capture-sizes", "--cudagraph-metrics",
    "--custom-histogram-buckets", "--default-chat-template-kwargs",
    "--disable-access-log-for-endpoints", "--disable-cascade-attn", "--disable-fastapi-docs",
    "--disable-uvicorn-access-log", "--enable-auto-tool-choice",
    "--enable-force-include-usage", "--enable-mfu-metrics", "--enable-per-request-metrics",
    "--enable-prefix-caching", "--enable-prompt-tokens-details", "--enable-request-id-headers",
    "--enable-server-load-tracking", "--enable-tokenizer-info-endpoint", "--enforce-eager",
    "--exclude-tools-when-tool-choice-none", "--fingerprint-mode", "--fingerprint-value",
    "--h11-max-header-count", "--h11-max-incomplete-event-size", "--kv-cache-metrics",
    "--kv-cache-metrics-sample", "--linear-backend", "--log-error-stack", "--log-level",
    "--logprobs-mode", "--long-prefill-token-threshold", "--max-cudagraph-capture-size",
    "--max-logprobs", "--max-num-queued-reqs", "--max-num-queued-tokens", "--moe-backend",
    "--no-allow-credentials", "--no-cohere-is-reasoning-model", "--no-cudagraph-metrics",
    "--no-disable-cascade-attn", "--no-disable-fastapi-docs", "--no-disable-uvicorn-access-log",
    "--no-enable-auto-tool-choice", "--no-enable-force-include-usage",
    "--no-enable-mfu-metrics", "--no-enable-per-request-metrics", "--no-enable-prefix-caching",
    "--no-enable-prompt-tokens-details", "--no-enable-request-id-headers",
    "--no-enable-tokenizer-info-endpoint",
    "--no-exclude-tools-when-tool-choice-none", "--no-kv-cache-metrics", "--no-log-error-stack",
    "--no-return-tokens-as-token-ids", "--override-generation-config",
    "--prefix-caching-hash-algo", "--reasoning-parser", "--response-role",
    "--return-tokens-as-token-ids", "--root-path", "--scheduling-policy", "--seed",
    "--show-hidden-metrics-for-version", "--sse-keep-alive-interval", "--stream-interval",
    "--tool-call-parser", "--tool-strict-level", "--uvicorn-log-level",
))  # fmt: skip
"""The arguments that vLLM may be given.

It has 430, and takes their beginnings, underscores for dashes and keys after a dot. These change
what requests can ask for, what is logged and counted, or which kernels compute; the last are
measured anew.
"""


def refused(arguments: Iterable[str], allowed: frozenset[str]) -> list[str]:
    """Return the arguments that are not allowed; values are not arguments."""
    flags = (word for word in arguments if _FLAG.match(word))
    return [flag for flag in flags if flag not in allowed]


def argument_rule() -> dict[str, str]:
    """Return the rule of one word of `extraArgs`: a value, or allowed of one of the engines.

    Which engine will serve may depend on the source, so that the planner holds the word to that
    engine's own list.
    """
    names = sorted(LLAMA_CPP_ARGUMENTS | VLLM_ARGUMENTS)
    listed = "[" + ", ".join(f"'{name}'" for name in names) + "]"
    message = (
        "not among the arguments that engines may be given: docs/engines.md lists them, each"
        " written in full, a flag and its value as two items of the list"
    )
    rule = cel(f"!self.matches('{_FLAG_PATTERN}') || self in {listed}", message)
    return {**rule, "messageExpression": f"self + ' is {message}'"}


RESERVED_VARIABLES = (
    "^((AIP|CUDA|GGML|HF|HUGGING_FACE|LD|LLAMA|MTMD|VLLM|XDG)_|PYTHON)"
    "|VISIBLE_DEVICES$|^(HOME|MODEL_ENDPOINT|PATH)$"
)
"""Variables that stand for arguments of the engines, or name files, code, devices and hosts."""


def variable_rule() -> dict[str, str]:
    """Return the rule of one variable of `env`."""
    return cel(
        f"!self.name.matches('{RESERVED_VARIABLES}')",
        "HOME, PATH, MODEL_ENDPOINT, names that end with VISIBLE_DEVICES and names that start with"
        " AIP_, CUDA_, GGML_, HF_, HUGGING_FACE_, LD_, LLAMA_, MTMD_, VLLM_, XDG_ or PYTHON are set"
        " by the operator",
    )
