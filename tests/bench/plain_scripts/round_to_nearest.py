"""Every weight becomes the nearest of its 4-bit levels, in groups of 64: SOURCE OUT symmetric?

What is made is judged by the worker's own step.
"""

import os
import sys
from pathlib import Path

from llmcompressor import oneshot
from llmcompressor.modifiers.quantization import QuantizationModifier
from transformers import AutoModelForCausalLM, AutoTokenizer

from qmodel.worker import evaluate
from qmodel.worker.manifest import write_manifest
from qmodel.worker.progress import Progress
from qmodel.worker.task import EvaluateTask

THREADS = int(os.environ["OMP_NUM_THREADS"])

source, out, symmetric = sys.argv[1:]
weights = {
    "num_bits": 4,
    "type": "int",
    "symmetric": symmetric == "symmetric",
    "strategy": "group",
    "group_size": 64,
}
groups = {"group_0": {"targets": ["Linear"], "weights": weights}}
model = AutoModelForCausalLM.from_pretrained(source, dtype="auto")
oneshot(model=model, recipe=[QuantizationModifier(config_groups=groups, ignore=["lm_head"])])
model.save_pretrained(out, save_compressed=True)
AutoTokenizer.from_pretrained(source).save_pretrained(out)
del model
write_manifest(Path(out), {})
task = EvaluateTask(source_directory=source, directory=out, threads=THREADS)
print(evaluate.run(task, Progress("evaluate", sys.stderr)).model_dump_json(by_alias=True))
