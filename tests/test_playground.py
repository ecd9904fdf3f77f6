"""The playground's numbers are those of the helpers, and all can play."""

import re
import time
from collections.abc import Iterator
from functools import partial
from urllib.parse import parse_qsl

import jax
import numpy as np
import optax
import pytest
from manuscript import ROOT, fail_on
from playwright.sync_api import Browser, Page
from scipy import special, stats

from helpers.data import TRUE_LINE, Line, line_logit, make_dataset
from helpers.limits import bayes_limits, logit_grid, scores
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
    page.close()
    fail_on(f"data.js or model.js: {error}" for error in errors)


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
    right, loss = judged(line, TRUE_LINE)
    assert fresh["accuracy"] == pytest.approx(right, abs=2e-4)
    assert fresh["loss"] == pytest.approx(loss, abs=2e-5)
    best = bayes_limits(*logit_grid(TRUE_LINE))
    assert limit["accuracy"] == pytest.approx(float(best.accuracy), abs=1e-5)
    assert limit["loss"] == pytest.approx(float(best.log_loss), abs=1e-5)


# --- What the page claims ---------------------------------------------------

SETTINGS = {
    "key": "1",
    "points": "1000",
    "scale": "1",
    "slope": "-1/3",
    "rate": "0.3",
    "optimizer": "sgd",
    "epoch": "0",
}
OPTIMIZERS = {
    "sgd": optax.sgd,
    "momentum": partial(optax.sgd, momentum=0.9),
    "adam": optax.adam,
}
U = np.linspace(-8.0, 8.0, 801)
SHARES = (np.arange(800)[:, None] + 0.5) / 800


def judged(line: Line, truth: Line) -> tuple[float, float]:
    """Return accuracy and loss on average over all that can be drawn.

    Wherever the line cuts the other axis, either part of that is integrated
    by itself, by the midpoints of 800 steps.
    """
    *w, c = (float(part) for part in line)
    *v, d = (float(part) for part in truth)
    w[0], v[0] = 2 * w[0], 2 * v[0]
    # Along the axis that the line follows.
    if abs(w[0]) > abs(w[1]):
        w, v = w[::-1], v[::-1]
    cut = -(w[0] * U + c) / w[1] if w[1] else np.full_like(U, 8)
    cut = np.clip(cut, -8, 8)
    total = np.zeros(3)
    for start, end in ((-8.0, cut), (cut, 8.0)):
        u = start + (end - start) * SHARES
        mass = stats.norm.pdf(U) * stats.norm.pdf(u) * (end - start)
        z = w[0] * U + w[1] * u + c
        p = special.expit(v[0] * U + v[1] * u + d)
        right = np.where(z > 0, p, 1 - p)
        loss = np.logaddexp(0, z) - p * z
        total += [(mass * part).sum() for part in (right, loss, 1)]
    return total[0] / total[2], total[1] / total[2]


def numbers(address: str) -> list[str]:
    """Return what the page's tables must show, without its scripts."""
    asked = SETTINGS | dict(parse_qsl(address.split("#")[-1]))
    factor, epoch = float(asked["scale"]), int(asked["epoch"])
    over, _, under = asked["slope"].partition("/")
    w1 = -3.0 * float(over) / float(under or 1)
    truth = Line(round(w1), 3.0, 0.1).scaled(factor)
    key = jax.random.key(int(asked["key"]))
    data = make_dataset(key, int(asked["points"]), truth)
    params = BLOG_PARAMS
    if epoch:
        optimizer = OPTIMIZERS[asked["optimizer"]](float(asked["rate"]))
        params, _ = fit(loss_fn, params, optimizer, data, epoch)
    learned = Line(**params["params"])
    own = scores(line_logit(learned, data.x, data.y), data.label)
    columns = [own[:2], judged(learned, truth), judged(truth, truth)]
    shown = [f"{100 * float(accuracy):.1f} %" for accuracy, _ in columns]
    shown += [f"{float(loss):.2f}" for _, loss in columns]
    shown += [f"{float(w):.2f}" for w in (*learned, *truth)]
    # Rounded to nothing, a small weight loses its sign.
    return [re.sub(r"^-(?=0\.00$)", "", text) for text in shown]


