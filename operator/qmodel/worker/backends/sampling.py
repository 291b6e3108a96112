"""Drawing tokens from logits."""

import numpy as np
import numpy.typing as npt


def draw(logits: npt.NDArray[np.float32], random: np.random.Generator) -> npt.NDArray[np.intp]:
    """Draw a token for each row at temperature 1, by the Gumbel-max trick.

    Parameters
    ----------
    logits
        Unnormalised log-probabilities, (rows, vocabulary).
    """
    # In double precision: in single precision zeros are drawn, whose infinite noise always wins.
    noise = -np.log(random.standard_exponential(size=logits.shape))
    tokens: npt.NDArray[np.intp] = (logits + noise).argmax(axis=1)
    return tokens
