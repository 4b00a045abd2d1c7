"""Helpers for the tests of inference: ours without warnings, MLflow's without its log, and findings."""

from __future__ import annotations

import json
import logging
import signal
import warnings
from contextlib import contextmanager

import pytest

from sparksig import InferenceError, IntegerColumnWarning, infer_signature

ANYTHING = [{"type": "any", "required": True}]
"""What MLflow says where it gives up (or where it knows nothing)."""


def infer(model_input=None, model_output=None, params=None):
    """Ours, without the warning of integer columns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IntegerColumnWarning)
        return infer_signature(model_input, model_output, params)


def theirs(model_input=None, model_output=None, params=None):
    """MLflow's; where it gives up, it says so in its log and puts one Any in place of everything."""
    from mlflow.models import infer_signature as mlflow_infer_signature

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            return mlflow_infer_signature(model_input, model_output, params)
        finally:
            logging.disable(logging.NOTSET)


def find_problems(example=None, params=None):
    """Return the findings of an example that must have no signature."""
    with pytest.raises(InferenceError) as error:
        infer(example, params=params)
    assert error.value.findings
    return error.value.findings


def body(signature, side="inputs"):
    """One side's JSON as built-ins."""
    text = signature.to_dict()[side]
    return None if text is None else json.loads(text)


@contextmanager
def within(seconds):
    """Interrupt and fail a block that takes longer."""

    def stop(*_):
        raise TimeoutError(f"not done in {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
