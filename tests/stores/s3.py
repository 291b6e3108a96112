"""versitygw: objects as files of a folder, spoken to by S3."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import obstore
from obstore.store import S3Store

from cluster import binaries
from stores.process import HOST, free_port, serving

ACCESS_KEY_ID = "reader"
SECRET_ACCESS_KEY = "s3-secret-of-the-tests"  # noqa: S105 - the test server's own
REGION = "eu-test-1"


@dataclass(frozen=True)
class S3Server:
    """A running server."""

    url: str
    data: Path
    """Folder of buckets."""

    def make_bucket(self, name: str) -> None:
        """Make a bucket."""
        (self.data / name).mkdir(exist_ok=True)

    def put(self, bucket: str, objects: Mapping[str, bytes | Path]) -> None:
        """Upload objects by their keys."""
        store = S3Store(
            bucket,
            endpoint=self.url,
            region=REGION,
            access_key_id=ACCESS_KEY_ID,
            secret_access_key=SECRET_ACCESS_KEY,
            client_options={"allow_http": True},
        )
        for key, content in objects.items():
            obstore.put(store, key, content)

    def put_folder(self, bucket: str, prefix: str, folder: Path) -> None:
        """Upload the files of a folder."""
        files = sorted(path for path in folder.iterdir() if path.is_file())
        self.put(bucket, {f"{prefix}/{path.name}": path for path in files})


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Run a server over a folder, which may hold what an earlier one left."""
    data, metadata = folder / "objects", folder / "metadata"
    for each in (data, metadata):
        each.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [binaries.versitygw(), "--port", f"{HOST}:{port}", "--region", REGION, "--quiet"]
    command += ["posix", "--sidecar", metadata, data]
    environment = {"ROOT_ACCESS_KEY": ACCESS_KEY_ID, "ROOT_SECRET_KEY": SECRET_ACCESS_KEY}
    with serving(command, port, folder / "s3.log", environment):
        yield S3Server(f"http://{HOST}:{port}", data)
