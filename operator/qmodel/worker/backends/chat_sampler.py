"""Lets an unquantized model draw the samples that it will be calibrated with."""

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# First: the libraries below read what it sets when they are imported.
from qmodel.worker.backends.offline import LOCAL  # isort: skip

import torch
from jinja2 import TemplateError
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedModel

from qmodel.worker.backends.tokens import as_set, left_padded
from qmodel.worker.backends.wide_products import WideProducts
from qmodel.worker.calibration import Message, OnProgress, Sample
from qmodel.worker.errors import EngineFailed, TextInvalid

CACHE_BYTES = 1 << 30
"""KV cache of the sequences that are drawn side by side."""
MAX_BATCH = 128
"""More sequences at once are hardly faster: a CPU multiplies at its best speed by then."""


class ChatSampler:
    """The unquantized model as its users meet it; its weights are loaded only to draw.

    Parameters
    ----------
    folder
        config.json, *.safetensors and the tokenizer's files.
    threads
        CPU threads, of the whole process.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        torch.set_num_threads(threads)
        self._folder = folder
        self._tokenizer = AutoTokenizer.from_pretrained(folder, **LOCAL)

    def encode(self, sample: Sample) -> list[int]:
        """Return the token ids of a sample; a conversation in the chat template.

        Raises
        ------
        TextInvalid
            If there is no chat template, or it refuses the conversation.
        """
        if not sample.messages:
            return list(self._tokenizer(sample.text)["input_ids"])
        if not self._tokenizer.chat_template:
            message = "the calibration text holds messages, but the model has no chat template"
            raise TextInvalid(message)
        try:
            return self._rendered(sample.messages, answered=True)
        except TemplateError as error:
            message = f"the model's chat template refuses {sample.messages[0]}...: {error}"
            raise TextInvalid(message) from error

    def prompt(self, messages: Sequence[Message]) -> list[int] | None:
        """Return the token ids before the model's answer; None if no chat template renders it."""
        if not self._tokenizer.chat_template:
            return None
        try:
            return self._rendered(messages, answered=False)
        except TemplateError:  # some know no system message
            return None

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of token ids, control tokens included."""
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=False)
        return text

    def draw(
        self, begun: Sequence[list[int]], count: int, seed: int, on_progress: OnProgress
    ) -> list[list[int]]:
        """Return each sequence with what is drawn at temperature 1.

        It ends where the model ends it, or after `count` tokens.

        Raises
        ------
        EngineFailed
            If the model cannot be loaded or run.
        """
        try:
            return self._draw(begun, count, seed, on_progress)
        except (OSError, RuntimeError, ValueError) as error:
            message = f"the model cannot draw its own calibration samples: {error}"
            raise EngineFailed(message) from error

    def _draw(
        self, begun: Sequence[list[int]], count: int, seed: int, on_progress: OnProgress
    ) -> list[list[int]]:
        placed = {"device_map": "auto"} if torch.cuda.is_available() else {}
        model = AutoModelForCausalLM.from_pretrained(
            self._folder, torch_dtype="auto", use_safetensors=True, **placed, **LOCAL
        )
        torch.manual_seed(seed)
        drawn: list[list[int]] = []
        batch = _batch_size(model, max(map(len, begun)) + count)
        for start in range(0, len(begun), batch):
            chosen = begun[start : start + batch]
            told = _Told(on_progress, start / len(begun), len(chosen) / len(begun), count)
            drawn += self._continued(model, chosen, count, told)
        del model
        gc.collect()
        return drawn

    def _rendered(self, messages: Sequence[Message], *, answered: bool) -> list[int]:
        text = self._tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=not answered
        )
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _continued(
        self, model: PreTrainedModel, begun: Sequence[list[int]], count: int, told: "_Told"
    ) -> list[list[int]]:
        """Return the sequences with what the model adds, drawn side by side."""
        ids, mask = left_padded(begun)
        longest = len(ids[0])
        ends = as_set(model.generation_config.eos_token_id) | as_set(self._tokenizer.eos_token_id)
        pure = GenerationConfig(
            do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
            max_new_tokens=count, eos_token_id=sorted(ends) or None, pad_token_id=0,
        )  # fmt: skip
        with WideProducts():
            output = model.generate(
                input_ids=torch.tensor(ids, device=model.device),
                attention_mask=torch.tensor(mask, device=model.device),
                generation_config=pure,
                stopping_criteria=[told],
            )
        added = output[:, longest:].tolist()
        return [[*tokens, *_ended(more, ends)] for tokens, more in zip(begun, added, strict=True)]


class _Told:
    """A stopping criterion that stops nothing: it is asked after each token, and reports."""

    def __init__(self, tell: OnProgress, begun: float, share: float, count: int) -> None:
        self._tell, self._begun, self._share, self._count = tell, begun, share, count
        self._drawn = 0

    def __call__(self, ids: torch.Tensor, _scores: torch.Tensor, **_: Any) -> torch.Tensor:
        self._drawn += 1
        self._tell(self._begun + self._share * self._drawn / self._count)
        return torch.zeros(len(ids), dtype=torch.bool, device=ids.device)


def _batch_size(model: PreTrainedModel, length: int) -> int:
    """Return how many sequences are drawn at once, so that their KV cache stays bounded."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    token_bytes: int = 2 * config.num_hidden_layers * heads * width * model.dtype.itemsize
    return max(1, min(MAX_BATCH, CACHE_BYTES // (token_bytes * length)))


def _ended(tokens: list[int], ends: set[int]) -> list[int]:
    """Return tokens up to the first that ends a sequence; padding follows it."""
    last = next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
    return tokens[: last + 1]
