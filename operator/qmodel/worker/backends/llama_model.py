"""One GGUF file, loaded through llama.cpp's C API for its logits."""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

import llama_cpp
import numpy as np
import numpy.typing as npt
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from qmodel.worker.backends import sampling
from qmodel.worker.backends.llama_log import captured_log
from qmodel.worker.errors import EngineFailed

CONTEXT_TOKENS = 2048
"""KV cells, shared by all sequences: eight drawn at once, or one passage."""
BATCH_TOKENS = 128
"""Tokens worked on at once: the logits of a batch take BATCH_TOKENS x vocabulary x 4 bytes."""
SEQUENCES = 8
"""Sequences drawn side by side."""
Draw = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.integer]]
"""Chooses a token by the logits of each row."""


class LlamaModel:
    """A model in llama.cpp; a context manager.

    Parameters
    ----------
    path
        GGUF file, the first one of a split model.
    threads
        CPU threads.
    mapped
        Leave the weights in the file and read pages as needed, which the kernel can take back;
        otherwise they are held in memory, laid out as the server lays them out.
    vocabulary_only
        Load no weights: enough to tokenize.

    Raises
    ------
    EngineFailed
        If the model cannot be loaded; the message ends with the last log lines.
    """

    def __init__(
        self, path: Path, threads: int, *, mapped: bool = True, vocabulary_only: bool = False
    ) -> None:
        self._path, self._threads = path, threads
        self._mapped, self._vocabulary_only = mapped, vocabulary_only

    def __enter__(self) -> Self:
        """Load the weights and make room for the context."""
        with captured_log() as log:
            llama_cpp.llama_backend_init()
            self._model = llama_cpp.llama_model_load_from_file(
                str(self._path).encode(), self._model_parameters()
            )
            if self._model is None:
                message = f"{self._path.name} cannot be loaded:\n{log.tail()}"
                raise EngineFailed(message)
            self._vocabulary = llama_cpp.llama_model_get_vocab(self._model)
            self.vocabulary_size: int = llama_cpp.llama_vocab_n_tokens(self._vocabulary)
            self._context = None if self._vocabulary_only else self._new_context()
            if self._context is None and not self._vocabulary_only:
                llama_cpp.llama_model_free(self._model)
                message = f"{self._path.name} has no context:\n{log.tail()}"
                raise EngineFailed(message)
        return self

    def __exit__(self, *_: object) -> None:
        """Free context and weights."""
        if self._context is not None:
            llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)

    def _model_parameters(self) -> llama_cpp.llama_model_params:
        parameters = llama_cpp.llama_model_default_params()
        parameters.vocab_only = self._vocabulary_only
        if self._mapped:
            parameters.load_mode = llama_cpp.LLAMA_LOAD_MODE_MMAP
            # Repacking for the CPU would copy the weights into memory beside the mapped file.
            parameters.use_extra_bufts = False
        else:
            parameters.load_mode = llama_cpp.LLAMA_LOAD_MODE_NONE
        return parameters

    def _new_context(self) -> llama_cpp.llama_context_p | None:
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = CONTEXT_TOKENS
        parameters.n_batch = parameters.n_ubatch = BATCH_TOKENS
        parameters.n_seq_max = SEQUENCES
        parameters.kv_unified = True
        parameters.n_threads = parameters.n_threads_batch = self._threads
        return llama_cpp.llama_init_from_model(self._model, parameters)

    @property
    def chat_template(self) -> str | None:
        """The chat template that the file carries."""
        template = llama_cpp.llama_model_chat_template(self._model, None)
        return template.decode() if template else None

    def tokenize(self, text: str) -> list[int]:
        """Return the token ids of a text, with the token that begins a sequence if it has one."""
        return self._tokens(text, rendered=False)

    def _tokens(self, text: str, *, rendered: bool) -> list[int]:
        """Return token ids; of a rendered chat, which has its control tokens in it."""
        data = text.encode()
        room = len(data) + 8
        tokens = (llama_cpp.llama_token * room)()
        count = llama_cpp.llama_tokenize(
            self._vocabulary,
            data,
            len(data),
            tokens,
            room,
            not rendered,  # whether special tokens are added
            rendered,  # and whether they are parsed
        )
        return list(tokens[:count])

    def detokenize(self, tokens: Sequence[int]) -> str:
        """Return the text of token ids, control tokens left out."""
        buffer = ctypes.create_string_buffer(256)
        pieces = []
        for token in tokens:
            size = llama_cpp.llama_token_to_piece(
                self._vocabulary,
                token,
                buffer,
                len(buffer),
                0,
                False,  # noqa: FBT003  no control tokens
            )
            pieces.append(buffer.raw[: max(size, 0)])
        return b"".join(pieces).decode(errors="replace")

    def logits(self, tokens: Sequence[int]) -> Iterator[npt.NDArray[np.float32]]:
        """Yield (positions, vocabulary) blocks of one sequence; each is valid until the next."""
        self._forget()
        for start in range(0, len(tokens), BATCH_TOKENS):
            batch = tokens[start : start + BATCH_TOKENS]
            yield self._decode([(token, start + i, 0) for i, token in enumerate(batch)])

    def draw(
        self, openers: Sequence[str], length: int, random: np.random.Generator
    ) -> list[list[int]]:
        """Return one sequence for each opener, continued at temperature 1 up to `length`.

        A sequence ends early where the model ends it.
        """
        sequences = [self.tokenize(opener) for opener in openers]
        self._continue(
            sequences, [length] * len(sequences), lambda logits: sampling.draw(logits, random)
        )
        return sequences

    def answers(self, prompts: Sequence[str], max_tokens: int) -> list[str] | None:
        """Return the likeliest answers in the model's own chat template; None if it has none.

        They are drawn side by side, as many as the context holds: a token of all takes little
        longer than a token of one.
        """
        if not self.chat_template:
            return None
        begun = [self._tokens(self._rendered(prompt), rendered=True) for prompt in prompts]
        sequences = [[*tokens] for tokens in begun]
        lengths = [len(tokens) + max_tokens for tokens in begun]
        count = min(SEQUENCES, max(1, CONTEXT_TOKENS // max(lengths)))
        for start in range(0, len(sequences), count):
            some = slice(start, start + count)
            self._continue(sequences[some], lengths[some], lambda logits: logits.argmax(axis=1))
        return [
            self.detokenize(sequence[len(tokens) :])
            for sequence, tokens in zip(sequences, begun, strict=True)
        ]

    def _continue(self, sequences: Sequence[list[int]], lengths: Sequence[int], draw: Draw) -> None:
        """Append tokens in place; a sequence ends at its length or where the model ends it."""
        self._forget()
        last = [self._prompt(tokens, number) for number, tokens in enumerate(sequences)]
        drawn = draw(np.concatenate(last))
        alive = list(range(len(sequences)))
        while alive:
            for number, token in zip(alive, drawn, strict=True):
                sequences[number].append(int(token))
            alive = [
                n for n in alive if len(sequences[n]) < lengths[n] and not self._ends(sequences[n])
            ]
            if alive:
                cells = [(sequences[n][-1], len(sequences[n]) - 1, n) for n in alive]
                drawn = draw(self._decode(cells))

    def _rendered(self, prompt: str) -> str:
        """Return one question in the chat template, as a sandbox renders it."""
        formatter = Jinja2ChatFormatter(
            template=self.chat_template or "",
            eos_token=self._piece(llama_cpp.llama_vocab_eos(self._vocabulary)),
            bos_token=self._piece(llama_cpp.llama_vocab_bos(self._vocabulary)),
        )
        return str(formatter(messages=[{"role": "user", "content": prompt}]).prompt)

    def _piece(self, token: int) -> str:
        """Return the text of a control token; of a model that has none of the kind, nothing."""
        text = llama_cpp.llama_vocab_get_text(self._vocabulary, token) if token >= 0 else b""
        return bytes(text).decode(errors="replace")

    def _prompt(self, tokens: Sequence[int], sequence: int) -> npt.NDArray[np.float32]:
        """Return the logits after a prompt, which may be longer than a batch."""
        cells = [(token, position, sequence) for position, token in enumerate(tokens)]
        *before, last = range(0, len(cells), BATCH_TOKENS)
        for start in before:
            self._decode(cells[start : start + BATCH_TOKENS])
        return self._decode(cells[last:])[-1:].copy()

    def _ends(self, tokens: Sequence[int]) -> bool:
        return bool(llama_cpp.llama_vocab_is_eog(self._vocabulary, tokens[-1]))

    def _forget(self) -> None:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)  # noqa: FBT003  data too

    def _decode(self, cells: Sequence[tuple[int, int, int]]) -> npt.NDArray[np.float32]:
        """Return the logits of (token, position, sequence) triples, in their order."""
        batch = llama_cpp.llama_batch_init(len(cells), 0, 1)
        try:
            batch.n_tokens = len(cells)
            for i, (token, position, sequence) in enumerate(cells):
                batch.token[i], batch.pos[i], batch.logits[i] = token, position, 1
                batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
            status = llama_cpp.llama_decode(self._context, batch)
        finally:
            llama_cpp.llama_batch_free(batch)
        if status != 0:
            message = f"{self._path.name}: decoding failed with status {status}"
            raise EngineFailed(message)
        pointer = llama_cpp.llama_get_logits(self._context)
        shape = (len(cells), self.vocabulary_size)
        logits: npt.NDArray[np.float32] = np.ctypeslib.as_array(pointer, shape=shape)
        return logits
