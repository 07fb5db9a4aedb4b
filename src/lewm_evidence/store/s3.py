"""Bundles in a bucket of an S3 API. Credentials, region and endpoint (AWS_ENDPOINT_URL) are boto3's own to find."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import boto3
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from lewm_evidence.errors import BundleError
from lewm_evidence.seal.tree import BLOCK


class S3:
    """The bucket and prefix of `s3://bucket/prefix`."""

    def __init__(self, where: str) -> None:
        place = where.removeprefix("s3://").strip("/")
        self.where = f"s3://{place}"
        self._bucket, _, prefix = place.partition("/")
        self._prefix = f"{prefix}/" if prefix else ""
        if not self._bucket:
            raise BundleError(f"{where!r} names no bucket; give s3://bucket or s3://bucket/prefix")
        with self._told(""):
            self._client = boto3.client("s3")

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, Boto3Error, ClientError) as error:
            raise BundleError(f"{self.where}/{name}: {error}") from error

    def sizes(self, names: Iterable[str]) -> dict[str, int]:
        """Returns the size in bytes of those of `names` that are there."""
        found = {}
        for name in names:
            try:
                answer = self._client.head_object(Bucket=self._bucket, Key=self._prefix + name)
                found[name] = int(answer["ContentLength"])
            except ClientError as error:
                if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") != 404:
                    raise BundleError(f"{self.where}/{name}: {error}") from error
            except BotoCoreError as error:
                raise BundleError(f"{self.where}/{name}: {error}") from error
        return found

    def put(self, files: Mapping[str, Path]) -> None:
        """Sends files by the name each gets there; large ones in parts, which only together become the object."""
        for name, source in files.items():
            with self._told(name):
                self._client.upload_file(str(source), self._bucket, self._prefix + name)

    def read(self, name: str) -> Iterator[bytes]:
        """Yields the content of an object in blocks."""
        with self._told(name):
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
            yield from answer["Body"].iter_chunks(BLOCK)

    def bundles(self) -> list[str]:
        """Returns the names of the objects below `bundles/`."""
        prefix = f"{self._prefix}bundles/"
        with self._told("bundles/"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            keys = [row["Key"] for page in pages for row in page.get("Contents", [])]
        return sorted(str(key).removeprefix(self._prefix) for key in keys)
