"""The benchmarks run, agree with independent fits, and are as committed."""

import json
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location

import jax
import numpy as np
import pytest
import statsmodels.api as sm
from manuscript import MARKDOWN, ROOT
from PIL import Image
from sklearn.linear_model import LogisticRegression

from helpers.data import make_dataset

FOLDER = ROOT / "benchmarks"


def load(name):
    spec = spec_from_file_location(name, FOLDER / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


report = load("report")


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """The folder of a quick run."""
    folder = tmp_path_factory.mktemp("bench")
    bench = [sys.executable, FOLDER / "bench.py", "--quick"]
    subprocess.run([*bench, "--output", folder], check=True, timeout=300)
    return folder


def read(folder):
    """Return what bench.json holds."""
    return json.loads((folder / "bench.json").read_text("utf-8"))


def tables(text):
    """Return the tables of a page, as lists of rows of cells."""
    found = []
    for token in MARKDOWN.parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and found and token.level > 3:
            found[-1][-1].append(token.content)
    return found


def test_tables_parse(quick):
    results = read(quick)
    found = tables((quick / "results.md").read_text("utf-8"))
    heads = [rows[0][0] for rows in found]
    sizes = len(results["fits"])
    assert heads == ["work"] + ["contender"] * sizes + ["work"] * 5
    for rows in found:
        assert {len(row) for row in rows} == {len(rows[0])}
    for entries, rows in zip(
        results["fits"].values(), found[1:], strict=False
    ):
        assert {row[0] for row in rows[1:]} == set(entries)


def test_fits_agree_with_statsmodels_and_sklearn(quick):
    for n, rows in read(quick)["fits"].items():
        data = make_dataset(jax.random.key(1), int(n))
        x, y, label = (np.asarray(column, float) for column in data)
        design = np.stack([x, y, np.ones_like(x)], axis=1)
        theirs = sm.Logit(label, design).fit(disp=0).params
        peer = LogisticRegression(C=np.inf, tol=1e-9)
        peer.fit(design[:, :2], label)
        ours = [*peer.coef_[0], *peer.intercept_]
        np.testing.assert_allclose(theirs, ours, rtol=1e-5)
        assert len(rows) >= 7
        for row in rows.values():
            assert row["norm"] <= 1e-6
            np.testing.assert_allclose(row["weights"], theirs, 1e-4, 1e-5)


def test_both_ways_end_alike(quick):
    epochs = read(quick)["epochs"]
    ways = [entry["weights"] for entry in epochs.values()]
    np.testing.assert_allclose(*ways, rtol=1e-4)


def test_figures_are_small(quick):
    for folder in (quick, FOLDER):
        path = folder / "results.png"
        assert path.stat().st_size <= 150_000
        with Image.open(path) as picture:
            assert picture.width == 1120


def test_committed_tables_are_of_committed_results():
    committed = (FOLDER / "results.md").read_text("utf-8")
    assert committed == report.render(read(ROOT / "helpers"))


def test_committed_run_was_whole():
    results = read(ROOT / "helpers")
    assert not results["quick"]
    assert list(results["fits"]) == [str(10**k) for k in range(3, 8)]


def test_unmet_norm_is_marked(quick):
    results = read(quick)
    row = results["fits"]["1000"]["NumPy, float64"]
    assert "not reached" not in report.render(results)
    row["norm"] = 2e-6
    assert "2e-06 **not reached**" in report.render(results)
    assert "NumPy, float64" not in report.arrived(results, "1000")


def test_ratios_are_of_what_arrived():
    def entry(seconds, norm=1e-9):
        return {"seconds": {"min": seconds}, "norm": norm}

    rows = {
        "scikit-learn, lbfgs": entry(9.0),
        "scikit-learn, newton-cholesky": entry(1.0, norm=1e-3),
        "NumPy, float64": entry(4.0),
        "newton, zeros, 2 devices": entry(0.5),
        "newton, sample, 2 devices": {"too long": 20},
    }
    part = {"blog": entry(6.0), "fit": entry(2.0)}
    results = {
        "aim": 1e-6,
        "fits": {"1000000": rows},
        "epochs": part,
        "first": part,
        "passes": {"read, JAX": entry(2.0), "read, NumPy": entry(1.0)},
        "drawn": {"a pass": entry(1.25), "drawing alone": entry(1.0)},
        "shared": {"one process": entry(3.8), "two processes": entry(2.0)},
    }
    ratios = [ratio for *_, ratio in report.aims(results)]
    assert ratios == [3.0, 3.0, 18.0, 8.0] + 5 * [None] + [1.25, 1.9]
