"""The benchmarks run, and all arrive where an independent fit does."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import statsmodels.api as sm

from helpers.data import make_dataset

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "benchmarks"


def read(folder):
    return json.loads((folder / "bench.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """The folder of a quick run."""
    folder = tmp_path_factory.mktemp("bench")
    bench = [sys.executable, FOLDER / "bench.py", "--quick"]
    subprocess.run([*bench, "--output", folder], check=True, timeout=600)
    return folder


def test_all_fits_arrive_where_statsmodels_does(quick):
    for n, rows in read(quick)["fits"].items():
        x, y, label = make_dataset(jax.random.key(1), int(n))
        design = np.stack([x, y, np.ones(int(n))], axis=1, dtype=float)
        theirs = sm.Logit(np.asarray(label), design).fit(disp=0).params
        for row in rows.values():
            assert row["norm"] <= 1e-6
            np.testing.assert_allclose(row["weights"], theirs, 1e-4, 1e-5)


def test_the_blogs_way_and_fit_end_alike(quick):
    ways = read(quick)["epochs"].values()
    np.testing.assert_allclose(*(way["weights"] for way in ways), rtol=1e-4)


def test_the_committed_page_is_of_the_committed_run(quick, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import report

    committed, small = read(ROOT / "helpers"), read(quick)
    page = (FOLDER / "results.md").read_text("utf-8")
    assert page == report.render(committed)
    # It was whole, and timed all that is timed today.
    assert [*committed["fits"]] == [str(10**k) for k in range(3, 8)]
    theirs, ours = (
        {name for name in fits if "PyTorch" not in name}
        for fits in (committed["fits"]["1000000"], small["fits"]["20000"])
    )
    assert theirs == ours
    small["fits"]["1000"]["fit, 400 epochs"]["norm"] = 2e-6
    assert "2e-06 **not reached**" in report.render(small)
