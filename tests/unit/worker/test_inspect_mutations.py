"""A good model with a few bytes or values changed: it passes, or is refused; nothing else."""

import json
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hostile import good
from qmodel.api.methods import Method
from qmodel.worker.errors import StepError
from qmodel.worker.inspect import inspect
from qmodel.worker.sources.folder import Folder
from qmodel.worker.task import FolderSource

VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1e308, float("inf"), "", "text", [], [1], [[]], [None], {}, {"a": [{}]},
    10**30,
)  # fmt: skip
MORE = {
    "architectures": ["Gemma3ForCausalLM", "LlamaForCausalLM"],
    "attn_config": {"kv_n_heads": 2},
    "intermediate_size": [128, 128],
    "kv_lora_rank": None,
    "layer_types": ["full_attention", "sliding_attention"],
    "num_kv_shared_layers": 1,
    "num_local_experts": 2,
    "rope_parameters": {"factor": 2.0},
    "sliding_window": 16,
    "text_config": {"vocab_size": 128},
    "quantization_config": {
        "quant_method": "compressed-tensors",
        "config_groups": {"group_0": {"weights": {"num_bits": 4}, "targets": ["Linear"]}},
        "ignore": ["lm_head"],
    },
}
TOKENIZER = {
    "added_tokens_decoder": {"1": {"content": "x"}},
    "auto_map": {},
    "chat_template": [{"name": "default", "template": "{{ messages }}"}],
    "tokenizer_class": "LlamaTokenizer",
}


def changed(document: dict[str, Any], chance: random.Random) -> bytes:
    """Return a document with one or two of its values, at any depth, replaced."""
    copy = json.loads(json.dumps(document))
    for _ in range(chance.randint(1, 2)):
        places, waiting = [], [copy]
        while waiting:
            value = waiting.pop()
            inner = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
            places += [(value, key) for key, _ in inner]
            waiting += [item for _, item in inner if isinstance(item, dict | list)]
        holder, key = chance.choice(places)
        holder[key] = json.loads(json.dumps(chance.choice(VALUES)))
    return json.dumps(copy).encode()


def bitten(content: bytes, length: int, chance: random.Random) -> bytes:
    """Return bytes of which one to three, among the first, are others."""
    found = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        found[chance.randrange(length)] = chance.randrange(256)
    return bytes(found)


def mutations(folder: Path, chance: random.Random) -> dict[str, bytes]:
    """Return one changed file of each kind."""
    weights = (folder / "model.safetensors").read_bytes()
    length = 8 + int.from_bytes(weights[:8], "little")
    config = json.loads((folder / "config.json").read_text()) | MORE
    lying = good.safetensors(changed(good.header(folder), chance), len(weights) - length)
    return {
        "config.json": changed(config, chance),
        "tokenizer_config.json": changed(TOKENIZER, chance),
        "model.safetensors": chance.choice([lying, bitten(weights, length, chance)]),
        "m.gguf": bitten(good.gguf(), 2500, chance),
    }


@pytest.mark.parametrize("seed", range(25))
def test_a_mutation_passes_or_is_refused(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  nothing secret
    for name, content in mutations(good.write(tmp_path / "good"), chance).items():
        folder = good.write(tmp_path / name)
        (folder / name).write_bytes(content)
        path = folder / name if name.endswith(".gguf") else folder
        with suppress(StepError):
            inspect(Folder(FolderSource(path=str(path))), Method.NONE)
