"""The playground's numbers are JAX's, and everybody can play.

By mouse, by thumb, by keyboard and by ear.
"""

import re
from fractions import Fraction
from functools import cache, partial
from urllib.parse import parse_qsl, urlsplit

import jax
import numpy as np
import optax
import pytest
from playwright.sync_api import expect

from helpers.data import TRUE_LINE, Line, boundary_y, line_logit, make_dataset
from helpers.limits import expected_scores, scores
from helpers.loss import mean_loss
from helpers.metrics import predict
from helpers.model import BLOG_PARAMS, LogisticRegression
from helpers.training import fit

pytestmark = pytest.mark.book

NAMES = ("w1", "w2", "b")
# Each is made once: fit compiles anew for another.
OPTIMIZERS = {
    "sgd": cache(optax.sgd),
    "momentum": cache(partial(optax.sgd, momentum=0.9)),
    "adam": cache(optax.adam),
}
loss_fn = partial(mean_loss, LogisticRegression().apply)


def train(data, name="sgd", rate=0.3):
    """Return the three numbers of the line at the epochs from 0 to 300."""
    _, history = fit(loss_fn, BLOG_PARAMS, OPTIMIZERS[name](rate), data, 300)
    start, run = BLOG_PARAMS["params"], history.params["params"]
    return np.column_stack([np.append(start[k], run[k]) for k in NAMES])


def on_fresh(line, truth=TRUE_LINE):
    """Return the scores on average over all points, by a grid of them.

    Its rows are parallel to the line, and dense beside it.
    """
    w, v = (np.array([2 * k.w1, k.w2]) for k in (line, truth))
    size = np.hypot(*w)
    up, along = w / size, np.array([-w[1], w[0]]) / size
    u = 0.01 * np.arange(-249.5, 250)[:, None]
    s, t = u**3 - line.b / size, np.linspace(-8, 8, 401)
    true_logit = (v @ up) * s + (v @ along) * t + truth.b
    logit = np.broadcast_to(size * s + line.b, true_logit.shape)
    weights = u**2 * np.exp(-(s**2 + t**2) / 2)
    return expected_scores(logit, true_logit, weights)


@pytest.fixture(scope="module")
def open_page(browser, origin):
    """Open the playground at a hash, in the window that has these options.

    Its clock stands still: a slow machine would see other epochs.
    """
    windows, complaints = {}, []

    def open_at(hash="", **options):
        key = str(options)
        if key not in windows:
            options["permissions"] = ["clipboard-read", "clipboard-write"]
            windows[key] = browser.new_page(**options)
            windows[key].on("pageerror", lambda e: complaints.append(str(e)))
            windows[key].clock.install(time=0)
            windows[key].clock.pause_at(1)
        windows[key].goto("about:blank")
        windows[key].goto(f"{origin}/book/playground.html{hash}")
        return windows[key]

    yield open_at
    for window in windows.values():
        window.close()
    assert not complaints