def plain(text: str) -> str:
    return text.replace("\u202f", " ").replace("\u2212", "-")


TRIALS = re.findall(
    r"^\d\. (.*)$", (ROOT / "book" / "playground.md").read_text(), re.M
)


CELLS = [
    *(f"accuracy-{i}" for i in range(3)),
    *(f"loss-{i}" for i in range(3)),
    *(f"{kind}-{name}" for kind in ("learned", "true") for name in NAMES),
]


def trial_problems(trial: str) -> Iterator[str]:
    """Each number must stand for a cell of the tables, at the link before."""
    known, epochs = {}, set()
    for hash, cell, claim in re.findall(
        r'href="#([^"]+)"|<data value="([^"]+)">([^<]+)', trial
    ):
        if hash:
            known = dict(zip(CELLS, numbers(hash), strict=True))
            epochs.add(dict(parse_qsl(hash)).get("epoch", "0"))
        elif cell not in CELLS:
            yield f"value={cell} is no cell of the tables; want one of {CELLS}"
        elif not known:
            yield f"{cell} is {claim} at no link; put one before it"
        elif known[cell] != claim:
            yield (
                f"{cell} is {known[cell]} at the link before it, not {claim}; "
                "mend book/playground.md"
            )
    words = re.sub(r"<data.*?</data>|<[^>]+>|\([^)]*\)", "", trial)
    named = re.findall(r"epoch (\d+)|(\d+) epochs", words)
    for epoch in sorted({a or b for a, b in named} - epochs):
        yield (
            f"no link leads to epoch {epoch}; make its words one, with "
            f"href=#epoch={epoch}"
        )
    for claim in re.findall(r"\d+\.\d+|\d+ %", words):
        yield (
            f"nothing checks {claim}; put it into <data value=…>, with the "
            f"cell of the tables that shows it: one of {CELLS}"
        )


@pytest.mark.parametrize("trial", TRIALS, ids=lambda text: text[:40])
def test_each_number_of_a_trial_is_computed(trial):
    fail_on(trial_problems(trial))


def test_there_are_trials():
    assert len(TRIALS) == 6, (
        f"book/playground.md has {len(TRIALS)} trials, lines that begin with "
        "a number, and this test expects 6: change one of the two"
    )
    fail_on(
        f"{trial[:40]}… shows no number of the tables, in <data value=…>"
        for trial in TRIALS
        if "<data value=" not in trial
    )


# --- The page ---------------------------------------------------------------


@pytest.fixture
def open_page(browser: Browser, origin: str):
    """Open the playground at a hash; in the end nothing was complained of.

    Its clock stands still: a slow machine would see other epochs.
    """
    contexts, complaints = [], []

    def open_at(hash: str = "", **context) -> Page:
        contexts.append(browser.new_context(**context))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.clock.install()
        page.goto(f"{origin}/book/playground.html{hash}")
        page.clock.pause_at(time.time() + 3600)
        return page

    yield open_at
    for context in contexts:
        context.close()
    fail_on(f"a script of the playground: {said}" for said in complaints)


def shown(page: Page) -> list[str]:
    return [
        plain(t)
        for t in page.locator(".play-scores tbody td").all_inner_texts()
    ]


def said(page: Page) -> str:
    return plain(page.inner_text("#play-status"))


def test_the_scripts_are_small():
    size = sum(path.stat().st_size for path in SCRIPTS.glob("*.js"))
    assert size <= 30_000, (
        f"{size} bytes of scripts in book/assets/playground, more than 30,000"
    )


