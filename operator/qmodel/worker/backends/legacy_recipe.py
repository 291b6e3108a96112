"""What AutoAWQ and AutoGPTQ can be asked for, and the samples in the form that they take.

No library is needed for this; where each refusal comes from stands in docs/methods.md.
"""

from collections.abc import Collection, Sequence

from qmodel.api.methods import AWQOptions, Backend, GPTQOptions
from qmodel.worker.backends.tokens import windows
from qmodel.worker.errors import TextInvalid, UnsupportedModel

LM_HEAD = "lm_head"
ALTERNATIVE = f"use quantization.backend {Backend.LLM_COMPRESSOR.value}"


def check_awq(options: AWQOptions, ignore: Collection[str]) -> None:
    """Refuse what AutoAWQ cannot do: it needs zero points and groups.

    Raises
    ------
    UnsupportedModel
        Naming what can.
    """
    if options.symmetric:
        _refuse(f"AutoAWQ packs no symmetric weights: set awq.symmetric false or {ALTERNATIVE}")
    if options.group_size < 0:
        _refuse(f"AutoAWQ needs groups: set awq.groupSize or {ALTERNATIVE}")
    _check_ignored(ignore, Backend.AUTO_AWQ)


def check_gptq(options: GPTQOptions, ignore: Collection[str]) -> None:
    """Refuse what AutoGPTQ does wrongly: it stores each zero point less one, 0 as -1.

    That -1 overwrites the zero points which share its 32-bit word, so asymmetric weights come out
    wrong wherever a group has no negative weight.

    Raises
    ------
    UnsupportedModel
        Naming what can.
    """
    if not options.symmetric:
        _refuse(f"AutoGPTQ spoils zero points: set gptq.symmetric true or {ALTERNATIVE}")
    _check_ignored(ignore, Backend.AUTO_GPTQ)


def rows(sequences: Sequence[Sequence[int]], length: int) -> list[list[int]]:
    """Return samples as AutoAWQ joins them: rows of one length, end to end.

    Joined here, nothing is left for the library to drop without a word: it skips samples that are
    longer than asked and what does not fill a last row.

    Parameters
    ----------
    sequences
        Token ids.
    length
        Tokens of a row; fewer if there are not so many.

    Raises
    ------
    TextInvalid
        If there is no token.
    """
    count = sum(map(len, sequences))
    if not count:
        message = "the calibration samples hold no token"
        raise TextInvalid(message)
    return windows(sequences, min(length, count))


def _check_ignored(ignore: Collection[str], backend: Backend) -> None:
    """Refuse to keep what the library would quantize; the output layer it always keeps."""
    if others := sorted(set(ignore) - {LM_HEAD}):
        _refuse(
            f"{backend.value} quantizes every linear layer of a block and keeps {LM_HEAD}, so it"
            f" cannot keep {', '.join(others)}: {ALTERNATIVE}"
        )


def _refuse(message: str) -> None:
    raise UnsupportedModel(message)
