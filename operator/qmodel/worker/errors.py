"""Errors of a step: the type says why, and whether trying again can help."""

from datetime import timedelta
from typing import ClassVar


class StepError(Exception):
    """A step cannot go on.

    `reason` goes to the condition; without `retry_after` a person must act.
    """

    reason: ClassVar[str] = "StepFailed"
    retry_after: ClassVar[timedelta | None] = None


class RepositoryNotFound(StepError):
    """The hub knows no such repository, or hides it without a token."""

    reason = "RepositoryNotFound"


class RevisionNotFound(StepError):
    """The repository has no such branch, tag or commit."""

    reason = "RevisionNotFound"


class AccessDenied(StepError):
    """The repository is gated or private and the token does not open it."""

    reason = "AccessDenied"


class HubUnavailable(StepError):
    """The hub does not answer, is overloaded or limits the rate."""

    reason = "HubUnavailable"
    retry_after = timedelta(seconds=15)


class ChecksumMismatch(StepError):
    """The bytes received are not those that the hub announced."""

    reason = "ChecksumMismatch"


class SourceNotFound(StepError):
    """The path on the claim does not exist or holds no model."""

    reason = "SourceNotFound"


class SourceInvalid(StepError):
    """The model's files contradict themselves or are damaged."""

    reason = "SourceInvalid"


class UnsupportedModel(StepError):
    """The model is sound, but cannot be quantized or served here."""

    reason = "UnsupportedModel"


class UnsafeModel(StepError):
    """The model asks to run code or is stored as pickle."""

    reason = "UnsafeModel"


class DiskFull(StepError):
    """The volume has no room."""

    reason = "DiskFull"


class ArtifactDamaged(StepError):
    """The artifact on the volume is not what its manifest says."""

    reason = "ArtifactDamaged"


class TextInvalid(StepError):
    """The user's text cannot be used."""

    reason = "TextInvalid"


class OutOfMemory(StepError):
    """A process of the step was killed for memory."""

    reason = "OOMKilled"


class EngineFailed(StepError):
    """The engine refused its arguments or died."""

    reason = "EngineFailed"