@pytest.mark.parametrize(
    "hash",
    [
        "#epoch=0",
        "#epoch=100",
        "#key=4294967295&points=5000&scale=0.5&slope=5/3&rate=1&epoch=30",
        "#points=20&slope=-2&optimizer=adam&rate=0.1&epoch=200",
        *re.findall(r'href="(#[^"]+)"', " ".join(TRIALS)),
    ],
)
def test_tables_show_what_python_computes(hash, open_page):
    cells = zip(CELLS, shown(open_page(hash)), numbers(hash), strict=True)
    fail_on(
        f"{cell} is {found} on the page, and {wanted} by the helpers; see "
        "page.js and model.js, or run make book"
        for cell, found, wanted in cells
        if found != wanted
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_same_in_python(optimizer, open_page):
    page = open_page(
        f"#key=9&points=50&scale=5&rate=1&epoch=20&optimizer={optimizer}"
    )
    names = {
        "Line": Line,
        "jax": jax,
        "optax": optax,
        "make_dataset": make_dataset,
        "fit": fit,
        "loss_fn": loss_fn,
        "BLOG_PARAMS": BLOG_PARAMS,
    }
    exec(page.inner_text("#play-python"), names)
    learned = [f"{float(names['params']['params'][k]):.2f}" for k in NAMES]
    assert learned == shown(page)[6:9]
    labels = int(names["dataset"].label.sum())
    drawn = [
        page.get_attribute(f"#play-{k}-1", "d") for k in ("right", "wrong")
    ]
    assert sum(path.count("M") for path in drawn) == labels


def test_lines_are_hidden_until_the_line_is_judged(open_page):
    page = open_page()
    truth = page.locator("#play-truth")
    learned = page.locator("#play-learned")
    assert not truth.is_visible()
    assert not learned.is_visible()
    assert set(shown(page)) == {"?"}
    assert "w1" not in page.inner_text("#play-python")
    assert page.inner_text("#play-slope-value") == "?"
    assert page.locator("#play-slope").is_disabled()
    # Up on the left and down on the right, by steps of 0.05.
    page.focus("#play-left")
    for _ in range(9):
        page.keyboard.press("ArrowRight")
    page.focus("#play-right")
    for _ in range(7):
        page.keyboard.press("ArrowLeft")
    page.focus("#play-judge")
    page.keyboard.press("Enter")
    assert truth.is_visible()
    assert not learned.is_visible()
    assert set(shown(page)) == {"?"}
    mine = through(0.45, -0.35)
    expected, limit = (judged(k, TRUE_LINE)[0] for k in (mine, TRUE_LINE))
    data = make_dataset(jax.random.key(1))
    _, history = fit(loss_fn, BLOG_PARAMS, optax.sgd(0.3), data, 300)
    params = history.params["params"]
    run = [Line(*row) for row in zip(*(params[k] for k in NAMES), strict=True)]
    passed = next(
        epoch
        for epoch, line in enumerate(run, start=1)
        if judged(line, TRUE_LINE)[0] > expected
    )
    said = (
        f"Your line is right on {100 * float(expected):.1f} % of fresh "
        "points, new ones from the same recipe. No rule exceeds "
        f"{100 * float(limit):.1f} %: the labels are partly chance. "
        f"Gradient descent passes you in epoch {passed}."
    )
    assert plain(page.inner_text("#play-verdict")) == said
    assert wrong(page) == errors(mine, data)
    assert heard(page) == said
    page.click("#play-step")
    assert learned.is_visible()
    assert "?" not in shown(page)
    assert wrong(page) == errors(run[0], data)


def through(left: float, right: float) -> Line:
    """Return the line of these heights at the two handles."""
    return Line((left - right) / 3, 1.0, -(left + right) / 2)


def errors(line: Line, data) -> list[int]:
    guess = predict(line_logit(line, data.x, data.y))
    missed = guess != data.label
    return [int((missed & (data.label == kind)).sum()) for kind in (0, 1)]


def wrong(page: Page) -> list[int]:
    """Return how many points of either label the plane shows as wrong."""
    paths = [page.get_attribute(f"#play-wrong-{k}", "d") for k in (0, 1)]
    return [path.count("M") for path in paths]


def heard(page: Page) -> str:
    """Return what is read aloud, once all has settled."""
    page.clock.run_for(400)
    return plain(page.text_content("#play-spoken"))


def test_who_cannot_see_the_plane_hears_it(open_page):
    page = open_page()
    data = make_dataset(jax.random.key(1))
    text = plain(page.text_content("#play-text"))
    for kind in (0, 1):
        x, y = (float(c[data.label == kind].mean()) for c in data[:2])
        assert f"around ({x:.1f}, {y:.1f})" in text
    assert "hidden" in text
    page.focus("#play-left")
    page.keyboard.press("ArrowRight")
    guess = predict(line_logit(through(0.05, 0), data.x, data.y))
    above, below = (
        "{} circles and {} triangles".format(
            *(int(((data.label == k) & (guess == side)).sum()) for k in (0, 1))
        )
        for side in (1, 0)
    )
    said = f"Above it are {above}, below {below}; it says 1 above."
    assert heard(page).startswith("Your line runs from (-7.0, ")
    assert heard(page).endswith(said)
    assert page.get_attribute("#play-left", "aria-valuetext") == "0.05"
    page.click("#play-step")
    text = plain(page.text_content("#play-text"))
    assert all(f"The {name} line runs" in text for name in ("true", "learned"))
    # The untrained model says 1 below its line.
    _, history = fit(loss_fn, BLOG_PARAMS, optax.sgd(0.3), data, 1)
    guess = predict(line_logit(first(history), data.x, data.y))
    above = [int(((data.label == k) & (guess == 0)).sum()) for k in (0, 1)]
    said = "Above it are {} circles and {} triangles".format(*above)
    assert said in text.split("The learned line")[1]
    assert text.endswith("it says 1 below.")


def first(history) -> Line:
    return Line(*(history.params["params"][name][0] for name in NAMES))


def test_said_again_is_heard_again(open_page):
    page = open_page("#epoch=3")
    page.click("#play-reset")
    assert heard(page).startswith("Epoch 0: ")
    page.click("#play-reset")
    assert page.text_content("#play-spoken") == ""
    assert heard(page).startswith("Epoch 0: ")


def test_a_line_that_nobody_drew_is_not_judged(open_page):
    page = open_page()
    page.click("#play-step")
    assert "Your line" not in page.inner_text("#play-verdict")
    assert not page.locator("#play-yours").is_visible()
    assert not page.locator("#play-left-handle").is_visible()
    assert page.locator("#play-challenge").is_disabled()
    page.locator("#play-left").fill("0.5")
    assert page.locator("#play-challenge").is_enabled()
    assert "Your line is right" in page.inner_text("#play-verdict")
    assert page.locator("#play-yours").is_visible()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_handle_can_be_dragged(width, open_page):
    page = open_page(viewport={"width": width, "height": 800})
    box = page.locator("#play-plane").bounding_box()
    unit = box["width"] / 14
    x, y = box["x"] + 5.5 * unit, box["y"] + 3.5 * unit
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 2 * unit, steps=4)
    page.mouse.up()
    page.mouse.move(x, y + unit)  # no longer held
    assert page.input_value("#play-right") == "0"
    assert float(page.input_value("#play-left")) == pytest.approx(2, abs=0.06)


