"""Arguments and variables of the engines that users may not set.

The operator decides them, or they reach files, programs and the network.
"""

import re
from collections.abc import Iterable

_FLAG = re.compile(r"-+[A-Za-z]")
"""What argparse takes for a flag; a negative number is a value."""

LLAMA_CPP = (
    # what is served, under which name
    "-m", "--model", "-mu", "--model-url", "-hf", "-hfr", "--hf-repo", "-hff", "--hf-file",
    "-hft", "--hf-token", "-dr", "--docker-repo", "-cl", "--cache-list", "--models-dir",
    "--models-preset", "--models-max", "-a", "--alias", "--lora", "--lora-scaled",
    "--control-vector", "--control-vector-scaled", "-mm", "--mmproj", "-mmu", "--mmproj-url",
    "-md", "--model-draft", "--spec-draft-model", "-hfd", "-hfrd", "--hf-repo-draft",
    "--spec-draft-hf", "--embd-gemma-default", "--fim-qwen-1.5b-default",
    "--fim-qwen-3b-default", "--fim-qwen-7b-default", "--fim-qwen-7b-spec",
    "--fim-qwen-14b-spec", "--fim-qwen-30b-default", "--gpt-oss-20b-default",
    "--gpt-oss-120b-default", "--vision-gemma-4b-default", "--vision-gemma-12b-default",
    # where it listens, and who may ask
    "--host", "--port", "--reuse-port", "--path", "--api-prefix", "--ssl-key-file",
    "--ssl-cert-file", "--api-key", "--api-key-file", "--metrics", "--props", "--slots",
    # files, programs and other servers
    "-f", "--file", "-bf", "--binary-file", "--grammar-file", "-jf", "--json-schema-file",
    "--chat-template-file", "--slot-save-path", "--media-path", "--video-ffmpeg-dir",
    "-lcs", "--lookup-cache-static", "-lcd", "--lookup-cache-dynamic", "--log-file",
    "--log-prompts-dir", "--ui-config-file", "--webui-config-file", "--ui-mcp-proxy",
    "--webui-mcp-proxy", "--tools", "--tools-runtime", "--mcp-servers-config",
    "--mcp-servers-json", "-ag", "--agent", "--rpc",
    # memory and processors, which are measured and sized
    "-c", "--ctx-size", "-np", "--parallel", "-kvu", "--kv-unified", "-no-kvu",
    "--no-kv-unified", "--kv-unified-per-slot", "-b", "--batch-size", "-ub", "--ubatch-size",
    "-ctk", "--cache-type-k", "-ctv", "--cache-type-v", "-fa", "--flash-attn", "-cram",
    "--cache-ram", "-ctxcp", "--ctx-checkpoints", "--swa-checkpoints", "--swa-full", "-fit",
    "--fit", "-fitt", "--fit-target", "-fitc", "--fit-ctx", "-lm", "--load-mode", "-lzm",
    "--lazy-mode", "--mmap", "--no-mmap", "--mlock", "-dev", "--device", "-ngl",
    "--gpu-layers", "--n-gpu-layers", "-t", "--threads", "-tb", "--threads-batch",
    "--threads-http",
    # the log that a measurement reads
    "--log-disable", "--log-jsonl",
    # what ends at once
    "-h", "--help", "--usage", "--version", "--list-devices", "--completion-bash",
)  # fmt: skip
"""Of llama-server."""

VLLM = (
    # what is served, under which name, how it is read
    "--model", "--served-model-name", "--tokenizer", "--revision", "--hf-overrides", "--hf-token",
    "--load-format", "--download-dir", "--quantization", "-q", "--dtype", "--generation-config",
    "--chat-template", "--lora-modules", "--enable-lora", "--speculative-config", "-sc",
    # where it listens, and who may ask
    "--host", "--port", "--uds", "--api-key", "--ssl-keyfile", "--ssl-certfile", "--ssl-ca-certs",
    # code, files and other servers
    "--trust-remote-code", "--worker-cls", "--worker-extension-cls", "--scheduler-cls",
    "--middleware", "--logits-processors", "--io-processor-plugin", "--tool-parser-plugin",
    "--reasoning-parser-plugin", "--config", "--additional-config", "--compilation-config", "-cc",
    "--kv-transfer-config", "--allowed-local-media-path", "--tool-server", "--enable-log-requests",
    # memory and processors, which are measured and sized
    "--max-model-len", "--max-num-seqs", "--max-num-batched-tokens", "--kv-cache-memory-bytes",
    "--kv-cache-dtype", "--gpu-memory-utilization", "--num-gpu-blocks-override", "--block-size",
    "--cpu-offload-gb", "--tensor-parallel-size", "-tp", "--pipeline-parallel-size", "-pp",
    "--data-parallel-size", "-dp",
)  # fmt: skip
"""Of vLLM's OpenAI server, those that people are likeliest to try."""

VLLM_ALLOWED = frozenset((
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
    "--no-enable-server-load-tracking", "--no-enable-tokenizer-info-endpoint",
    "--no-exclude-tools-when-tool-choice-none", "--no-kv-cache-metrics", "--no-log-error-stack",
    "--no-return-tokens-as-token-ids", "--override-generation-config",
    "--prefix-caching-hash-algo", "--reasoning-parser", "--response-role",
    "--return-tokens-as-token-ids", "--root-path", "--scheduling-policy", "--seed",
    "--show-hidden-metrics-for-version", "--sse-keep-alive-interval", "--stream-interval",
    "--tool-call-parser", "--tool-strict-level", "--uvicorn-log-level",
))  # fmt: skip
"""The arguments that vLLM may be given.

It has 430, accepts their beginnings, underscores for dashes and keys after a dot, and gains some
with each release: only a list of what is allowed can be complete. These change what requests can
ask for, what is logged and counted, or which kernels compute; the last are measured anew.
"""


def refused_by_vllm(arguments: Iterable[str]) -> list[str]:
    """Return the arguments that vLLM may not be given; values are not arguments."""
    flags = (word for word in arguments if _FLAG.match(word))
    return [flag for flag in flags if flag not in VLLM_ALLOWED]


ARGUMENTS = tuple(dict.fromkeys((*LLAMA_CPP, *VLLM)))
"""Refused whichever engine serves: what one of them does not know, it refuses anyway."""
