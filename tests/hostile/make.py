"""Write every hostile model, each into a folder of its trick's name: `python -m hostile.make OUT`.

They are made when they are needed and not kept: some are large (and sparse), and scanners rightly
complain about the rest.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

from hostile import (
    chats,
    code,
    configs,
    disguises,
    gguf_headers,
    good,
    headers,
    paths,
    tokenizers,
)
from hostile.trick import Trick

_TABLES: tuple[Mapping[str, Trick], ...] = (
    disguises.TRICKS,
    code.TRICKS,
    paths.TRICKS,
    headers.TRICKS,
    gguf_headers.TRICKS,
    configs.TRICKS,
    chats.TRICKS,
    tokenizers.TRICKS,
)
TRICKS: Mapping[str, Trick] = {name: trick for table in _TABLES for name, trick in table.items()}


def make(name: str, out: Path) -> Trick:
    """Write one hostile model below a folder; return what must be said of it."""
    good.write(out / name)
    TRICKS[name].build(out / name)
    return TRICKS[name]


def main() -> None:
    """Write all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder to write into")
    out = parser.parse_args().out
    for name in TRICKS:
        trick = make(name, out)
        print(f"{name}: {trick.reason}, {trick.file}, {trick.told}")
    print(f"{len(TRICKS)} hostile models in {out}")


if __name__ == "__main__":
    main()
