"""NF4, FP4 and INT8 as transformers documents them: METHOD SOURCE OUT."""

import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

method, source, out = sys.argv[1:4]
if method == "bnb-int8":
    settings = BitsAndBytesConfig(load_in_8bit=True)
else:
    settings = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=method,
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
model = AutoModelForCausalLM.from_pretrained(
    source, quantization_config=settings, dtype="auto", device_map={"": "cpu"}
)
model.save_pretrained(out)
AutoTokenizer.from_pretrained(source).save_pretrained(out)
