"""Saving a model and logging the directory to MLflow."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparksig.errors import ModelError, name_type
from sparksig.models.directory import ModelDirectory, replace_mlmodel
from sparksig.models.info import ModelInfo, get_model_info
from sparksig.models.registry import require_mlflow
from sparksig.models.saving import save_model
from sparksig.models.tracking import convert_client_errors

if TYPE_CHECKING:
    from sparksig.signature import ModelSignature


def log_model(
    model: Any = None,
    name: str | None = None,
    signature: ModelSignature | None = None,
    *,
    input_example: Any = None,
    registered_model_name: str | None = None,
    run_id: str | None = None,
    model_type: str | None = None,
    tags: Mapping[str, Any] | None = None,
    step: int = 0,
    await_registration_for: int = 300,
    **options: Any,
) -> ModelInfo:
    """Save a model as :func:`~sparksig.save_model` does, and log the directory to MLflow as a logged model.

    The model belongs to the run ``run_id``, else to the active run. Without an active run, ``log_model``
    starts and ends one. It creates nothing in MLflow unless the model was saved successfully.

    Args:
        model: a model that :func:`~sparksig.save_model` accepts.
        name: the name of the logged model; ``runs:/<run_id>/<name>`` finds it. None for a name that
            MLflow makes up.
        signature: as in :func:`~sparksig.save_model`.
        input_example: as in :func:`~sparksig.save_model`.
        registered_model_name: also register the model as a new version of this registered model.
        run_id: the run that the model belongs to.
        model_type: a type for MLflow's search, for example ``"forecast"``.
        tags: tags of the logged model; values are written as text.
        step: the training step that the model is an output of.
        await_registration_for: seconds to wait until the new version is ready.
        options: the other arguments of :func:`~sparksig.save_model`.

    Returns:
        The description of the logged model, with ``model_uri`` (``models:/<model_id>``), ``run_id``,
        ``model_id`` and, where it was registered, ``registered_model_version``.

    Raises:
        MissingDependencyError: MLflow is not installed.
        ModelError: MLflow refuses a step, with its reason, or :func:`~sparksig.save_model` fails.

    Example:
        >>> import os, tempfile
        >>> os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{tempfile.mkdtemp()}/mlflow.db"
        >>> log_model(name="doubled")
        Traceback (most recent call last):
        sparksig.errors.ModelError: log_model needs a model: log_model(model, name="...")
    """
    require_mlflow("log_model")
    if model is None and options.get("loader_module") is None:
        raise ModelError('log_model needs a model: log_model(model, name="...")')
    if name is not None and not isinstance(name, str):
        raise ModelError(f"name: expected text, got {name_type(name)}")
    with tempfile.TemporaryDirectory(prefix="sparksig-logged-") as home:
        path = Path(home) / "model"
        save_model(path, model, signature, input_example=input_example, **options)
        with _open_run(run_id) as run:
            info = _upload(path, run, name, model_type, tags, step)
    if registered_model_name is None:
        return info
    import mlflow

    with convert_client_errors(f"{info.model_uri} cannot be registered as {registered_model_name!r}"):
        version = mlflow.register_model(
            info.model_uri, registered_model_name, await_registration_for=await_registration_for
        )
    return replace(info, registered_model_version=str(version.version))


def _upload(
    path: Path, run: Any, name: str | None, model_type: str | None, tags: Mapping[str, Any] | None, step: int
) -> ModelInfo:
    """Create the logged model, upload the directory, and mark the model as ready."""
    import mlflow
    from mlflow.entities import LoggedModelOutput

    with convert_client_errors("the model cannot be logged"):
        client = mlflow.MlflowClient()
        logged = client.create_logged_model(
            run.info.experiment_id,
            name,
            source_run_id=run.info.run_id,
            tags={str(key): str(value) for key, value in (tags or {}).items()},
            params=run.data.params,
            model_type=model_type,
        )
    model_id = logged.model_id
    directory = ModelDirectory.read(path)
    identity = {
        "artifact_path": logged.artifact_location,
        "run_id": run.info.run_id,
        "model_id": model_id,
        "model_uuid": model_id,
    }
    replace_mlmodel(directory, {**directory.config, **identity})
    try:
        with convert_client_errors(f"the model {model_id} cannot be logged"):
            client.log_outputs(run.info.run_id, [LoggedModelOutput(model_id, step)])
            client.log_model_artifacts(model_id, str(path))
            client.finalize_logged_model(model_id, "READY")
    except ModelError:
        with contextlib.suppress(Exception):  # the first failure is the one to report
            client.finalize_logged_model(model_id, "FAILED")
        raise
    return replace(get_model_info(path), model_uri=f"models:/{model_id}")


@contextlib.contextmanager
def _open_run(run_id: str | None) -> Iterator[Any]:
    """Yield the run with this id, else the active run, else a new run that is ended afterwards."""
    import mlflow

    if run_id is None and (active := mlflow.active_run()) is not None:
        run_id = active.info.run_id
    if run_id is not None:
        with convert_client_errors("the run cannot be read"):
            run = mlflow.get_run(run_id)
        yield run
        return
    with convert_client_errors("a run cannot be started"):
        own_run = mlflow.start_run()
    try:
        yield own_run
    except BaseException:
        mlflow.end_run("FAILED")
        raise
    mlflow.end_run()
