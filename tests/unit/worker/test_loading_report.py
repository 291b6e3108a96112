"""What transformers says of loading: which weights make it another model, and which do not."""

import pytest

from qmodel.worker.backends import loading_report
from qmodel.worker.errors import UnsupportedModel

MODULES = {
    "", "lm_head", "model", "model.embed_tokens", "model.layers", "model.layers.0",
    "model.layers.0.mlp", "model.layers.0.mlp.experts", "model.layers.0.self_attn",
}  # fmt: skip
EXPERT = "model.layers.0.mlp.experts.0.gate_proj"


def test_a_weight_that_is_not_found_would_be_random() -> None:
    missing = {f"model.layers.{n}.mlp.experts.gate_up_proj" for n in range(5)}
    with pytest.raises(UnsupportedModel, match=r"not find .*0.*, .*1.*, .*2\S* and 2 more: what"):
        loading_report.check(missing, set(), MODULES)


@pytest.mark.parametrize(
    "name",
    [f"{EXPERT}.weight_global_scale", f"{EXPERT}.weight_packed", "lm_head.weight_scale",
     "model.layers.0.self_attn.q_proj.bias"],
)  # fmt: skip
def test_a_weight_that_has_no_place_would_be_dropped(name: str) -> None:
    with pytest.raises(UnsupportedModel, match=f"has no place for {name}: what"):
        loading_report.check(set(), {name}, MODULES)


def test_both_are_told() -> None:
    with pytest.raises(UnsupportedModel, match=r"did not find a\.b and has no place for lm_head\."):
        loading_report.check({"a.b"}, {"lm_head.scale"}, MODULES)


@pytest.mark.parametrize(
    "name",
    ["mtp.layers.0.mlp.up_proj.weight", "model.layers.1.eh_proj.weight",
     "visual.blocks.0.norm.weight",
     "vision_tower.encoder.layers.0.fc1.weight", "model.layers.0.self_attn.rotary_emb.inv_freq",
     "model.layers.0.self_attn.k_scale", "model.layers.0.attention.masked_bias",
     "model.layers.0.attn.bias"],
)  # fmt: skip
def test_what_is_no_part_of_the_model_is_left_out(name: str) -> None:
    loading_report.check(set(), {name}, MODULES)