def test_a_thumb_can_drag_a_handle(open_page):
    page = open_page(
        viewport={"width": 390, "height": 700}, has_touch=True, is_mobile=True
    )
    page.evaluate("scrollTo(0, 60)")
    box = page.locator("#play-right-handle").bounding_box()
    x = box["x"] + box["width"] / 2
    y = box["y"] + box["height"] / 2
    unit = page.locator("#play-plane").bounding_box()["width"] / 14
    fingers = page.context.new_cdp_session(page)

    def touch(kind: str, *points: dict) -> None:
        fingers.send(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": points}
        )

    touch("touchStart", {"x": x, "y": y})
    for part in range(1, 11):
        touch("touchMove", {"x": x, "y": y + part * unit / 5})
    touch("touchEnd")
    assert float(page.input_value("#play-right")) == pytest.approx(-2, abs=0.1)
    assert page.evaluate("scrollY") == 60


def test_each_puzzle_can_be_drawn(open_page):
    """Also the steepest: its line leaves the plane between the handles."""
    page = open_page("#slope=-2&line=")
    assert page.inner_text("#play-slope-value") == "?"
    page.locator("#play-left").fill("2.95")
    page.locator("#play-right").fill("-3.05")
    # The second click of two does not ask for another puzzle.
    page.dblclick("#play-judge")
    mine, limit = re.findall(
        r"[\d.]+(?= %)", plain(page.inner_text("#play-verdict"))
    )
    assert float(limit) - float(mine) < 0.1
    assert "None is better" in page.inner_text("#play-verdict")


