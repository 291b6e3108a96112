"""Makes the repositories of the test hub: real, small, and each kind of bad one."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf

from cluster.commands import locked
from model import checkpoint, quantized, source, tensors, tiny

READER = "hf_reader"
"""A token that may read the gated repository; STRANGER is known, but may not."""
STRANGER = "hf_stranger"

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
WHOLE_VOCABULARY = tiny.Shape(vocabulary=49152)
LLAMA = "meta-llama/Meta-Llama-3-8B-Instruct"
SAMPLE_GGUF = "HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF"
"""Repositories that the sample manifests name; what is in them here is smaller."""
SETTINGS = {
    "tokens": {READER: ["test/gated", LLAMA], STRANGER: []},
    "repositories": {
        "test/tiny": {"refs": ["v1"]},
        "test/gated": {"gated": True},
        LLAMA: {"gated": True},
        "test/bad-checksum": {"sha256": {"model.safetensors": "0" * 64}},
    },
}


def write(root: Path) -> Path:
    """Write every repository of `REPOSITORIES` below the folder, and who may read them."""
    for name, maker in REPOSITORIES.items():
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        maker(folder)
    (root / "repositories.json").write_text(json.dumps(SETTINGS, indent=2) + "\n")
    return root


def real(out: Path) -> None:
    """SmolLM2-135M-Instruct in bfloat16."""
    for path in checkpoint.make().iterdir():
        link(path, out / path.name)


def few_layers(out: Path) -> None:
    """The first three layers of the same model, for methods and engines that take long."""
    checkpoint.write(gguf.GGUFReader(source.gguf_file()), out, layers=3)


def base(out: Path) -> None:
    """The same as a base model has it: without a chat template."""
    few_layers(out)
    path = out / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    del settings["chat_template"]
    path.write_text(json.dumps(settings, indent=2) + "\n")


def real_gguf(out: Path) -> None:
    """The same model as its one GGUF file."""
    path = source.gguf_file()
    link(path, out / path.name)


def two_gguf_files(out: Path) -> None:
    """The same file under the name that a sample picks, beside one that it does not."""
    for name in ("q4_k_m", "q8_0"):
        link(source.gguf_file(), out / f"smollm2-1.7b-instruct-{name}.gguf")


def random(out: Path) -> Path:
    """A random Llama that everything works on."""
    with_tokenizer(out)
    return tiny.write(out, WHOLE_VOCABULARY)


def gptq(out: Path) -> Path:
    """The random Llama as GPTQ."""
    with_tokenizer(out)
    return quantized.write_gptq(out, WHOLE_VOCABULARY)


def gptq_of_its_own_name(out: Path) -> None:
    """The same as AutoGPTQ named files, with a configuration of its own beside config.json."""
    with_tokenizer(out)
    quantized.write_gptq(out, WHOLE_VOCABULARY, "gptq_model-4bit-64g")
    config = json.loads((out / "config.json").read_text())
    recipe = config.pop("quantization_config")
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (out / "quantize_config.json").write_text(json.dumps(recipe, indent=2) + "\n")


def awq(out: Path) -> Path:
    """The random Llama as AWQ."""
    with_tokenizer(out)
    return quantized.write_awq(out, WHOLE_VOCABULARY)


def with_tokenizer(out: Path) -> None:
    """Put the tokenizer of SmolLM2 there."""
    for name in TOKENIZER_FILES:
        link(checkpoint.make() / name, out / name)


def long_context(out: Path) -> None:
    """The random Llama with the context of a large one."""
    random(out)
    change_config(out, max_position_embeddings=8192)


def sharded(out: Path) -> None:
    """The random Llama in two files with an index."""
    random(out)
    (out / "model.safetensors").unlink()
    weights = tiny.weights(WHOLE_VOCABULARY)
    names = list(weights)
    shards = {"model-00001-of-00002.safetensors": names[:1]}
    shards["model-00002-of-00002.safetensors"] = names[1:]
    for file, members in shards.items():
        tensors.write_safetensors(out / file, {name: weights[name] for name in members})
    index = {name: file for file, members in shards.items() for name in members}
    size = 2 * sum(values.size for values in weights.values())
    write_index(out, {"metadata": {"total_size": size}, "weight_map": index})


def pickle_only(out: Path) -> None:
    """Weights that only unpickling could read."""
    tiny.write(out)
    (out / "model.safetensors").rename(out / "pytorch_model.bin")


def remote_code(out: Path) -> None:
    """A model whose class is Python code of the repository."""
    tiny.write(out)
    classes = {"AutoModelForCausalLM": "modeling_custom.CustomForCausalLM"}
    change_config(out, auto_map=classes, model_type="custom", architectures=["CustomForCausalLM"])
    (out / "modeling_custom.py").write_text('raise SystemExit("remote code was run")\n')


def unsupported(out: Path) -> None:
    """An architecture that no converter knows."""
    tiny.write(out)
    change_config(out, model_type="nosuch", architectures=["NoSuchForCausalLM"])


def truncated(out: Path) -> None:
    """Weights that end before their header says."""
    tiny.write(out)
    path = out / "model.safetensors"
    os.truncate(path, path.stat().st_size * 3 // 5)


def contradiction(out: Path) -> None:
    """A config of other widths than the tensors have."""
    tiny.write(out)
    change_config(out, hidden_size=512)


def absurd(out: Path) -> None:
    """A config that asks for more than any machine has."""
    tiny.write(out)
    change_config(out, num_hidden_layers=10**9, max_position_embeddings=10**15)


def climbing(out: Path) -> None:
    """An index that names a file outside the repository."""
    tiny.write(out)
    weight_map = dict.fromkeys(tiny.weights(tiny.Shape()), "../../../etc/passwd")
    write_index(out, {"metadata": {}, "weight_map": weight_map})


REPOSITORIES: dict[str, Callable[[Path], object]] = {
    "HuggingFaceTB/SmolLM2-135M-Instruct": real,
    "HuggingFaceTB/SmolLM2-135M-Instruct-GGUF": real_gguf,
    "test/smollm2-3-layers": few_layers,
    "test/base": base,
    SAMPLE_GGUF: two_gguf_files,
    LLAMA: long_context,
    "test/tiny": random,
    "test/sharded": sharded,
    "test/gptq": gptq,
    "test/gptq-named": gptq_of_its_own_name,
    "test/awq": awq,
    "test/gated": random,
    "test/bad-checksum": random,
    "test/pickle-only": pickle_only,
    "test/remote-code": remote_code,
    "test/unsupported-architecture": unsupported,
    "test/truncated": truncated,
    "test/contradiction": contradiction,
    "test/absurd-config": absurd,
    "test/climbing-index": climbing,
}


def change_config(out: Path, **changes: Any) -> None:
    """Change members of a repository's config.json."""
    path = out / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes, indent=2) + "\n")


def write_index(out: Path, index: dict[str, Any]) -> None:
    """Write the index of a sharded checkpoint."""
    (out / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def link(path: Path, target: Path) -> None:
    """Make a file appear at another place without using its space again, where that can be."""
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(path)
    except OSError:
        shutil.copy(path, target)


def image_context() -> Path:
    """Return the folder to build the test hub's image from, making what is missing."""
    makers = [Path(module.__file__ or "") for module in (checkpoint, quantized, tiny, tensors)]
    target = source.folder("hub", Path(__file__), *makers)
    with locked(target.with_suffix(".lock")):
        if not (target / "repositories").exists():
            scratch = target / "partial"
            shutil.rmtree(scratch, ignore_errors=True)
            write(scratch).rename(target / "repositories")
        hub = source.HERE.parent / "hub"
        _synchronise(hub, target / "hub")
    return target


def _synchronise(code: Path, target: Path) -> None:
    """Make the folder hold the code and nothing else."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(code, target, ignore=shutil.ignore_patterns("__pycache__"))
