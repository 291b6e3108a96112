"""What inspect and fetch are told of each kind of source, and given to reach it."""

from dataclasses import replace
from typing import Any

import pytest

from qmodel.api.source import Source
from qmodel.planner.installation import ConfigMapFile
from qmodel.planner.sources import source_access, source_name, source_task
from qmodel.planner.wishes import SecretFiles, SourceAccess
from qmodel.worker.task import CREDENTIALS, PULL_SECRET_FILE, HubSource, OCISource, S3Source
from unit.planner.values import INSTALLATION

SECRET = {"name": "reader"}


def source(**members: Any) -> Source:
    return Source.model_validate(members)


def test_a_bucket() -> None:
    place = {"uri": "s3://models/smollm2", "endpoint": "https://s3.test"}
    found = source(s3={**place, "credentialsSecretRef": SECRET})
    assert source_task(found, INSTALLATION) == S3Source(
        **place, region="us-east-1", credentials=CREDENTIALS
    )
    keys = ("accessKeyId", "secretAccessKey", "sessionToken")
    access = SourceAccess(credentials=SecretFiles("reader", {key: key for key in keys}))
    assert source_access(found, INSTALLATION) == access
    assert source_name(found) == "s3://models/smollm2"
    assert source_access(source(s3=place), INSTALLATION) == SourceAccess()


def test_an_artifact() -> None:
    found = source(oci={"reference": "registry.test/a/b:1", "pullSecretRef": SECRET})
    assert source_task(found, INSTALLATION) == OCISource(
        reference="registry.test/a/b:1", pull_secret=PULL_SECRET_FILE
    )
    access = SourceAccess(credentials=SecretFiles("reader", {".dockerconfigjson": "config.json"}))
    assert source_access(found, INSTALLATION) == access
    assert source_name(found) == "registry.test/a/b:1"


def test_patterns_of_a_repository() -> None:
    patterns = {"include": ["Q4/*"], "exclude": ["*.md"]}
    task = source_task(source(huggingFace={"repository": "a/b", **patterns}), INSTALLATION)
    assert isinstance(task, HubSource)
    assert (task.include, task.exclude) == (["Q4/*"], ["*.md"])


@pytest.mark.parametrize("kind", ["s3", "oci", "huggingFace", "persistentVolumeClaim"])
def test_proxy_and_certificates_are_for_sources_over_the_network(kind: str) -> None:
    closed = replace(
        INSTALLATION,
        source_env={"HTTPS_PROXY": "http://proxy:3128"},
        ca_bundle=ConfigMapFile("trust", "bundle.pem"),
        sources_allow_insecure=True,
    )
    place: dict[str, dict[str, Any]] = {
        "s3": {"uri": "s3://models"},
        "oci": {"reference": "registry.test/a"},
        "huggingFace": {"repository": "a/b"},
        "persistentVolumeClaim": {"claimName": "models"},
    }
    access = source_access(source(**{kind: place[kind]}), closed)
    if kind == "persistentVolumeClaim":
        assert access == SourceAccess(claim="models")
    else:
        assert access.ca_bundle == ConfigMapFile("trust", "bundle.pem")
        assert access.env == {
            "HTTPS_PROXY": "http://proxy:3128",
            "SSL_CERT_FILE": "/certificates/ca.crt",
        }
