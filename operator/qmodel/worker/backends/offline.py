"""No network, and no code of a model's: imported before the libraries that it tells so.

They read the environment when they are imported themselves. A step that reaches a source must not
import this.
"""

import os
from typing import Any

ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TQDM_DISABLE": "1"}
"""No request, and no bars among the lines of a log."""
LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
"""What every call that reads a folder is told."""

os.environ.update(ENVIRONMENT)
