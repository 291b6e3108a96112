"""AWQ, GPTQ, INT8 and FP8 as llm-compressor's examples have it: METHOD SOURCE OUT SAMPLES."""

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


def preset(scheme: str) -> QuantizationModifier:
    return QuantizationModifier(targets=["Linear"], scheme=scheme, ignore=["lm_head"])


method, source, out, samples = sys.argv[1:]
recipe = {
    "awq": lambda: [
        AWQModifier(),
        QuantizationModifier(config_groups=four_bits(symmetric=False), ignore=["lm_head"]),
    ],
    "gptq": lambda: [
        GPTQModifier(config_groups=four_bits(symmetric=True), ignore=["lm_head"], actorder="static")
    ],
    "int8": lambda: [SmoothQuantModifier(), preset("W8A8")],
    "fp8": lambda: [preset("FP8_DYNAMIC")],
}[method]()

model = AutoModelForCausalLM.from_pretrained(source, dtype="auto")
tokenizer = AutoTokenizer.from_pretrained(source)
data = {}
if method != "fp8":
    lines = Path(samples).read_text().splitlines()
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