def test_a_new_puzzle_stays_one(open_page):
    page = open_page("#epoch=1")
    page.click("#play-judge")
    for _ in range(2):
        assert page.inner_text("#play-judge") == "Judge my line"
        assert not page.locator("#play-truth").is_visible()
        assert page.inner_text("#play-slope-value") == "?"
        page.reload()


def test_a_challenge_goes_from_hand_to_hand(open_page):
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.locator("#play-left").fill("0.4")
    page.locator("#play-right").fill("-0.35")
    page.click("#play-challenge")
    page.wait_for_function(
        "document.getElementById('play-challenge').textContent === 'Copied'"
    )
    assert said(page).startswith("Copied")
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.endswith("#line=0.4,-0.35")
    page.click("#play-judge")
    mine = re.search(r"right on [\d.]+", page.inner_text("#play-verdict"))[0]
    other = open_page(f"#{link.split('#')[1]}")
    for _ in range(2):
        assert "challenge" in other.inner_text("#play-verdict")
        assert not other.locator("#play-rival").is_visible()
        other.click("#play-judge")
        assert other.locator("#play-rival").is_visible()
        told = plain(other.inner_text("#play-verdict"))
        assert f"The challenger's is {mine} %: they win." in told
        other.click("#play-step")
        other.reload()
    other.click("#play-step")
    assert f"The challenger's is {mine} %. No rule" in plain(
        other.inner_text("#play-verdict")
    )
    for left, right, outcome in [(0.4, -0.35, "a draw"), (0.5, -0.5, "you")]:
        other.locator("#play-left").fill(str(left))
        other.locator("#play-right").fill(str(right))
        assert f": {outcome}" in other.inner_text("#play-verdict")


def test_a_trial_is_shown_beside_the_plane(open_page):
    page = open_page(viewport={"width": 1280, "height": 900})
    page.click("text=Ten points.")
    box = page.locator("#play-plane").bounding_box()
    assert box["y"] >= 0 and box["y"] + box["height"] < 900
    assert page.locator("#play-trial >> text=good news").is_visible()
    page.click(".play-trial >> text=Back")
    assert page.url.endswith("#try-this")
    assert page.inner_text("#play-epoch") == "epoch 100"


def test_new_data_is_trained_as_long(open_page):
    page = open_page("#points=10&rate=1&epoch=100")
    page.click("#play-fresh")
    assert page.inner_text("#play-epoch") == "epoch 100"
    assert "key=" in page.url
    assert shown(page) == numbers(page.url)


def test_the_address_remembers(open_page):
    page = open_page("#points=200&epoch=3")
    page.focus("#play-rate")
    page.keyboard.press("ArrowRight")
    assert page.url.endswith("#points=200&rate=1")
    page.click("#play-step")
    assert page.url.endswith("#points=200&rate=1&epoch=1")
    page.reload()
    assert page.inner_text("#play-epoch") == "epoch 1"
    assert page.inner_text("#play-points-value") == "200"
    page.click("text=Ten points.")
    assert page.inner_text("#play-epoch") == "epoch 100"
    page.go_back()
    page.wait_for_function(
        "document.getElementById('play-epoch').textContent === 'epoch 1'"
    )


