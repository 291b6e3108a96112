"""Arguments and variables of the engines that users may not set.

The operator decides them, or they reach files, programs and the network.
"""

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

VLLM: tuple[str, ...] = ()
"""Of vLLM's OpenAI server."""

ARGUMENTS = tuple(dict.fromkeys((*LLAMA_CPP, *VLLM)))
"""Refused whichever engine serves: what one of them does not know, it refuses anyway."""
