"""Using up a container's memory, and reading what it holds, from inside by exec."""

import subprocess
from collections.abc import Callable

from cluster.commands import wait_until
from demo.commands import Commands
from e2e.kube import Object
from e2e.models import PAUSE_SECONDS, Models, container_of

EATERS = 60
EATER_BYTES = 24 * 2**20
"""Each less than what is to be killed: the kernel takes the largest."""
EAT = f"""
import os, signal, time
def eat():
    held = bytearray({EATER_BYTES})
    for offset in range(0, len(held), 4096):
        held[offset] = 1
    time.sleep(60)
for _ in range({EATERS}):
    if os.fork() == 0:
        eat()
    time.sleep(0.05)
time.sleep(60)
"""
EXEC_SECONDS = 90


def use_up(commands: Commands, models: Models, pod: str, container: str) -> None:
    """Fill a container's memory until the kernel kills what holds most of it."""
    words = ["kubectl", "exec", "-n", models.namespace, pod, "-c", container]
    with subprocess.Popen(
        [*words, "--", "python", "-c", EAT],
        env=commands.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as eating:
        try:
            wait_until(
                f"{container} of {pod} was killed",
                lambda: eating.poll() is not None or has_ended(models, pod, container),
                EXEC_SECONDS,
                PAUSE_SECONDS,
            )
        finally:
            eating.kill()


def has_ended(models: Models, pod: str, container: str) -> bool:
    """Tell whether a container has ended, or ended before and started again."""
    found = models.kube.find(models.path("api/v1", "pods", pod))
    state = None if found is None else container_of(found, container)
    return state is None or "terminated" in state["state"] or state["restartCount"] > 0


def wait_running(
    models: Models,
    name: str,
    step: str,
    container: str,
    seconds: float,
    wanted: Callable[[Object], bool] = lambda _: True,
) -> str:
    """Wait until a container of a model's step, or of its server, runs; return the pod's name."""
    running: list[str] = []

    def runs() -> bool:
        for pod in models.pods(name, step):
            state = container_of(pod, container)
            if state is not None and "running" in state["state"] and wanted(pod):
                running.append(pod["metadata"]["name"])
        return bool(running)

    wait_until(f"a container {container} of {name} runs", runs, seconds, PAUSE_SECONDS)
    return running[0]


def wait_said(
    commands: Commands, models: Models, pod: str, words: str, seconds: float = 60
) -> None:
    """Wait until the log of a pod of a Job has these words."""
    wait_until(
        f"{pod} said {words!r}",
        lambda: words in commands.kubectl("logs", "-n", models.namespace, pod),
        seconds,
        PAUSE_SECONDS,
    )
