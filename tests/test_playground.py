"""The playground's numbers are those of the helpers."""

from functools import partial

import jax
import numpy as np
import optax
import pytest
from manuscript import ROOT
from scipy import special, stats

from helpers.data import TRUE_LINE, Line, line_logit, make_dataset
from helpers.limits import expected_scores
from helpers.loss import mean_loss
from helpers.metrics import accuracy, predict
from helpers.model import BLOG_PARAMS, LogisticRegression
from helpers.training import fit

pytestmark = pytest.mark.browser

SCRIPTS = ROOT / "book" / "assets" / "playground"
LINES = [TRUE_LINE, Line(-6.0, 3.0, 0.1), Line(0.3, -2.0, 1.0), Line(0, 0, 0)]
NAMES = ("w1", "w2", "b")
model = LogisticRegression()
loss_fn = partial(mean_loss, model.apply)


@pytest.fixture(scope="module")
def page(browser):
    """An empty page with the playground's two scripts."""
    page = browser.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(error))
    for name in ("data", "model"):
        page.add_script_tag(path=SCRIPTS / f"{name}.js")
    page.evaluate(
        """() => { window.made = (seed, n, line) => {
            const data = PlaygroundData.makeDataset(seed, n, line);
            return Object.values(data).map((column) => Array.from(column));
        }; }"""
    )
    yield page
    assert not errors
    page.close()


def as_dict(line):
    return {name: float(value) for name, value in line._asdict().items()}


@pytest.mark.parametrize("seed", [0, 1, 7, 123_456_789, 2**31, 2**32 - 1])
@pytest.mark.parametrize(
    "n, line", [*zip([1, 1000, 4097, 300], LINES, strict=True)]
)
def test_points_and_labels_are_those_of_python(page, seed, n, line):
    x, y, label = page.evaluate(
        "([seed, n, line]) => made(seed, n, line)", [seed, n, as_dict(line)]
    )
    data = make_dataset(jax.random.key(seed), n, line)
    np.testing.assert_allclose(x, data.x, rtol=0, atol=1e-6)
    np.testing.assert_allclose(y, data.y, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(label, data.label)


def test_random_numbers_are_those_of_python(page):
    key = jax.random.split(jax.random.key(5))[1]
    uniform, normal = page.evaluate(
        """() => ["uniform", "normal"].map((draw) => Array.from(
            PlaygroundData[draw](PlaygroundData.split(
                PlaygroundData.makeKey(5))[1], 20_000)))"""
    )
    np.testing.assert_array_equal(uniform, jax.random.uniform(key, 20_000))
    expected = jax.random.normal(key, 20_000)
    np.testing.assert_allclose(normal, expected, rtol=0, atol=1e-6)
    assert np.abs(normal).max() > 3.5  # the tail, too


def test_the_gradient_is_that_of_python(page):
    data = make_dataset(jax.random.key(2), 50)
    for line in [*LINES, Line(400.0, -900.0, 0.0)]:
        found = page.evaluate(
            """(line) => PlaygroundModel.lossAndGradient(line,
                PlaygroundData.makeDataset(2, 50, {w1: 1, w2: 3, b: 0.1}))""",
            as_dict(line),
        )
        x, y, label = (np.asarray(column, float) for column in data)
        z = line.w1 * x + line.w2 * y + line.b
        loss = -special.log_expit(np.where(label == 1, z, -z)).mean()
        slope = special.expit(z) - label
        assert found["loss"] == pytest.approx(loss, rel=1e-5)
        for name, column in zip(NAMES, (x, y, 1.0), strict=True):
            expected = (slope * column).mean()
            assert found["gradient"][name] == pytest.approx(expected, abs=1e-6)


TRAIN = """([optimizer, rate, n]) => {
    const data = PlaygroundData.makeDataset(1, n, {w1: 1, w2: 3, b: 0.1});
    let params = PlaygroundModel.START;
    let state = PlaygroundModel.initialState();
    const rows = [];
    for (let epoch = 0; epoch < 100; epoch++) {
        const after = PlaygroundModel.step(
            optimizer, rate, params, state, data);
        ({ params, state } = after);
        rows.push([after.loss, params.w1, params.w2, params.b]);
    }
    return rows;
}"""


@pytest.mark.parametrize("rate", [0.01, 0.3, 3.0])
@pytest.mark.parametrize("n", [30, 1000])
@pytest.mark.parametrize(
    "name, optimizer",
    [
        ("sgd", optax.sgd),
        ("momentum", partial(optax.sgd, momentum=0.9)),
        ("adam", optax.adam),
    ],
)
def test_a_hundred_steps_are_those_of_fit(page, name, optimizer, rate, n):
    rows = np.array(page.evaluate(TRAIN, [name, rate, n]))
    data = make_dataset(jax.random.key(1), n)
    _, history = fit(loss_fn, BLOG_PARAMS, optimizer(rate), data, 100)
    params = history.params["params"]
    columns = [history.loss, *(params[name] for name in NAMES)]
    for found, expected in zip(rows.T, columns, strict=True):
        size = np.abs(expected).max()
        np.testing.assert_allclose(
            found, expected, rtol=1e-5, atol=1e-5 * size
        )


@pytest.mark.parametrize("line", LINES)
def test_scores_are_those_of_python(page, line):
    data = make_dataset(jax.random.key(1), 1000)
    own, fresh, limit = page.evaluate(
        """(line) => {
            const truth = {w1: 1, w2: 3, b: 0.1};
            const data = PlaygroundData.makeDataset(1, 1000, truth);
            return [PlaygroundModel.scores(line, data),
                PlaygroundModel.freshScores(line, truth),
                PlaygroundModel.freshScores(truth, truth)];
        }""",
        as_dict(line),
    )
    logit = line_logit(line, data.x, data.y)
    right = accuracy(data.label, predict(logit))
    assert own["accuracy"] == pytest.approx(float(right), abs=1e-6)
    params = {"params": as_dict(line)}
    assert own["loss"] == pytest.approx(float(loss_fn(params, data)), rel=1e-5)
    # A grid four times as fine.
    q = stats.norm.ppf((np.arange(320) + 0.5) / 320)
    x, y = (part.ravel() for part in np.meshgrid(2 * q, q))
    truth = line_logit(TRUE_LINE, x, y)
    expected = expected_scores(line_logit(line, x, y), truth)
    assert fresh["accuracy"] == pytest.approx(
        float(expected.accuracy), abs=0.002
    )
    assert fresh["loss"] == pytest.approx(float(expected.log_loss), rel=0.005)
    assert limit["accuracy"] >= fresh["accuracy"]
    assert limit["loss"] <= fresh["loss"]
