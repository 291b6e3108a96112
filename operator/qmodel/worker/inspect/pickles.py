"""Pickles, told by what their operations do, in whatever protocol and under whatever name."""

import pickletools
import re

_NAME = re.compile(r"[A-Za-z_][\w.]* [A-Za-z_][\w.]*")
"""Module and attribute, as `pickletools` gives them."""
_IMPORTS = frozenset({"GLOBAL", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"})
_CALLS = frozenset({"REDUCE", "OBJ", "BUILD", "NEWOBJ", "NEWOBJ_EX"})


def runs_code(content: bytes) -> bool:
    """Whether bytes are a pickle that imports something and calls it, to the end or cut off.

    Protocols 0 and 1 have no signature, and every pickle may begin with operations that do
    nothing. So the operations are read, and none is carried out. A list of words can begin as a
    pickle does, but arguments for a call it does not prepare.
    """
    imported = prepared = False
    try:
        for operation, argument, _ in pickletools.genops(content):
            name = operation.name
            if name in ("GLOBAL", "INST") and not _NAME.fullmatch(str(argument)):
                return False
            imported = imported or name in _IMPORTS
            prepared = prepared or name == "MARK" or "TUPLE" in name
            if prepared and (name == "INST" or (imported and name in _CALLS)):
                return True
    except (ValueError, OverflowError):
        return False
    return False
