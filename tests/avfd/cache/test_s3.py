"""The cache on an S3 server of this machine."""

from __future__ import annotations

import urllib.request
import warnings

import numpy as np
import pytest
import zarr

from avfd.cache import Cache
from avfd.errors import InputError, StoreError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    moto_server = pytest.importorskip("moto.server", reason="moto[server] is not installed")


@pytest.fixture(scope="module")
def endpoint():
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def store(endpoint, monkeypatch):
    """URL in an empty bucket, with dummy credentials in the environment."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "dummy")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    for path, method in (("moto-api/reset", "POST"), ("bucket", "PUT")):
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{path}", method=method)).close()
    return "s3://bucket/below/set"


@pytest.fixture
def remote(store, tmp_path, make):
    cache = Cache.open(store, dataset="set", lock_path=tmp_path / "set.lock", create=True)
    cache.update_clips(make.entries(10))
    cache.ensure_column("mel", make.spec, "f" * 64, {})
    return cache


def test_the_road_on_s3(remote, store, make, tmp_path):
    reader = remote.snapshot()
    remote.write({"mel": [make.done(i) for i in range(10)]})
    again = Cache.open(store, dataset="set", lock_path=tmp_path / "set.lock")
    for key, data in again.snapshot().column("mel").iterate(reader.keys):
        np.testing.assert_array_equal(data.values, make.values(reader.entry(key)))
    assert again.verify() == []
    # Nothing is older than the grace period.
    assert again.gc().bytes_freed == 0
    assert again.gc(dry_run=True).bytes_freed is None
    assert reader.column("mel").statuses(reader.keys).tolist() == [0] * 10


def test_a_commit_of_another_machine_makes_the_write_run_again(remote, store, make, tmp_path):
    """The other machine has a lock file of its own, so only the commit can tell."""
    elsewhere = Cache.open(store, dataset="set", lock_path=tmp_path / "other" / "set.lock")
    runs = []

    def body(root: zarr.Group) -> None:
        runs.append(root["mel/status"][:4].tolist())
        if len(runs) == 1:
            elsewhere.write({"mel": [make.done(1), make.done(2)]})
        root["mel/reason"][5:6] = np.array([f"run {len(runs)}"], dtype=object)

    remote._store.change("race", body)
    assert runs == [[0, 0, 0, 0], [0, 1, 1, 0]]
    column = remote.snapshot().column("mel")
    assert column.statuses([make.key(1), make.key(2)]).tolist() == [1, 1]
    assert column.reasons([make.key(5)]) == ["run 2"]


def test_a_store_that_is_not_there_says_so(store, tmp_path):
    lock = tmp_path / "set.lock"
    with pytest.raises(StoreError, match="the cache's store cannot be used"):
        Cache.open("s3://no-such-bucket/set", dataset="set", lock_path=lock, create=True)


def test_plain_http_beyond_this_machine_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store.example")
    with pytest.raises(InputError, match="not encrypted"):
        Cache.open("s3://bucket/x", dataset="x", lock_path=tmp_path / "x.lock")
