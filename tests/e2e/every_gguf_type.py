"""Runs in the worker's image: a few random weights, written as every type of GGUF.

One JSON line a type, with what llama.cpp said where it refused it without an importance matrix, and
then with one. Rows of 256 are the shortest that every type divides, so none falls back to another.
"""

import io
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from qmodel.api.gguf import GGUFType
from qmodel.worker.backends import gguf_quantizer
from qmodel.worker.backends.importance_matrix import Matrix
from qmodel.worker.backends.tools import LLAMA_HOME
from qmodel.worker.errors import EngineFailed
from qmodel.worker.progress import Progress

sys.path.insert(0, str(LLAMA_HOME / "convert" / "gguf-py"))

import gguf

WIDTH, HEADS = 256, 4
ROWS = 16
MATRICES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
NORMS = ("blk.0.attn_norm.weight", "blk.0.ffn_norm.weight", "output_norm.weight")


def weights() -> dict[str, np.ndarray]:
    """Return the matrices of a model by name."""
    drawn = np.random.default_rng(1)
    names = ["token_embd.weight", *(f"blk.0.{name}.weight" for name in MATRICES)]
    return {name: drawn.normal(0, 0.1, (ROWS, WIDTH)) for name in names}


def write(path: Path, found: dict[str, np.ndarray]) -> None:
    """Write a model that has no tokenizer: quantizing needs none."""
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_block_count(1)
    writer.add_context_length(WIDTH)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    for name, values in found.items():
        writer.add_tensor(name, values.astype(np.float16))
    for name in NORMS:
        writer.add_tensor(name, np.ones(WIDTH, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def refused(base: Path, kind: GGUFType, matrix: Matrix | None) -> str:
    """Write one type; return what llama.cpp said if it refused, and nothing else."""
    silent = Progress("quantize", io.StringIO())
    try:
        gguf_quantizer.quantize(base, base.with_name("out.gguf"), kind, matrix, 2, silent)
    except EngineFailed as error:
        return str(error)[-200:]
    return ""


def main() -> None:
    """Write every type."""
    found = weights()
    drawn = np.random.default_rng(2)
    matrix = {name: drawn.uniform(0.5, 2, WIDTH).astype(np.float32) for name in found}
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base.gguf"
        write(base, found)
        for kind in GGUFType:
            plain = refused(base, kind, None)
            weighed = refused(base, kind, matrix) if plain else ""
            print(json.dumps({"type": kind, "plain": plain, "weighed": weighed}))


main()
