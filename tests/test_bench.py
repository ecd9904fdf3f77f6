"""The benchmarks run, and all that they time arrives where others do."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import statsmodels.api as sm

from helpers.data import make_dataset

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "benchmarks"


def test_a_quick_run_arrives_where_statsmodels_does(tmp_path):
    numbers = tmp_path / "bench.json"
    bench = [sys.executable, FOLDER / "bench.py", "--quick"]
    subprocess.run([*bench, "--output", numbers], check=True, timeout=600)
    assert (tmp_path / "results.md").is_file()
    (run,) = json.loads(numbers.read_text("utf-8"))["runs"]
    ways = [way["weights"] for way in run["epochs"].values()]
    np.testing.assert_allclose(*ways, rtol=1e-4)
    for n, rows in run["fits"].items():
        x, y, label = make_dataset(jax.random.key(1), int(n))
        design = np.stack([x, y, np.ones(int(n))], axis=1, dtype=float)
        theirs = sm.Logit(np.asarray(label), design).fit(disp=0).params
        for row in rows.values():
            np.testing.assert_allclose(row["weights"], theirs, 1e-4, 1e-5)


def test_the_committed_runs_are_whole_and_arrived(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import report
    from contenders import contenders

    results = json.loads(report.NUMBERS.read_text("utf-8"))
    assert report.PAGE.read_text("utf-8") == report.render(results)
    assert len(results["runs"]) == 2  # with each JAX of the lock
    for run in results["runs"]:
        assert [*run["fits"]] == [str(10**k) for k in range(3, 8)]
        for n, rows in run["fits"].items():
            assert rows.keys() == contenders(int(n)).keys()
            assert max(row["norm"] for row in rows.values()) <= 1e-6
