"""One folder of the Hugging Face layout, run by transformers on whatever torch finds."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

# First: the libraries below read what it sets when they are imported.
from qmodel.worker.backends.offline import LOCAL  # isort: skip

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoTokenizer, DynamicCache, PreTrainedModel

from qmodel.worker.backends import sampling, torch_loading
from qmodel.worker.backends.tokens import as_set, left_padded
from qmodel.worker.backends.wide_products import WideProducts
from qmodel.worker.errors import EngineFailed

BATCH_TOKENS = 128
"""Positions worked on at once: their logits take BATCH_TOKENS x vocabulary x 4 bytes."""
SEQUENCES = 8
"""Sequences drawn side by side."""


class TorchModel:
    """A loaded model; a context manager, so that its memory is given back.

    Parameters
    ----------
    folder
        config.json, *.safetensors and the tokenizer's files.
    threads
        CPU threads, of the whole process.

    Raises
    ------
    StepError
        If the model cannot be loaded.
    """

    model: PreTrainedModel

    def __init__(self, folder: Path, threads: int) -> None:
        self._folder, self._threads = folder, threads

    def __enter__(self) -> Self:
        """Load the weights."""
        torch.set_num_threads(self._threads)
        self._tokenizer = AutoTokenizer.from_pretrained(self._folder, **LOCAL)
        self.model = torch_loading.load(self._folder)
        own, of_tokenizer = self.model.generation_config, self._tokenizer
        self._ends = as_set(own.eos_token_id) | as_set(of_tokenizer.eos_token_id)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the weights' memory back."""
        del self.model
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def tokenize(self, text: str) -> list[int]:
        """Return the token ids of a text, with the token that begins a sequence if it has one."""
        return list(self._tokenizer(text, split_special_tokens=True)["input_ids"])

    def detokenize(self, tokens: Sequence[int]) -> str:
        """Return the text of token ids, control tokens left out."""
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text

    def logits(self, tokens: Sequence[int]) -> Iterator[npt.NDArray[np.float32]]:
        """Yield (positions, vocabulary) blocks of one sequence."""
        cache = self._cache()
        for start in range(0, len(tokens), BATCH_TOKENS):
            block = torch.tensor([tokens[start : start + BATCH_TOKENS]])
            yield self._forward(block, cache)[0]

    def draw(
        self, openers: Sequence[str], length: int, random: np.random.Generator
    ) -> list[list[int]]:
        """Return one sequence for each opener, continued at temperature 1 up to `length`.

        A sequence ends early where the model ends it.
        """
        sequences = [self.tokenize(opener) for opener in openers]
        for start in range(0, len(sequences), SEQUENCES):
            some = sequences[start : start + SEQUENCES]
            self._continue(some, [length] * len(some), random)
        return sequences

    def answers(self, prompts: Sequence[str], max_tokens: int) -> list[str] | None:
        """Return the likeliest answers in the model's own chat template; None if it has none.

        They are drawn side by side: a token of all takes little longer than a token of one.
        """
        if not self._tokenizer.chat_template:
            return None
        begun = [self._rendered(prompt) for prompt in prompts]
        sequences = [[*tokens] for tokens in begun]
        self._continue(sequences, [len(tokens) + max_tokens for tokens in begun], None)
        return [
            self.detokenize(sequence[len(tokens) :])
            for sequence, tokens in zip(sequences, begun, strict=True)
        ]

    def _rendered(self, prompt: str) -> list[int]:
        """Return the token ids of one question in the chat template."""
        message = [{"role": "user", "content": prompt}]
        text = self._tokenizer.apply_chat_template(
            message, add_generation_prompt=True, tokenize=False
        )
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _continue(
        self,
        sequences: Sequence[list[int]],
        lengths: Sequence[int],
        random: np.random.Generator | None,
    ) -> None:
        """Append tokens in place, drawn at temperature 1 or, without `random`, the likeliest."""
        wanted = zip(sequences, lengths, strict=True)
        cache, alive = self._cache(), [(s, length) for s, length in wanted if len(s) < length]
        padded = left_padded([sequence for sequence, _ in alive])
        ids, mask = (torch.tensor(rows, dtype=torch.long) for rows in padded)
        while alive:
            last = self._forward(ids, cache, mask)[:, -1]
            drawn = last.argmax(axis=1) if random is None else sampling.draw(last, random)
            for (sequence, _), token in zip(alive, drawn, strict=True):
                sequence.append(int(token))
            kept = [i for i, (s, n) in enumerate(alive) if len(s) < n and s[-1] not in self._ends]
            if len(kept) < len(alive):
                cache.batch_select_indices(torch.tensor(kept, dtype=torch.long))
                mask = mask[kept]
            alive = [alive[i] for i in kept]
            ids = torch.tensor([sequence[-1:] for sequence, _ in alive])
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)

    def _cache(self) -> DynamicCache:
        return DynamicCache(config=self.model.config)

    def _forward(
        self, ids: torch.Tensor, cache: DynamicCache, mask: torch.Tensor | None = None
    ) -> npt.NDArray[np.float32]:
        """Return logits (sequences, positions, vocabulary); with a mask, of the last position."""
        arguments: dict[str, Any] = {}
        if mask is not None:
            positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
            arguments = {"attention_mask": mask, "position_ids": positions, "logits_to_keep": 1}
        inputs = {"input_ids": ids} | arguments
        device = self.model.device
        placed = {
            name: value.to(device) if isinstance(value, torch.Tensor) else value
            for name, value in inputs.items()
        }
        try:
            with torch.inference_mode(), WideProducts():
                output = self.model(**placed, past_key_values=cache, use_cache=True)
        except RuntimeError as error:
            message = f"{self._folder.name}: the model cannot compute: {error}"
            raise EngineFailed(message) from error
        logits: npt.NDArray[np.float32] = output.logits.float().cpu().numpy()
        return logits
