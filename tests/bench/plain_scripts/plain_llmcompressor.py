"""Methods as llm-compressor's examples have them: METHOD SOURCE OUT, and SAMPLES to calibrate with.

`nearest-symmetric` and `nearest-asymmetric` round every weight to the nearest of its 4-bit levels.
"""

import json
import sys
from pathlib import Path

import torch
from datasets import Dataset
from llmcompressor import oneshot
from llmcompressor.modifiers.gptq import GPTQModifier
from llmcompressor.modifiers.quantization import QuantizationModifier
from llmcompressor.modifiers.transform.awq import AWQModifier
from llmcompressor.modifiers.transform.smoothquant import SmoothQuantModifier
from llmcompressor.pipelines.cache import IntermediatesCache
from transformers import AutoModelForCausalLM, AutoTokenizer

ROW_TOKENS = 512
CALIBRATED = {"awq", "gptq", "int8"}

# AWQ pins memory, which torch refuses where there is no accelerator: everybody has to do this.
if not torch.accelerator.is_available():
    IntermediatesCache.pin_memory = lambda *_, **__: None


def four_bits(*, symmetric: bool) -> dict:
    weights = {
        "num_bits": 4,
        "type": "int",
        "symmetric": symmetric,
        "strategy": "group",
        "group_size": 64,
    }
    return {"group_0": {"targets": ["Linear"], "weights": weights}}


def nearest(*, symmetric: bool) -> list[QuantizationModifier]:
    groups = four_bits(symmetric=symmetric)
    return [QuantizationModifier(config_groups=groups, ignore=["lm_head"])]


def preset(scheme: str) -> QuantizationModifier:
    return QuantizationModifier(targets=["Linear"], scheme=scheme, ignore=["lm_head"])


method, source, out, *samples = sys.argv[1:]
recipe = {
    "awq": lambda: [
        AWQModifier(),
        *nearest(symmetric=False),
    ],
    "gptq": lambda: [
        GPTQModifier(config_groups=four_bits(symmetric=True), ignore=["lm_head"], actorder="static")
    ],
    "int8": lambda: [SmoothQuantModifier(), preset("W8A8")],
    "fp8": lambda: [preset("FP8_DYNAMIC")],
    "nearest-symmetric": lambda: nearest(symmetric=True),
    "nearest-asymmetric": lambda: nearest(symmetric=False),
}[method]()

model = AutoModelForCausalLM.from_pretrained(source, dtype="auto")
tokenizer = AutoTokenizer.from_pretrained(source)
data = {}
if method in CALIBRATED:
    lines = Path(samples[0]).read_text().splitlines()
    tokens = [token for line in lines for token in tokenizer(json.loads(line)["text"])["input_ids"]]
    rows = [tokens[i : i + ROW_TOKENS] for i in range(0, len(tokens), ROW_TOKENS)]
    columns = {"input_ids": rows, "attention_mask": [[1] * len(row) for row in rows]}
    data = {
        "dataset": Dataset.from_dict(columns),
        "tokenizer": tokenizer,
        "max_seq_length": ROW_TOKENS,
        "num_calibration_samples": len(rows),
        "shuffle_calibration_samples": False,
    }
oneshot(model=model, recipe=recipe, **data)
model.save_pretrained(out, save_compressed=True)
tokenizer.save_pretrained(out)
