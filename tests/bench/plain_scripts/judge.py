"""The worker's own judge, of what a plain script made: SOURCE OUT."""

import os
import sys
from pathlib import Path

from qmodel.worker import evaluate
from qmodel.worker.manifest import write_manifest
from qmodel.worker.progress import Progress
from qmodel.worker.task import EvaluateTask

source, out = sys.argv[1:]
write_manifest(Path(out), {})
threads = int(os.environ["OMP_NUM_THREADS"])
task = EvaluateTask(source_directory=source, directory=out, threads=threads)
print(evaluate.run(task, Progress("evaluate", sys.stderr)).model_dump_json(by_alias=True))
