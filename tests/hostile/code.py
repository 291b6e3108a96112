"""Doors by which a model asks for its own code, or for other models."""

import json
from pathlib import Path

from hostile.trick import Trick, config, invalid, merge, put, unsafe

CLASSES = {"AutoModelForCausalLM": "modeling_evil.Evil"}
ASKS = "asks to run code of the repository"


def names(file: str, **changes: object) -> Trick:
    """Return a model with a configuration that names code."""
    return unsafe(merge(file, **changes), file, ASKS)


def holds(file: str) -> Trick:
    """Return a model with a program beside it."""
    return unsafe(put(file, "raise SystemExit('run')\n"), file, "holds the program")


def other(**changes: object) -> Trick:
    """Return a model that takes weights from elsewhere."""
    return unsafe(config(**changes), "config.json", "another repository")


def away(**changes: object) -> Trick:
    """Return a model whose tokenizer opens a file that is not its own."""
    name = "tokenizer_config.json"
    return invalid(merge(name, **changes), name, "leaves the model's folder")


def adapter(folder: Path) -> None:
    """Leave an adapter, whose configuration names the model to load it onto."""
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    base = {"base_model_name_or_path": "evil/repository", "auto_mapping": None}
    (folder / "adapter_config.json").write_text(json.dumps(base))


TRICKS = {
    "adapter-of-other-repository": Trick(
        adapter, "UnsupportedModel", "not loaded from elsewhere", "adapter_config.json"
    ),
    "code-of-model": names("config.json", auto_map=CLASSES),
    "code-of-other-repository": names(
        "config.json", auto_map={"AutoModelForCausalLM": "evil/repository--modeling.Evil"}
    ),
    "code-of-tokenizer": names(
        "tokenizer_config.json", auto_map={"AutoTokenizer": ["tokenization_evil.Evil", None]}
    ),
    "code-of-processor": names(
        "processor_config.json", auto_map={"AutoProcessor": "processing_evil.Evil"}
    ),
    "code-of-image-processor": names(
        "preprocessor_config.json", auto_map={"AutoImageProcessor": "image_evil.Evil"}
    ),
    "code-of-video-processor": names(
        "video_preprocessor_config.json", auto_map={"AutoVideoProcessor": "video_evil.Evil"}
    ),
    "code-of-generation": names("generation_config.json", custom_generate="evil/repository"),
    "code-nested": names("config.json", text_config={"auto_map": CLASSES}),
    "code-nested-in-a-list": names("config.json", parts=[{"inner": {"auto_map": CLASSES}}]),
    "code-as-text": names("config.json", auto_map="modeling_evil.Evil"),
    "code-flag": names("config.json", vision_config={"trust_remote_code": True}),
    "code-flag-of-tokenizer": names("tokenizer_config.json", trust_remote_code="yes"),
    "code-pipelines": names("config.json", custom_pipelines={"x": {"impl": "evil.Pipeline"}}),
    "code-by-hydra": names("config.json", model={"_target_": "os.system"}),
    "code-by-jsonpickle": names("special_tokens_map.json", x={"py/object": "os.system"}),
    "code-in-quantization": names(
        "quantize_config.json", bits=4, dynamic={}, auto_map={"AutoQuantizer": "evil.Quantizer"}
    ),
    "code-as-attention": names("config.json", attn_implementation="evil/kernel"),
    "code-as-attention-of-a-part": names(
        "config.json", _attn_implementation={"text_config": "evil/kernel@main:attend"}
    ),
    "code-as-experts": names("config.json", text_config={"experts_implementation": "evil/kernel"}),
    "code-as-kernels": names("config.json", use_kernels=True),
    "code-as-one-kernel": names("config.json", kernel_config={"RMSNorm": "evil/kernel:RMSNorm"}),
    "weights-of-other-repository": other(text_model_id="evil/repository"),
    "weights-of-a-verifier": other(
        speculators_config={"verifier": {"name_or_path": "/artifacts/sources/of-another-model"}}
    ),
    "weights-of-a-tower": other(vision_tower="evil/repository"),
    "weights-of-an-inner-tower": other(vision_config={"audio_tower": "../sources/x"}),
    "weights-of-a-backbone": other(backbone="evil/repository"),
    "weights-of-a-pretrained-backbone": other(backbone="resnet50", use_pretrained_backbone=True),
    "program-modeling": holds("modeling_llama.py"),
    "program-handler": holds("handler.py"),
    "program-compiled": holds("configuration_llama.pyc"),
    "program-capitals": holds("TOKENIZATION.PY"),
    "program-library": holds("kernel.so"),
    "program-wheel": holds("evil-1.0-py3-none-any.whl"),
    "class-of-other-module": invalid(
        merge("tokenizer_config.json", tokenizer_class="os:system"),
        "tokenizer_config.json",
        "no name of a class",
    ),
    "model-type-is-a-path": invalid(
        config(model_type="../../evil"), "config.json", "no name of a class"
    ),
    "processor-is-a-path": invalid(
        merge("preprocessor_config.json", image_processor_type="/tmp/evil"),
        "preprocessor_config.json",
        "no name of a class",
    ),
    "tokenizer-file-climbs": invalid(
        merge("tokenizer_config.json", fast_tokenizer_files=["tokenizer.../../../etc/x.json"]),
        "tokenizer_config.json",
        "leaves the model's folder",
    ),
    "tokenizer-is-of-another-model": away(tokenizer_file="../of-another-model/tokenizer.json"),
    "vocabulary-is-absolute": away(vocab_file="/etc/passwd"),
    "merges-are-of-the-process": away(merges_file="/proc/self/environ"),
}