@pytest.mark.parametrize(
    "seed, n, line",
    [
        (0, 1, TRUE_LINE),
        (7, 300, Line(-6.0, 3.0, 0.1)),
        (2**32 - 1, 20_000, Line(0.3, -2.0, 1.0)),
    ],
)
def test_points_and_labels_are_those_of_python(seed, n, line, open_page):
    x, y, label = open_page().evaluate(
        """([seed, n, line]) => Object.values(
            PlaygroundData.makeDataset(seed, n, line)
        ).map((column) => Array.from(column))""",
        [seed, n, line._asdict()],
    )
    data = make_dataset(jax.random.key(seed), n, line)
    np.testing.assert_allclose(x, data.x, rtol=0, atol=1e-6)
    np.testing.assert_allclose(y, data.y, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(label, data.label)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_hundred_steps_are_those_of_fit(name, open_page):
    found = open_page().evaluate(
        """(optimizer) => {
            const line = {w1: 1, w2: 3, b: 0.1};
            const data = PlaygroundData.makeDataset(1, 1000, line);
            let params = PlaygroundModel.START;
            let state = PlaygroundModel.initialState();
            return Array.from({length: 100}, () => {
                const after = PlaygroundModel.step(
                    optimizer, 0.3, params, state, data);
                ({params, state} = after);
                return [params.w1, params.w2, params.b];
            });
        }""",
        name,
    )
    run = train(make_dataset(jax.random.key(1)), name)
    np.testing.assert_allclose(found, run[1:101], rtol=1e-5, atol=1e-5)


DIALS = "key=1&points=1000&scale=1&slope=-1/3&rate=0.3&optimizer=sgd&epoch=0"


def numbers(address):
    """Return what the page's tables must show, without its scripts."""
    asked = dict(parse_qsl(f"{DIALS}&{urlsplit(address).fragment}"))
    truth = Line(float(-3 * Fraction(asked["slope"])), 3.0, 0.1)
    truth = truth.scaled(float(asked["scale"]))
    key = jax.random.key(int(asked["key"]))
    data = make_dataset(key, int(asked["points"]), truth)
    run = train(data, asked["optimizer"], float(asked["rate"]))
    learned = Line(*run[int(asked["epoch"])])
    own = scores(data.label, line_logit(learned, data.x, data.y))
    columns = [own, on_fresh(learned, truth), on_fresh(truth, truth)]
    cells = [f"{100 * column.accuracy:.1f} %" for column in columns]
    losses = [column.log_loss for column in columns]
    # Rounded to nothing, a small weight loses its sign.
    return cells + [
        f"{round(float(number), 2) + 0:.2f}"
        for number in (*losses, *learned, *truth)
    ]


def plain(text):
    return text.replace("\u202f", " ").replace("\u2212", "-")


def shown(page):
    """Return what stands in the cells of the tables."""
    return [*map(plain, page.locator("tbody td").all_inner_texts())]


def wait_until_shown(page, hash):
    """Wait until the tables are those of an address: a link is no click."""
    wanted = [text.replace("-", "−") for text in numbers(hash)]
    expect(page.locator("tbody td")).to_have_text(wanted, timeout=20_000)


def expect_hash(page, hash):
    expect(page).to_have_url(re.compile(f"{re.escape(hash)}$"))


def said(page, part="status"):
    return plain(page.text_content(f"#play-{part}"))


def heard(page):
    """Return what is read aloud, once all has settled."""
    page.clock.run_for(400)
    return said(page, "spoken")


def button(page, name):
    return page.get_by_role("button", name=name)


def slider(page, name):
    return page.get_by_role("slider", name=name)


def drawn(page, name):
    """Return whether the plane shows the line of this name."""
    return page.locator("#play-plane text", has_text=name).is_visible()


def marks(page, kind):
    """Return how many points of a kind the plane shows."""
    paths = page.locator(f"#play-plane path{kind}").all()
    return sum(path.get_attribute("d").count("M") for path in paths)


def test_each_number_of_a_trial_is_computed(open_page):
    page = open_page()
    trials = page.locator("#try-this ol > li").all()
    assert trials
    for trial in trials:
        assert trial.locator("data").count(), "a trial shows no number"
        links = []
        for part in trial.locator('a[href^="#"], data').all():
            if link := part.get_attribute("href"):
                part.click()
                wait_until_shown(page, link)
                links.append(link)
            else:
                found = said(page, part.get_attribute("value"))
                assert plain(part.inner_text()) == found, links
        html = plain(trial.inner_html())
        words = re.sub(r"<data.*?</data>|<[^>]+>", "", html)
        assert not re.findall(r"\d+\.\d+|\d+ %", words), "stands in no <data>"
        for named in re.findall(r"(?<=epoch )\d+|\d+(?= epochs)", words):
            assert any(link.endswith(f"epoch={named}") for link in links)


@pytest.mark.parametrize(
    "hash",
    [
        "#key=4294967295&points=50&scale=5&slope=5/3&rate=1&epoch=20",
        "#scale=0.2&slope=-2&optimizer=momentum&epoch=3",
        # A step so long that naive exponentials overflow.
        "#points=20&slope=0&rate=100&optimizer=adam&epoch=3",
    ],
)
def test_tables_show_what_the_same_in_python_computes(hash, open_page):
    page = open_page(hash)
    assert shown(page) == numbers(page.url)
    names = dict(globals())
    exec(said(page, "python"), names)
    for name, number in names["params"]["params"].items():
        assert said(page, f"learned-{name}") == f"{number:.2f}"
    assert marks(page, ".label-1") == names["dataset"].label.sum()


def check_nothing_given_away(page):
    assert not drawn(page, "true line")
    assert not drawn(page, "learned")
    assert set(shown(page)) == {"?"}
    assert "w1" not in said(page, "python")
    assert said(page, "slope-value") == "?"
    assert slider(page, "slope").is_disabled()
    assert marks(page, ".wrong") == 0


def through(left, right):
    """Return the line of these heights at the two handles."""
    return Line((left - right) / 3, 1.0, -(left + right) / 2)


def test_all_is_hidden_until_your_line_is_judged(open_page):
    page = open_page()
    # Up on the left and down on the right, by steps of 0.05.
    for _ in range(9):
        slider(page, "height, left").press("ArrowRight")
    for _ in range(7):
        slider(page, "height, right").press("ArrowLeft")
    check_nothing_given_away(page)
    button(page, "Judge my line").press("Enter")
    assert drawn(page, "true line") and not drawn(page, "learned")
    data = make_dataset(jax.random.key(1))
    mine = through(0.45, -0.35)
    mine_right, limit = (on_fresh(k).accuracy for k in (mine, TRUE_LINE))
    passed = next(
        epoch
        for epoch, row in enumerate(train(data))
        if on_fresh(Line(*row)).accuracy > mine_right
    )
    assert said(page, "verdict") == (
        f"Your line is right on {100 * mine_right:.1f} % of fresh points, new "
        f"ones from the same recipe. No rule exceeds {100 * limit:.1f} %: the "
        "labels are partly chance. "
        f"Gradient descent passes you in epoch {passed}."
    )
    missed = predict(line_logit(mine, data.x, data.y)) != data.label
    assert marks(page, ".wrong") == missed.sum()
    button(page, "Step").click()
    assert drawn(page, "learned")
    right = 100 - marks(page, ".wrong") / 10  # per cent of 1000
    assert said(page, "accuracy-0") == f"{right:.1f} %"
    button(page, "New puzzle").click()
    check_nothing_given_away(page)
    page.reload()
    check_nothing_given_away(page)


def test_a_challenge_goes_from_hand_to_hand(open_page):
    page = open_page()
    slider(page, "height, left").fill("0.4")
    button(page, "Challenge").click()
    button(page, "Copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    page = open_page(link.removeprefix(page.url.split("#")[0]))
    check_nothing_given_away(page)
    assert not drawn(page, "challenger")
    # A line that nobody drew is not judged.
    button(page, "Step").click()
    assert said(page, "verdict").startswith("The challenger's is right on")
    assert drawn(page, "challenger") and not drawn(page, "yours")
    for height, outcome in [("0.4", "a draw"), ("-1", "they win")]:
        slider(page, "height, left").fill(height)
        assert f"%: {outcome}." in said(page, "verdict")


PHONE = {"viewport": {"width": 390, "height": 700}, "has_touch": True}


def test_a_handle_can_be_dragged_by_mouse_and_by_thumb(open_page):
    page = open_page(**PHONE, is_mobile=True)
    page.evaluate("scrollTo(0, 60)")
    plane = page.get_by_role("img", name="The plane").bounding_box()
    unit = plane["width"] / 14
    middle = plane["y"] + 3.5 * unit
    page.mouse.move(plane["x"] + 5.5 * unit, middle)
    page.mouse.down()
    page.mouse.move(plane["x"] + 5.5 * unit, middle - 2 * unit, steps=4)
    page.mouse.up()
    # No longer held.
    page.mouse.move(plane["x"] + 5.5 * unit, middle - 1.8 * unit)
    send = page.context.new_cdp_session(page).send
    for kind, y in [
        ("touchStart", middle),
        *(("touchMove", middle + k * unit / 5) for k in range(1, 11)),
    ]:
        thumb = {"x": plane["x"] + 8.5 * unit, "y": y}
        touch = {"type": kind, "touchPoints": [thumb]}
        send("Input.dispatchTouchEvent", touch)
    for side, height in [("left", 2), ("right", -2)]:
        found = slider(page, f"height, {side}").input_value()
        assert float(found) == pytest.approx(height, abs=0.1)
    assert page.evaluate("scrollY") == 60


# What has the focus, and whether it lies under something else.
FOCUS = """() => {
    const focus = document.activeElement, box = focus.getBoundingClientRect();
    const top = document.elementFromPoint(
        box.left + box.width / 2, box.top + box.height / 2);
    return [focus.id, !focus.contains(top) && !top?.contains(focus)];
}"""


def test_the_keyboard_reaches_all_and_the_plane_hides_none(open_page):
    page = open_page("#epoch=1", **PHONE)
    page.focus("#play-python")
    stops = []
    while "play-left" not in stops and len(stops) < 40:
        page.keyboard.press("Shift+Tab")
        stop, covered = page.evaluate(FOCUS)
        assert not covered, stop
        stops.append(stop)
    controls = page.locator(".playground :is(button, input, select):enabled")
    assert {part.get_attribute("id") for part in controls.all()} <= {*stops}


def test_who_cannot_see_the_plane_hears_it(open_page):
    page = open_page()
    x, y, label = data = make_dataset(jax.random.key(1))

    def check_sides(told, line):
        above = y > boundary_y(line, x)
        assert [int(count) for count in re.findall(r"(\d+) [ct]", told)] == [
            (side & (label == kind)).sum()
            for side in (above, ~above)
            for kind in (0, 1)
        ]

    text = said(page, "text")
    for kind in (0, 1):
        centre = x[label == kind].mean(), y[label == kind].mean()
        assert "around ({:.1f}, {:.1f})".format(*centre) in text
    assert text.endswith("The true and the learned line are hidden.")
    left = slider(page, "height, left")
    left.press("ArrowRight")
    assert left.get_attribute("aria-valuetext") == "0.05"
    told = heard(page)
    assert told.startswith("Your line runs from (-7.0, 0.1) to (7.0, -0.1).")
    assert told.endswith("it says 1 above.")
    check_sides(told, through(0.05, 0.0))
    button(page, "Step").click()
    right, fresh, _, loss, fresh_loss, *_ = shown(page)
    assert heard(page) == (
        f"Epoch 1: right on {right} of these points, on {fresh} of fresh "
        f"ones; loss {loss} and {fresh_loss}."
    )
    _, told = said(page, "text").split("The learned line")
    assert told.endswith("it says 1 below.")  # it starts upside down
    check_sides(told, Line(*train(data)[1]))
    for _ in range(2):  # said again, it is heard again
        button(page, "Reset").click()
        assert said(page, "spoken") == ""
        assert heard(page).startswith("Epoch 0: ")


def test_the_address_remembers(open_page):
    page = open_page("#points=200&epoch=3")
    slider(page, "learning rate").press("ArrowRight")
    expect_hash(page, "#points=200&rate=1")
    button(page, "Step").click()
    page.reload()
    assert said(page, "epoch") == "epoch 1"
    page.evaluate("Math.random = () => 0.5")
    button(page, "New data").click()
    expect_hash(page, "#key=5000&points=200&rate=1&epoch=1")
    before = page.url
    assert shown(page) == numbers(before)
    button(page, "Play").click()
    page.click("text=Ten points.")
    page.click("text=Back to the list")  # a heading's: it sets nothing
    wait_until_shown(page, "#points=10&rate=1&epoch=100")
    assert button(page, "Play").is_visible()
    page.go_back()
    page.go_back()
    page.wait_for_url(before)
    wait_until_shown(page, before)


def test_what_an_address_cannot_ask_is_named(open_page):
    page = open_page(
        "#key=-1&points=7&scale=0&slope=1&rate=a&speed=2&line=9&epoch=0x9"
    )
    bad = "key=-1, points=7, scale=0, rate=a, speed=2, line=9, epoch=0x9."
    assert said(page) == f"No such setting: {bad}"
    assert said(page, "true-w1") == "-3.00"
    key = page.get_by_label("key (which points)")
    key.fill("4294967296")
    key.press("Enter")
    assert said(page) == "A key is a whole number from 0 to 4294967295."
    assert key.input_value() == "1"


def test_play_speaks_now_and_then(open_page):
    page = open_page()
    button(page, "Play").press("Space")
    page.clock.run_for(5000)
    assert said(page, "spoken") == "Training."
    page.clock.run_for(1500)
    brief = said(page, "spoken")
    assert re.fullmatch(r"Epoch 101: [\d.]+ % right, loss [\d.]+\.", brief)
    button(page, "Pause").press("Space")
    page.clock.run_for(400)
    assert said(page, "epoch") == "epoch 130"
    expect_hash(page, "#epoch=130")
    assert said(page, "spoken") == said(page)


def test_play_ends_at_the_last_epoch_and_begins_anew(open_page):
    page = open_page("#epoch=298&points=10")
    button(page, "Play").click()
    page.clock.run_for(200)
    assert said(page, "epoch") == "epoch 300"
    button(page, "Play").click()
    page.clock.run_for(100)
    assert said(page, "epoch") == "epoch 2"


def test_less_motion_means_ten_epochs_a_second(open_page):
    page = open_page(reduced_motion="reduce")
    button(page, "Play").click()
    page.clock.run_for(2500)
    assert said(page, "epoch") == "epoch 20"


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_jumps(width, open_page):
    page = open_page(viewport={"width": width, "height": 900})
    # From the top, where the plane does not stick.
    places = """() => (scrollTo(0, 0), [
        ...document.querySelectorAll(".playground > *, #try-this")
    ].map((part) => part.getBoundingClientRect().top))"""
    before = page.evaluate(places)
    button(page, "Judge my line").click()
    assert page.evaluate(places) == before
    button(page, "Play").click()
    page.clock.run_for(500)
    assert page.evaluate(places) == before


def test_without_scripts_there_is_a_still(open_page):
    page = open_page(java_script_enabled=False)
    assert page.locator(".playground-still img").is_visible()
    assert not page.locator(".playground").is_visible()
