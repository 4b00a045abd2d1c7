"""Access to MLflow's tracking, and replacing the MLmodel file of logged artifacts.

This module uses only the public client of the installed MLflow, and therefore its configured tracking server,
artifact store and credentials.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sparksig.errors import ModelError, ModelNotFoundError, UnsupportedError
from sparksig.models.directory import ModelDirectory
from sparksig.models.registry import download_from_mlflow, hide_credentials, redact_uri, require_mlflow
from sparksig.models.seal import MLMODEL, SEAL, build_missing_file_error, format_seal, hash_files

_LOGGED_MODEL = re.compile(r"models:/+([^/@]+)/*")
_RUN_ARTIFACT = re.compile(r"runs:/+([^/]+)/+(.+?)/*")


def replace_logged_mlmodel(uri: str, change: Callable[[ModelDirectory], None]) -> None:
    """Download a logged model, change its MLmodel file, and upload that file and the seal.

    The directory matches its seal at any time: during the replacement, the seal accepts both versions of
    MLmodel.
    """
    require_mlflow(f"setting the signature of {uri!r}")
    upload = _create_uploader(uri)
    with tempfile.TemporaryDirectory(prefix="sparksig-logged-") as home:
        path = download_from_mlflow(uri, Path(home), is_model=True)
        if not (path / MLMODEL).is_file():
            raise build_missing_file_error(uri)
        directory = ModelDirectory.read(path)
        change(directory)
        seal = path / SEAL
        if not seal.is_file():
            upload(path / MLMODEL)
            return
        final = seal.read_bytes()
        seal.write_bytes(format_seal(hash_files(path), [(MLMODEL, directory.mlmodel_digest)]))
        upload(seal)
        upload(path / MLMODEL)
        seal.write_bytes(final)
        upload(seal)


def _create_uploader(uri: str) -> Callable[[Path], None]:
    """Return a function that uploads a file to the root of a logged model's artifacts."""
    failure = f"cannot set the signature of {uri!r}"
    logged = _LOGGED_MODEL.fullmatch(uri)
    artifact = _RUN_ARTIFACT.fullmatch(uri)
    if logged is None and artifact is None:
        raise UnsupportedError(
            f"{failure}: a registered model version is immutable. Download the model "
            "(mlflow.artifacts.download_artifacts), call set_signature on that directory, and register it as "
            "a new version"
        )
    import mlflow

    with convert_client_errors(failure):
        client = mlflow.MlflowClient()
    model_id = logged[1] if logged else _find_model(client, uri, *artifact.groups())  # type: ignore[union-attr]

    def upload(file: Path) -> None:
        with convert_client_errors(failure):
            if model_id is not None:
                client.log_model_artifact(model_id, str(file))
            elif artifact is not None:
                client.log_artifact(artifact[1], str(file), artifact[2])

    return upload


def _find_model(client: Any, uri: str, run_id: str, name: str) -> str | None:
    """Return the id of a run's newest logged model with this name; None for plain artifacts of the run."""
    with convert_client_errors(f"cannot read {uri!r}", missing=ModelNotFoundError):
        run = client.get_run(run_id)
        outputs = run.outputs.model_outputs if run.outputs else []
        models = [client.get_logged_model(output.model_id) for output in outputs]
    matching = [model for model in models if model.name == name]
    return str(max(matching, key=lambda model: model.creation_timestamp).model_id) if matching else None


@contextlib.contextmanager
def convert_client_errors(failure: str, missing: type[ModelError] = ModelError) -> Iterator[None]:
    """Convert any error of the MLflow client to a ModelError with its reason."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        is_missing = isinstance(error, MlflowException) and error.error_code == "RESOURCE_DOES_NOT_EXIST"
        reason = hide_credentials(str(error).partition("\n")[0]) or type(error).__name__
        raise (missing if is_missing else ModelError)(f"{redact_uri(failure)}: {reason}") from error
