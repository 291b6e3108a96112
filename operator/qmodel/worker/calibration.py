"""The text that an importance matrix is computed from."""

from pathlib import Path

from qmodel.worker.backends import LanguageModel, importance_matrix
from qmodel.worker.texts import passages, samples, user


def calibration_text(model: LanguageModel, user_file: Path | None) -> str:
    """Return the user's text, or the built-in passages and samples of the unquantized model.

    Raises
    ------
    TextInvalid
        If the user's text is not UTF-8 or too short.
    """
    if user_file is None:
        drawn = samples.CALIBRATION.draw(model)
        return "\n\n".join([*passages("calibration"), *map(model.detokenize, drawn)])
    text = user.read(user_file)
    user.require_tokens(len(model.tokenize(text)), importance_matrix.MIN_TOKENS, "calibration")
    return text
