"""What transformers and llm-compressor can do with a model's type, told without either.

The versions are those of the quantizer's image. What they cannot load or quantize would fail only
after the source was fetched, and the samples drawn.
"""

from qmodel.api.methods import Backend, Method
from qmodel.worker.inspect.architectures import SAFETENSORS
from qmodel.worker.legacy_limits import MODEL_TYPES
from qmodel.worker.report import Inspection
from qmodel.worker.task import Recipe

LOADED = frozenset(
    {
        "afmoe", "apertus", "arcee", "aria_text", "axk1", "axk2", "bamba", "bart", "bert",
        "bert-generation", "big_bird", "bigbird_pegasus", "biogpt", "bitnet", "blenderbot",
        "blenderbot-small", "bloom", "blt", "camembert", "codegen", "cohere", "cohere2",
        "cohere2_moe", "cohere_compass_text", "cpmant", "ctrl", "cwm", "data2vec-text",
        "dbrx", "deepseek_v2", "deepseek_v3", "deepseek_v32", "deepseek_v4", "diffllama",
        "doge", "dots1", "electra", "emu3", "ernie", "ernie4_5", "ernie4_5_moe", "exaone4",
        "exaone_moe", "falcon", "falcon_h1", "falcon_mamba", "flex_olmo", "fuyu", "gemma",
        "gemma2", "gemma3", "gemma3_text", "gemma3n_text", "gemma4", "gemma4_assistant",
        "gemma4_text", "gemma4_unified", "gemma4_unified_assistant", "gemma4_unified_text",
        "git", "glm", "glm4", "glm4_moe", "glm4_moe_lite", "glm_moe_dsa", "got_ocr2",
        "gpt-sw3", "gpt2", "gpt_bigcode", "gpt_neo", "gpt_neox", "gpt_neox_japanese",
        "gpt_oss", "gptj", "granite", "granite_swa", "granitemoe", "granitemoe_swa",
        "granitemoehybrid", "granitemoeshared", "helium", "hrm_text", "hunyuan_v1_dense",
        "hunyuan_v1_moe", "hy_v3", "hy_v4", "hyperclovax", "inkling_text", "jais2", "jamba",
        "jetmoe", "kimi_linear", "laguna", "lfm2", "lfm2_moe", "llama", "llama4",
        "llama4_text", "longcat_flash", "mamba", "mamba2", "marian", "mbart",
        "megatron-bert", "mellum", "mimo_v2_flash", "minicpm3", "minimax", "minimax_m2",
        "minimax_m3_vl_text", "ministral", "ministral3", "mistral", "mixtral", "mllama",
        "modernbert-decoder", "moshi", "mpt", "musicgen", "musicgen_melody", "mvp",
        "nanochat", "nemotron", "nemotron_h", "olmo", "olmo2", "olmo3", "olmo_hybrid",
        "olmoe", "openai-gpt", "opt", "pegasus", "persimmon", "phi", "phi3",
        "phi4_multimodal", "phimoe", "plbart", "prophetnet", "qwen2", "qwen2_moe", "qwen3",
        "qwen3_5", "qwen3_5_moe", "qwen3_5_moe_text", "qwen3_5_text", "qwen3_moe",
        "qwen3_next", "qwen4_exp", "qwen4_exp_text", "recurrent_gemma", "reformer",
        "rembert", "roberta", "roberta-prelayernorm", "roc_bert", "roformer", "rwkv",
        "seed_oss", "smollm3", "solar_open", "stablelm", "starcoder2", "trocr",
        "vaultgemma", "whisper", "xglm", "xlm", "xlm-roberta", "xlm-roberta-xl", "xlnet",
        "xlstm", "xmod", "youtu", "zamba", "zamba2", "zaya",
    }
)  # fmt: skip
"""Model types of config.json that transformers 5.17.0 loads to continue text.

MODEL_FOR_CAUSAL_LM_MAPPING_NAMES of its models/auto/modeling_auto.py, but for gemma3n, which needs
a library (timm) that the image does without. tests/e2e/test_kernels.py holds it against the image.
"""

NOT_SCALED = frozenset(
    {
        "afmoe", "apertus", "arcee", "axk1", "deepseek_v3", "deepseek_v32", "deepseek_v4",
        "falcon", "falcon_h1", "flex_olmo", "glm", "glm4", "glm4_moe", "gpt_bigcode",
        "gpt_neox", "gptj", "granitemoehybrid", "hy_v4", "jais2", "kimi_linear", "lfm2",
        "longcat_flash", "minicpm3", "nemotron", "nemotron_h", "olmo2", "olmo_hybrid",
        "opt", "phi", "starcoder2", "vaultgemma", "zamba2",
    }
)  # fmt: skip
"""Model types of which llm-compressor 0.14.0.1 does not know which layers AWQ scales together.

Found by AWQModifier._set_resolved_mappings on a model of each type with six small layers, of those
that vLLM serves, after linearize_moe: it raises "Found a final incomplete set" or "needs to match a
single smoothlayer", and of gpt_bigcode it finds none. Where it depends on the config, as with dense
layers before those of experts (deepseek_v3, glm4_moe, afmoe), the config is the default one.
"""

NO_LINEAR_LAYERS = frozenset({"gpt-sw3", "gpt2"})
"""Model types whose weights are stored with inputs first: no torch.nn.Linear but the output."""

_LINEAR_ONLY = (Backend.LLM_COMPRESSOR, Backend.BITS_AND_BYTES)


def refusal(recipe: Recipe, source: Inspection) -> str | None:
    """Return why the libraries cannot do what is asked, and what would work; None if they can.

    Parameters
    ----------
    recipe
        How the artifact is made; without a backend nothing is made, nor judged.
    source
        What the headers of the model say; without a model type nothing is refused.
    """
    kind = source.model_type
    if recipe.backend in (None, Backend.LLAMA_CPP) or kind is None:
        return None
    if kind not in LOADED:
        return (
            f"transformers, which makes and judges artifacts of method {recipe.method}, does not"
            f" load models of type {kind} to continue text: use {_others(source)}"
        )
    if kind in NO_LINEAR_LAYERS and recipe.backend in _LINEAR_ONLY:
        return (
            f"{recipe.backend} quantizes linear layers, of which models of type {kind} have none"
            f" but the output layer: use {_others(source)}"
        )
    awq = recipe.method is Method.AWQ and recipe.backend is Backend.LLM_COMPRESSOR
    if awq and kind in NOT_SCALED:
        return (
            f"{recipe.backend} does not know which layers of models of type {kind} AWQ may scale"
            f" together: use spec.quantization.method GPTQ{_auto_awq(kind)}"
        )
    return None


def _others(source: Inspection) -> str:
    """Return methods that need neither library."""
    taken = "method None, which serves a source as it is, such as one that is quantized already"
    made = "method GGUF, or " if source.architecture in SAFETENSORS else ""
    return f"{made}{taken}"


def _auto_awq(kind: str) -> str:
    return f", or backend {Backend.AUTO_AWQ}" if kind in MODEL_TYPES[Backend.AUTO_AWQ] else ""
