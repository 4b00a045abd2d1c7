"""Servers on this machine: MLflow's tracking and scoring, and an object store that speaks S3."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import sparksig

ROOT = Path(sparksig.__file__).parents[1]


@contextlib.contextmanager
def running(home, health, *arguments):
    """``python -m mlflow ARGUMENTS`` on a free port, in a new process group; its address."""
    port = _free_port()
    env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", "")])  # uvicorn
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [env.get("PYTHONPATH")])])
    where = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    home.mkdir(parents=True, exist_ok=True)
    with (home / "log").open("wb") as log:
        command = [sys.executable, "-m", "mlflow", *map(str, arguments), *where]
        process = subprocess.Popen(
            command, cwd=home, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _wait(process, f"http://127.0.0.1:{port}{health}", home / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            _stop(process)


def _free_port():
    with socket.socket() as value:
        value.bind(("127.0.0.1", 0))
        return value.getsockname()[1]


def _wait(process, url, log, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.05)
    raise RuntimeError(f"no answer from {url}\n{log.read_text()[-3000:]}")


def _stop(process):
    """The server and its child processes."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)


def tracking(home):
    """A tracking server that keeps its records in SQLite, and hands out artifacts itself; its address."""
    store, artifacts = f"sqlite:///{home}/mlflow.db", home / "artifacts"
    return running(
        home, "/health", "server", "--backend-store-uri", store, "--artifacts-destination", artifacts
    )


def scoring(home, model):
    """A server that scores with a model directory; its address."""
    return running(home, "/ping", "models", "serve", "--model-uri", model, "--env-manager", "local")


def ask(address, body):
    """The status and the answer of a scoring server; the body is JSON text, or becomes it."""
    text = body if isinstance(body, str) else json.dumps(body)
    request = urllib.request.Request(
        f"{address}/invocations", text.encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


class Bucket:
    """A bucket in an object store on this machine, in memory."""

    def __init__(self, client, endpoint, name):
        self.client, self.endpoint, self.name = client, endpoint, name

    def put(self, key, body=b""):
        self.client.put_object(Bucket=self.name, Key=key, Body=body)

    def upload(self, directory, prefix):
        """Replace the objects below a prefix by the files of a directory."""
        for key in self.keys(f"{prefix}/"):
            self.client.delete_object(Bucket=self.name, Key=key)
        for file in directory.rglob("*"):
            if file.is_file():
                self.put(f"{prefix}/{file.relative_to(directory).as_posix()}", file.read_bytes())

    def keys(self, prefix):
        entries = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix).get("Contents", [])
        return [entry["Key"] for entry in entries]

    def uri(self, path, bucket=None, user=""):
        place = f"{bucket or self.name}/{path}"
        return f"s3://{user}{place}?endpoint_override={self.endpoint}&scheme=http&region=us-east-1"


KEYS = {"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "verysecret"}


@contextlib.contextmanager
def bucket(name="models"):
    """A bucket of that name in a new store."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        endpoint = "{}:{}".format(*server.get_host_and_port())
        client = boto3.client(
            "s3",
            endpoint_url=f"http://{endpoint}",
            region_name="us-east-1",
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        )
        client.create_bucket(Bucket=name)
        yield Bucket(client, endpoint, name)
        client.close()
    finally:
        server.stop()