def test_what_a_link_cannot_ask_is_named(open_page):
    page = open_page(
        "#key=-1&points=7&scale=0&slope=1&rate=a&speed=2&line=9&epoch=0x9"
    )
    bad = "key=-1, points=7, scale=0, rate=a, speed=2, line=9, epoch=0x9."
    assert said(page) == f"No such setting: {bad}"
    assert shown(page) == numbers("#slope=1")
    page.fill("#play-key", "4294967296")
    page.keyboard.press("Enter")
    assert "whole number from 0 to 4294967295" in said(page)
    assert page.input_value("#play-key") == "1"


def test_what_is_said_is_what_the_table_shows(open_page):
    page = open_page("#points=20&epoch=40")
    right, fresh, _, loss, after, *_ = shown(page)
    assert said(page) == (
        f"Epoch 40: right on {right} of these points, on {fresh} of fresh "
        f"ones; loss {loss} and {after}."
    )


@pytest.mark.parametrize("epoch", [0, 60])
def test_a_name_stands_along_its_line(epoch, open_page):
    page = open_page(f"#epoch={epoch}")
    d = page.get_attribute("#play-learned", "d")
    x1, y1, x2, y2 = map(float, re.findall(r"-?[\d.]+", d))
    name = page.get_attribute("#play-learned-name", "transform")
    turned = float(re.search(r"rotate\((.*)\)", name)[1])
    slope = np.degrees(np.arctan((y2 - y1) / (x2 - x1)))
    assert turned == pytest.approx(slope, abs=0.2)


def test_a_link_stops_the_run(open_page):
    page = open_page("#epoch=5")
    page.click("#play-play")
    page.click("text=Ten points.")
    assert page.inner_text("#play-play") == "Play"
    assert page.url.endswith("#points=10&rate=1&epoch=100")
    page.clock.run_for(200)
    assert shown(page) == numbers(page.url)


def test_a_key_is_written_as_python_writes_it(open_page):
    page = open_page("#key=007&epoch=1")
    assert "jax.random.key(7)" in page.inner_text("#play-python")


def test_ten_points_may_have_one_label(open_page):
    data = make_dataset(jax.random.key(152), 10)
    assert not data.label.any()
    text = open_page("#key=152&points=10").text_content("#play-text")
    assert "triangles, nowhere." in text
    assert "NaN" not in text


def test_reset_gives_nothing_away(open_page):
    page = open_page()
    page.locator("#play-left").fill("1")
    page.click("#play-reset")
    assert page.input_value("#play-left") == "0"
    assert page.inner_text("#play-judge") == "Judge my line"
    assert not page.locator("#play-truth").is_visible()


def test_a_heading_is_no_setting(open_page):
    page = open_page("#epoch=5")
    page.evaluate("""() => new Promise(heard => {
        addEventListener("hashchange", heard);
        location.hash = "try-this";
    })""")
    assert page.inner_text("#play-epoch") == "epoch 5"


def test_play_speaks_now_and_then(open_page):
    page = open_page()
    page.evaluate(
        """() => {
            window.heard = [];
            const spoken = document.getElementById("play-spoken");
            new MutationObserver(() => {
                const text = spoken.textContent;
                if (text) heard.push([Date.now(), text]);
            }).observe(spoken, {childList: true});
        }"""
    )
    page.focus("#play-play")
    page.keyboard.press("Space")
    assert page.inner_text("#play-play") == "Pause"
    page.clock.run_for(6500)
    page.keyboard.press("Space")
    page.clock.run_for(400)
    (start, _), (later, brief), (_, last) = page.evaluate("heard")
    # The first epoch of twenty a second that comes after five seconds.
    assert later - start == 5050
    assert re.fullmatch(
        r"Epoch 101: [\d.]+ % right, loss [\d.]+\.", plain(brief)
    )
    assert plain(last) == said(page)
    assert said(page).startswith("Epoch 130: right on ")
    assert page.url.endswith("#epoch=130")
    page.clock.run_for(200)
    assert page.inner_text("#play-epoch") == "epoch 130"
    page.click("#play-reset")
    assert said(page).startswith("Epoch 0: ")


