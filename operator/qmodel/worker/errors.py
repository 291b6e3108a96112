"""Errors of a step: the type says why, and whether trying again can help."""

# ruff: noqa: N818  the names are the reasons that conditions show

from datetime import timedelta
from typing import ClassVar


class StepError(Exception):
    """A step cannot go on.

    `reason` goes to the condition; without `retry_after` a person must act. One instance may
    know better than its class when to try again, as where a server says so.
    """

    reason: ClassVar[str] = "StepFailed"
    retry_after: timedelta | None = None


class RepositoryNotFound(StepError):
    """The hub knows no such repository, or hides it without a token."""

    reason = "RepositoryNotFound"


class RevisionNotFound(StepError):
    """The repository has no such branch, tag or commit."""

    reason = "RevisionNotFound"


class AccessDenied(StepError):
    """The source is gated or private and the credentials do not open it."""

    reason = "AccessDenied"


class SecretMissing(StepError):
    """A Secret that spec names, or its key, is not there yet."""

    reason = "SecretMissing"
    retry_after = timedelta(seconds=15)


class SourceUnavailable(StepError):
    """The server of a source does not answer, is overloaded or limits the rate."""

    reason = "SourceUnavailable"
    retry_after = timedelta(seconds=15)


class HubUnavailable(SourceUnavailable):
    """The hub does not answer, is overloaded or limits the rate."""

    reason = "HubUnavailable"


class EndpointRefused(StepError):
    """The installation does not let models come from there."""

    reason = "EndpointRefused"


class CertificatesMissing(StepError):
    """The ConfigMap with the certificates that the installation trusts is not there yet."""

    reason = "CertificatesMissing"
    retry_after = timedelta(seconds=15)


class WrongRegion(StepError):
    """The bucket lies in another region than requests are signed for."""

    reason = "WrongRegion"


class ChecksumMismatch(StepError):
    """The bytes received are not those that the source announced."""

    reason = "ChecksumMismatch"


class SourceNotFound(StepError):
    """The path, bucket or artifact does not exist or holds no model."""

    reason = "SourceNotFound"


class SourceInvalid(StepError):
    """The model's files contradict themselves or are damaged."""

    reason = "SourceInvalid"


class SourceChanged(StepError):
    """The source is not what it was when it was inspected."""

    reason = "SourceChanged"
    retry_after = timedelta(seconds=15)


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


class TextMissing(StepError):
    """The user's text is not there yet."""

    reason = "TextMissing"
    retry_after = timedelta(seconds=15)


class TextInvalid(StepError):
    """The user's text cannot be used."""

    reason = "TextInvalid"


class OutOfMemory(StepError):
    """A process of the step was killed for memory."""

    reason = "OOMKilled"


class EngineFailed(StepError):
    """The engine refused its arguments or died."""

    reason = "EngineFailed"


class Interrupted(StepError):
    """The step was asked to end before it was done."""

    reason = "Interrupted"
    retry_after = timedelta(seconds=5)


class TaskInvalid(StepError):
    """The step was started with a task that it cannot read."""

    reason = "TaskInvalid"
