"""Error budgets that are spent early: the workers end the run instead of scoring all other rows."""

import pytest

from sparksig import ParamSchema, ParamSpec
from sparksig.errors import BudgetExceededError
from sparksig.jobs import score
from sparksig.jobs.job_run import get_report
from tests.spark import models, score_jobs

ROWS = 3000


def fail(frame, params):
    """Fail for every row, and note the call in the file that the params name."""
    with open(params["calls"], "a") as file:
        file.write("x")
    raise ValueError("no rate for this day")


def test_broken_model_ends_the_run_early(spark, tmp_path):
    (tmp_path / "calls").touch()
    model = models.save_python(
        tmp_path / "m",
        models.Returning(fail),
        {"x": "long"},
        {"y": "double"},
        ParamSchema([ParamSpec("calls", "string", str(tmp_path / "calls"))]),
    )
    score_jobs.table(tmp_path / "in", list(range(ROWS)))
    config = score_jobs.config_of(
        model, tmp_path, budget={"rows": 10}, spark={"spark.sql.files.openCostInBytes": 134217728}
    )
    text = (
        r"^at least [\d,]+ rows cannot be scored, and the budget is 10 rows; nothing was written\n.*no rate"
    )
    with pytest.raises(BudgetExceededError, match=text) as caught:
        score(config)
    assert get_report(caught.value).exit_code == 4
    assert len((tmp_path / "calls").read_text()) < ROWS / 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calls", "in", "m"]
