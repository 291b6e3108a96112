"""AutoAWQ 0.2.9: 4-bit weights in the layout that most AWQ checkpoints have.

The library is frozen, and three things that it does silently are undone here: it drops samples
that are longer than asked and the end of the others (rows come joined, and those that it used are
counted); it loads by functions that may run a model's code (`legacy_model` loads); and on a CPU its
search for scales spoils the weights (`_Quantizer`).
"""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from qmodel.api.methods import AWQOptions
from qmodel.worker.backends import CalibrationSet, legacy_model, legacy_recipe
from qmodel.worker.errors import EngineFailed, TaskInvalid
from qmodel.worker.progress import Progress, ProgressPart
from qmodel.worker.task import Recipe

# legacy_model must come first: it keeps these libraries from drawing bars.
import torch  # isort: skip
from qmodel.worker.backends.library_errors import library_errors  # isort: skip
from awq.models.auto import AWQ_CAUSAL_LM_MODEL_MAP  # isort: skip
from awq.quantize.quantizer import AwqQuantizer  # isort: skip

ROWS_AT_ONCE = 16
"""Rows run through a layer side by side: bounds memory, changes no result."""
LOADED, QUANTIZED = 0.05, 0.95


class AutoAWQ:
    """The backend of this name."""

    takes_samples = True
    makes_folder = True

    def quantize(
        self,
        recipe: Recipe,
        source: Path,
        out: Path,
        calibration: CalibrationSet | None,
        threads: int,
        progress: Progress | ProgressPart,
    ) -> None:
        """Write `source` with 4-bit weights into `out`; on a GPU it holds one layer at a time."""
        if recipe.calibration is None or calibration is None:
            message = "AutoAWQ needs calibration samples"
            raise TaskInvalid(message)
        options = recipe.awq or AWQOptions()
        legacy_recipe.check(recipe)
        rows = legacy_recipe.rows(calibration.sequences, recipe.calibration.max_sequence_length)
        torch.set_num_threads(threads)
        progress.at(0.0, "loading the model")
        model = legacy_model.load(source, _compute_type(), AWQ_CAUSAL_LM_MODEL_MAP)
        progress.at(LOADED, f"calibrating on {len(rows)} rows of {len(rows[0])} tokens")
        with library_errors("AutoAWQ", out):
            settings = _quantize(model, rows, options, progress)
            progress.at(QUANTIZED, "saving")
            legacy_model.save(model, source, out, settings, recipe.max_shard_bytes)

    def versions(self) -> dict[str, JsonValue]:
        """Return the versions of the libraries."""
        return {name: version(name) for name in ("autoawq", "torch", "transformers")}


def _compute_type() -> torch.dtype:
    """Return float16, as the weights are stored; on a CPU, which has no fast one, float32."""
    return torch.float16 if torch.cuda.is_available() else torch.float32


def _quantize(
    model: Any, rows: list[list[int]], options: AWQOptions, progress: Progress | ProgressPart
) -> Mapping[str, Any]:
    """Quantize in place; return what the config should say."""

    class Quantizer(_Quantizer):
        def _apply_quant(self, module: Any, named_linears: Any) -> None:
            super()._apply_quant(module, named_linears)
            done = self.packed / len(self.modules)
            progress.at(LOADED + (QUANTIZED - LOADED) * done, f"layer {self.packed}")

    library = AWQ_CAUSAL_LM_MODEL_MAP[model.config.model_type]
    whole = library(model, model.config.model_type, False, model.config, None, None)  # noqa: FBT003
    whole.quantize(
        quant_config={
            "zero_point": True,
            "q_group_size": options.group_size,
            "w_bit": options.bits,
            "version": "GEMM",
        },
        calib_data=rows,
        max_calib_samples=len(rows),
        max_calib_seq_len=len(rows[0]),
        n_parallel_calib_samples=ROWS_AT_ONCE,
        quantizer_cls=Quantizer,
    )
    if (used := len(whole.quantizer.inps)) != len(rows):
        message = f"AutoAWQ used {used} of {len(rows)} rows"
        raise EngineFailed(message)
    settings: Mapping[str, Any] = whole.quant_config.to_transformers_dict()
    return settings


class _Quantizer(AwqQuantizer):  # type: ignore[misc]  # untyped
    """The library's search, made right on a CPU, and quick."""

    packed = 0

    def _apply_quant(self, module: Any, named_linears: Any) -> None:
        self.packed += 1
        super()._apply_quant(module, named_linears)

    def _compute_best_scale(
        self,
        x: Any,
        w_mean: Any,
        x_mean: Any,
        module2inspect: torch.nn.Module,
        *arguments: Any,
    ) -> Any:
        """Search scales with a true copy of the weights to go back to.

        The library takes `tensor.cpu()` for a copy. On a CPU it is the tensor itself, which the
        search multiplies in place: every later candidate, and the weights after it, would carry
        the first one's scales.
        """
        hook = module2inspect.register_state_dict_post_hook(_copy)
        try:
            return super()._compute_best_scale(x, w_mean, x_mean, module2inspect, *arguments)
        finally:
            hook.remove()

    @torch.no_grad()  # type: ignore[untyped-decorator]  # its library is untyped here
    def _compute_best_clip(
        self,
        w: torch.Tensor,
        input_feat: torch.Tensor,
        n_grid: int = 20,
        max_shrink: float = 0.5,
        n_sample_token: int = 512,
    ) -> torch.Tensor:
        """Return the bound (outputs, groups, 1) to clip each group of a weight to.

        The library's own choice, of the candidates that it tries: the least mean squared error of a
        group's outputs. It computes these outputs, element by element, for every token; but with
        the error d of a group's weights and the mean G of its inputs' outer products the same is
        d G d, which needs the tokens once.
        """
        rows = input_feat.reshape(-1, input_feat.shape[-1]).to(w.device, torch.float32)
        rows = rows[:: max(1, len(rows) // n_sample_token)]
        inputs = rows.unflatten(1, (-1, self.group_size)).transpose(0, 1)
        products = inputs.transpose(1, 2) @ inputs / len(rows)
        groups = w.unflatten(1, (-1, self.group_size)).transpose(0, 1)
        largest = groups.abs().amax(dim=-1, keepdim=True)
        best, least = largest.clone(), torch.full_like(largest, torch.inf, dtype=torch.float32)
        for step in range(int(max_shrink * n_grid)):
            bound = largest * (1 - step / n_grid)
            kept, _, _ = self.pseudo_quantize_tensor(groups.clamp(-bound, bound))
            lost = (kept - groups).float()
            error = (lost @ products * lost).sum(dim=-1, keepdim=True)
            best = torch.where(error < least, bound, best)
            least = torch.minimum(error, least)
        return best.transpose(0, 1)


def _copy(_module: Any, state: dict[str, torch.Tensor], _prefix: str, _metadata: Any) -> None:
    """Put copies into a state dict."""
    state.update({name: values.clone() for name, values in state.items()})
