"""Hub and operator, brought as the demo brings them, without its talk."""

import io

from rich.console import Console

from demo import marks, story
from demo.commands import Commands
from qmodel.settings import IMAGE_VARIABLES


def install_hub(commands: Commands, image: str) -> str:
    """Start the test hub; return its address inside the cluster.

    The first that changes a cluster: where another operator is, nothing is brought.
    """
    marks.refuse_other_operator(commands)
    return story.install_hub(_quiet(), commands, image)


def install_operator(commands: Commands, images: dict[str, str], endpoint: str, *more: str) -> None:
    """Install the operator by its chart, or bring it to these images and endpoint.

    What `more` has goes to helm.
    """
    story.install_operator(_quiet(), commands, images, endpoint, *more)


def image_variables(references: dict[str, str]) -> dict[str, str]:
    """Return the variables that name the images to an operator in a shell."""
    return {
        variable: references[story.BUILT_AS.get(name, name.replace("_", "-"))]
        for name, variable in IMAGE_VARIABLES.items()
    }


def _quiet() -> Console:
    return Console(file=io.StringIO())
