"""The whole resource as the API server keeps it."""

from pydantic import BaseModel, ConfigDict

from qmodel.api.spec import QuantizedModelSpec
from qmodel.api.status import QuantizedModelStatus


class QuantizedModel(BaseModel):
    """One QuantizedModel: the part of its metadata that decisions need, spec and status."""

    model_config = ConfigDict(frozen=True)

    name: str
    namespace: str
    uid: str
    generation: int
    deleting: bool = False
    spec: QuantizedModelSpec
    status: QuantizedModelStatus
