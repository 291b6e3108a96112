"""AWQ as AutoAWQ's examples have it, on a CPU: METHOD SOURCE OUT SAMPLES."""

import json
import sys
from pathlib import Path

import torch
from awq import AutoAWQForCausalLM
from transformers import AutoTokenizer

ROW_TOKENS = 512

_method, source, out, samples = sys.argv[1:]
model = AutoAWQForCausalLM.from_pretrained(source, torch_dtype=torch.float32, device_map="cpu")
tokenizer = AutoTokenizer.from_pretrained(source)
lines = Path(samples).read_text().splitlines()
tokens = [token for line in lines for token in tokenizer(json.loads(line)["text"])["input_ids"]]
rows = [tokens[i : i + ROW_TOKENS] for i in range(0, len(tokens), ROW_TOKENS)]
model.quantize(
    tokenizer,
    quant_config={"zero_point": True, "q_group_size": 64, "w_bit": 4, "version": "GEMM"},
    calib_data=rows,
    max_calib_samples=len(rows),
    max_calib_seq_len=ROW_TOKENS,
    n_parallel_calib_samples=16,
)
model.save_quantized(out)
tokenizer.save_pretrained(out)
