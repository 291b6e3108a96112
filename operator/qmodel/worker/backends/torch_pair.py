"""Opens an artifact of the Hugging Face layout and its source for evaluation."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers.integrations.bitsandbytes import dequantize_bnb_weight

from qmodel.worker.backends.torch_loading import quantization_config
from qmodel.worker.backends.torch_model import TorchModel
from qmodel.worker.parameters import Parameter
from qmodel.worker.progress import ProgressPart
from qmodel.worker.quality.pair import Pair, Rows, rows_at_once
from qmodel.worker.quality.storage import Storage, of_config


@contextmanager
def opened(source: Path, artifact: Path, threads: int, progress: ProgressPart) -> Iterator[Pair]:
    """Load both models.

    The artifact comes first: on an accelerator it finds room, and what the source lacks of it is
    left in memory.
    """
    progress.at(0.0, "loading the artifact")
    with TorchModel(artifact, threads) as quantized:
        progress.at(0.5, "loading the source")
        with TorchModel(source, threads) as base:
            common = of_config(quantization_config(artifact))
            yield Pair(
                base=base,
                quantized=quantized,
                base_weights=LoadedWeights(base),
                quantized_weights=LoadedWeights(quantized),
                storage=lambda parameter: common or _unknown(parameter),
            )


class LoadedWeights:
    """The weights of a loaded model, widened block by block.

    Parameters
    ----------
    loaded
        The model, inside its context.
    """

    def __init__(self, loaded: TorchModel) -> None:
        self._model = loaded.model

    def blocks(self, name: str) -> Iterator[Rows]:
        """Yield a weight's rows in order.

        Raises
        ------
        KeyError
            If the loaded model has no weight of this name.
        """
        for rows in self._weight(name).split(rows_at_once(self._weight(name).shape[-1])):
            yield rows.float().cpu().numpy()

    def _weight(self, name: str) -> torch.Tensor:
        """Return a weight as (rows, inputs), unpacked if it is still packed."""
        module_name, _, parameter = name.rpartition(".")
        try:
            module = self._model.get_submodule(module_name)
            weight = module.get_parameter(parameter)
        except AttributeError as error:
            raise KeyError(name) from error
        if weight.is_meta:  # left in memory by accelerate, which brings it when it is needed
            raise KeyError(name)
        plain: torch.Tensor = dequantize_bnb_weight(weight, getattr(module, "state", None))
        return plain.detach().reshape(-1, plain.shape[-1])


def _unknown(parameter: Parameter) -> Storage:
    return Storage(parameter.dtype.lower(), -1)
