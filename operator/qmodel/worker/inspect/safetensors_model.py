"""What a safetensors model is, from config.json and the headers of its shards."""

from qmodel.api.methods import Method
from qmodel.worker.errors import SourceInvalid
from qmodel.worker.inspect.checks import check_config, check_index, check_tokenizer
from qmodel.worker.inspect.code import check_programs
from qmodel.worker.inspect.config import Config, load_config
from qmodel.worker.inspect.config_bounds import MAX_WIDTH
from qmodel.worker.inspect.contents import check_contents
from qmodel.worker.inspect.document import whole
from qmodel.worker.inspect.documents import check_templates, load_documents
from qmodel.worker.inspect.layers import (
    SAFETENSORS_LAYER,
    kv_layout,
    layer_numbers,
    window_flags,
    window_period,
)
from qmodel.worker.inspect.packing import unpacked
from qmodel.worker.inspect.quantized import check_method, grids, recognise
from qmodel.worker.inspect.safetensors import read_headers
from qmodel.worker.inspect.select import CONFIG, Selection
from qmodel.worker.inspect.tensors import Tensor, total_bytes, total_elements
from qmodel.worker.inspect.widths import experts, linear_widths
from qmodel.worker.report import Inspection
from qmodel.worker.sources import Source, digest_of
from qmodel.worker.task import KVLayout

_PATTERN = ("layer_types", "sliding_window_pattern", "hybrid_layer_pattern")
_WINDOW = ("sliding_window", "attention_chunk_size", "sliding_window_size")
_DIGEST_DIGITS = 16


def inspect_safetensors(source: Source, selection: Selection, method: Method) -> Inspection:
    """Return what the model is.

    Raises
    ------
    SourceInvalid, UnsafeModel, UnsupportedModel
        As config.json and the tensors are wrong, ask to run code, are quantized already, or cannot
        be converted or served.
    """
    check_contents(source, selection.companions)
    documents = load_documents(source)
    check_programs(source)
    has_template = check_templates(source, documents)
    config = load_config(documents, source.name, method)
    found = recognise(documents, config.text)
    check_method(found, method, source.name)
    headers = read_headers(source, selection.weights)
    check_index(source, headers)
    stored = [tensor for file in headers.values() for tensor in file]
    by_name = {tensor.name: tensor for tensor in stored}
    tensors = unpacked(by_name, found, grids(found, documents, config.text))
    if not total_elements(tensors.values()):
        message = f"{source.name} has no weights"
        raise SourceInvalid(message)
    check_config(config, tensors)
    check_tokenizer(source)
    return Inspection(
        source_revision=source.revision(selection.paths),
        source_digest=digest_of(source, selection.paths)[:_DIGEST_DIGITS],
        source_bytes=selection.bytes(source),
        format="safetensors",
        architecture=config.architecture,
        model_type=config.model_type,
        parameters=total_elements(tensors.values()),
        weight_bytes=total_bytes(stored),
        hidden_size=config.hidden_size,
        layers=config.layers,
        vocabulary_size=config.vocabulary_size,
        context_length=config.context_length,
        attention_heads=config.heads or None,
        kv=_kv(config, tensors),
        linear_widths=linear_widths(config, tensors),
        experts=experts(config),
        quantization=found,
        chat_template=has_template,
    )


def _kv(config: Config, tensors: dict[str, Tensor]) -> KVLayout:
    """Return what the cache holds."""
    text = config.text
    shared = whole(text, ("num_kv_shared_layers",), config.layers, CONFIG) if _shares(text) else 0
    period = window_period(config.architecture)
    window = whole(text, _WINDOW, MAX_WIDTH << 10, CONFIG) if period else None
    pattern = next((text[key] for key in _PATTERN if text.get(key)), None)
    flags = (
        window_flags(pattern, period, config.layers, f"layer_types in {CONFIG}") if period else []
    )
    return kv_layout(
        layer_numbers(tensors, SAFETENSORS_LAYER),
        config.layers - (shared or 0),
        flags,
        window or 0,
        config.layer_heads(flags),
    )


def _shares(text: object) -> bool:
    """Whether some layers use the cache of others."""
    return isinstance(text, dict) and text.get("num_kv_shared_layers") not in (None, 0)