def test_less_motion_means_ten_epochs_a_second(open_page):
    page = open_page(reduced_motion="reduce")
    page.click("#play-play")
    page.clock.run_for(2500)
    page.click("#play-play")
    assert page.inner_text("#play-epoch") == "epoch 20"


def test_play_ends_at_the_last_epoch(open_page):
    page = open_page("#epoch=298&points=10")
    page.click("#play-play")
    page.clock.run_for(200)
    assert page.inner_text("#play-play") == "Play"
    assert page.inner_text("#play-epoch") == "epoch 300"


FOCUS = """() => {
    const focus = document.activeElement;
    return focus.closest(".playground") ? focus.id || "link" : "beyond";
}"""


def test_no_trap_and_nothing_unreachable(open_page):
    page = open_page("#epoch=1")
    page.focus("#play-left")
    stops = ["play-left"]
    while stops[-1] != "beyond" and len(stops) < 40:
        page.keyboard.press("Tab")
        stops.append(page.evaluate(FOCUS))
    assert stops[-1] == "beyond"
    wanted = page.locator(
        ".playground :is(button, input, select):enabled"
    ).evaluate_all("all => all.map((part) => part.id)")
    assert set(wanted) <= set(stops)


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_jumps(width, open_page):
    page = open_page(viewport={"width": width, "height": 900})
    # From the top, where the plane does not stick.
    places = """() => (scrollTo(0, 0), [
        ...document.querySelectorAll(".playground > *, #try-this")
    ].map((part) => part.getBoundingClientRect().top))"""
    before = page.evaluate(places)
    page.click("#play-judge")
    assert page.evaluate(places) == before
    page.click("#play-play")
    page.clock.run_for(500)
    page.click("#play-play")
    assert page.evaluate(places) == before


@pytest.mark.parametrize(
    "width, height, dial", [(390, 800, "optimizer"), (1280, 900, "curves")]
)
def test_the_plane_stays_in_view(width, height, dial, open_page):
    page = open_page("#epoch=1", viewport={"width": width, "height": height})
    dial = page.locator(f"#play-{dial}")
    dial.evaluate("dial => dial.scrollIntoView({block: 'end'})")
    plane, dial = (
        page.locator("#play-plane").bounding_box(),
        dial.bounding_box(),
    )
    assert plane["y"] >= 40  # under the header
    assert plane["y"] + plane["height"] <= dial["y"]


# What has the focus and lies under something else.
COVERED = """() => {
    const focus = document.activeElement, box = focus.getBoundingClientRect();
    const top = document.elementFromPoint(
        box.left + box.width / 2, box.top + box.height / 2);
    return focus.contains(top) || top?.contains(focus) ? null : focus.id;
}"""


def test_the_plane_hides_no_focus_on_a_phone(open_page):
    page = open_page("#epoch=1", viewport={"width": 390, "height": 844})
    page.focus("#play-python")
    stops = []
    while "play-left" not in stops and len(stops) < 40:
        page.keyboard.press("Shift+Tab")
        assert page.evaluate(COVERED) is None
        stops.append(page.evaluate("document.activeElement.id"))
    assert {"play-left", "play-judge", "play-slope"} <= set(stops)


def test_without_scripts_there_is_a_still(open_page):
    page = open_page(java_script_enabled=False)
    assert page.locator(".playground-still img").is_visible()
    assert not page.locator(".playground").is_visible()
