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


def train(data, name="sgd", rate=0.3, start=BLOG_PARAMS):
    """Return the three numbers of the line at the epochs from 0 to 300."""
    _, history = fit(loss_fn, start, OPTIMIZERS[name](rate), data, 300)
    start, run = start["params"], history.params["params"]
    return np.column_stack([np.append(start[k], run[k]) for k in NAMES])


def on_fresh(line, truth=TRUE_LINE, threshold=0):
    """Return accuracy and loss on average over all points, by a grid of them.

    Its rows are parallel to the line, and dense beside it.
    """
    line = line._replace(b=line.b - threshold)
    w, v = (np.array([2 * k.w1, k.w2]) for k in (line, truth))
    size = np.hypot(*w)
    up, along = w / size, np.array([-w[1], w[0]]) / size
    u = 0.01 * np.arange(-249.5, 250)[:, None]
    s, t = u**3 - line.b / size, np.linspace(-8, 8, 401)
    true_logit = (v @ up) * s + (v @ along) * t + truth.b
    logit = np.broadcast_to(size * s + line.b, true_logit.shape)
    weights = u**2 * np.exp(-(s**2 + t**2) / 2)
    right = expected_scores(logit, true_logit, weights).accuracy
    loss = expected_scores(logit + threshold, true_logit, weights).log_loss
    return right, loss


@pytest.fixture(scope="module")
def open_page(browser, origin):
    """Open a hash in a window whose clock stands still until it is run."""
    windows, complaints = {}, []

    def open_at(hash="", **options):
        key = str(options)
        if key not in windows:
            options["permissions"] = ["clipboard-read", "clipboard-write"]
            windows[key] = browser.new_page(**options)
            windows[key].on("pageerror", lambda e: complaints.append(str(e)))
            windows[key].clock.install(time=0)
            # Far ahead, or a slow machine is past it by now.
            windows[key].clock.pause_at(3600)
        windows[key].goto("about:blank")
        windows[key].goto(f"{origin}/book/playground.html{hash}")
        return windows[key]

    yield open_at
    for window in windows.values():
        window.close()
    assert not complaints


STEEP, FLIPPED = Line(-6.0, 3.0, 0.1), Line(0.3, -2.0, 1.0)


@pytest.mark.parametrize(
    "seed, n, line",
    [(0, 1, TRUE_LINE), (7, 300, STEEP), (2**32 - 1, 20_000, FLIPPED)],
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


def percent(share):
    return f"{100 * share:.1f} %"


DIALS = "key=1&points=1000&scale=1&slope=-1/3&rate=0.3&threshold=0"
BLOG = ",".join(str(BLOG_PARAMS["params"][k]) for k in ("w1", "w2"))


def numbers(address):
    """Return what the page's tables must show, without its scripts."""
    asked = dict(parse_qsl(f"{DIALS}&{urlsplit(address).fragment}"))
    truth = Line(float(-3 * Fraction(asked["slope"])), 3.0, 0.1)
    truth = truth.scaled(float(asked["scale"]))
    key, threshold = jax.random.key(int(asked["key"])), asked["threshold"]
    data = make_dataset(key, int(asked["points"]), truth)
    w1, w2 = map(np.float32, asked.get("start", BLOG).split(","))
    start = {"params": {"w1": w1, "w2": w2, "b": np.float32(0)}}
    name, rate = asked.get("optimizer", "sgd"), float(asked["rate"])
    run = train(data, name, rate, start)
    learned = Line(*run[int(asked["epoch"])])
    logit = line_logit(learned, data.x, data.y)
    right = np.mean((logit > float(threshold)) == data.label)
    columns = [
        (right, scores(data.label, logit).log_loss),
        on_fresh(learned, truth, float(threshold)),
        on_fresh(truth, truth),
    ]
    cells = [percent(right) for right, _ in columns]
    losses = [loss for _, loss in columns]
    # Rounded to nothing, a small weight loses its sign.
    return cells + [
        f"{round(float(number), 2) + 0:.2f}"
        for number in (*losses, *learned, *truth)
    ]


def plain(text):
    return text.replace("\u202f", " ").replace("\u2212", "-")


def expect_numbers(page, hash=None):
    """Expect the tables to be those of an address: a link is no click."""
    wanted = [text.replace("-", "−") for text in numbers(hash or page.url)]
    expect(page.locator("tbody td")).to_have_text(wanted, timeout=20_000)


def said(page, part="status"):
    return plain(page.text_content(f"#play-{part}"))


def heard(page):
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
    paths = page.locator(f"#play-plane path{kind}").all()
    return sum(path.get_attribute("d").count("M") for path in paths)


def test_each_number_of_a_trial_is_computed(open_page):
    page = open_page()
    trials = page.locator("#try-this ol > li").all()
    assert trials
    for trial in trials:
        links = []
        for part in trial.locator('a[href^="#"], data').all():
            if link := part.get_attribute("href"):
                part.click()
                expect_numbers(page, link)
                links.append(link)
            else:
                found = said(page, part.get_attribute("value"))
                assert plain(part.inner_text()) == found, links
        html = plain(trial.inner_html())
        words = re.sub(r"<data.*?</data>|<[^>]+>", "", html)
        assert not re.findall(r"\d+\.\d+|\d+ %", words), "stands in no <data>"


@pytest.mark.parametrize(
    "hash",
    [
        "#optimizer=momentum&epoch=100",
        "#optimizer=adam&epoch=100",
        "#key=999999999&points=50&scale=5&slope=5/3&rate=1&epoch=20",
        "#scale=0.2&slope=-2&epoch=3",
        "#start=-2.5,4&epoch=100",
        # A step so long that naive exponentials overflow.
        "#points=20&slope=0&rate=100&optimizer=adam&epoch=2",
    ],
)
def test_all_shows_what_the_same_in_python_computes(hash, open_page):
    page = open_page(hash)
    expect_numbers(page)
    names = {}
    exec(plain(page.text_content(".play-python pre")), names)
    mark = page.locator("#play-view .mark")
    tens = page.locator("#play-view .tens").get_attribute("d")
    assert tens.count("M") == int(said(page, "epoch")[6:]) // 10 + 1
    for name, number in names["params"]["params"].items():
        assert said(page, f"learned-{name}") == f"{number:.2f}"
        if name != "b":
            found = float(mark.get_attribute(f"data-{name}"))
            assert found == pytest.approx(float(number), rel=1e-5, abs=1e-5)
    label = names["dataset"].label
    assert marks(page, ".label-1") == label.sum()
    right = 1 - marks(page, ".wrong") / len(label)
    assert said(page, "accuracy-0") == percent(right)


def check_nothing_given_away(page):
    assert not drawn(page, "true line") and not drawn(page, "learned")
    for part in ("view", "slope", "best", "scores", "python", "play"):
        assert not page.locator(f"#play-{part}").is_visible()
    assert "true" not in said(page, "text") and "slope" not in page.url


def through(left, right):
    """Return the line through two places, which says 1 above it."""
    (x, y), (to_x, to_y) = left, right
    w1, w2 = y - to_y, to_x - x
    return Line(w1, w2, -w1 * x - w2 * y)


def place(page, name):
    """Return where a disc is, as it is read aloud."""
    text = slider(page, name).get_attribute("aria-valuetext")
    return tuple(map(float, re.findall(r"-?[\d.]+", plain(text))))


def test_all_is_hidden_until_your_line_is_judged(open_page):
    page = open_page()
    for _ in range(5):
        slider(page, "first disc").press("ArrowUp")
    page.reload()
    check_nothing_given_away(page)
    assert place(page, "first disc") == (-3, 0.5)
    button(page, "Judge").press("Enter")
    expect(page.locator("#play-play")).to_be_focused()
    assert drawn(page, "true line")
    data = make_dataset(jax.random.key(1))
    mine = through((-3, 0.5), (3, 0))
    fresh, limit = (on_fresh(k)[0] for k in (mine, TRUE_LINE))
    missed = (line_logit(mine, data.x, data.y) > 0) != data.label
    assert marks(page, ".wrong") == missed.sum()
    shares = [percent(share) for share in (1 - missed.mean(), fresh, limit)]
    assert re.findall(r"[\d.]+ %", said(page, "verdict")) == shares
    assert said(page, "own-yours") == f"yours {shares[0]}"
    run = [on_fresh(Line(*row))[0] for row in train(data)[:101]]
    passed = int(np.argmax(np.array(run) > fresh))
    assert page.locator("#play-status").inner_text().endswith("epoch 300.")
    button(page, "Play").click()
    page.clock.run_for(50 * passed)
    button(page, "Pause").click()
    page.reload()
    assert f" epoch {passed}." in said(page, "verdict")


def test_a_link_shows_no_line_that_nobody_drew(open_page):
    page = open_page("#scale=0.1")
    told = "Set by the link: scale of the true weights 0.1."
    assert said(page, "trial") == told
    lines = page.locator("#play-plane > path[data-name]:not([d=''])")

    def shown():
        return [line.get_attribute("data-name") for line in lines.all()]

    assert shown() == ["The true line"]
    truth = TRUE_LINE.scaled(0.1)
    x, y, label = make_dataset(jax.random.key(1), line=truth)
    missed = (line_logit(truth, x, y) > 0) != label
    assert marks(page, ".wrong") == missed.sum()
    key = page.locator(".play-plane .judged")
    assert key.inner_text() == "bold: the true line is wrong"
    slider(page, "first disc").press("ArrowUp")
    assert shown() == ["The true line", "Your line"]
    assert key.inner_text().startswith("bold: your")
    button(page, "Step").click()
    assert "The learned line" in shown()
    page = open_page("#puzzle=41")
    assert said(page, "trial") == "" and shown() == ["Your line"]


def test_a_line_that_moves_has_one_score(open_page):
    page = open_page("#line=-3,0,3,0&epoch=1")
    slider(page, "first disc").press("ArrowUp")
    score = percent(on_fresh(through((-3, 0.1), (3, 0)))[0])
    assert said(page, "fresh-yours") == f"yours {score}"
    assert f" and {score} of fresh points" in said(page, "verdict")
    assert heard(page) == said(page, "verdict")
    expect(page).to_have_url(re.compile("#line=-3,0.1,3,0&epoch=1$"))


def test_bars_part_what_is_near_the_limit(open_page):
    """Lines right on 85.6 and 85.9 % of fresh points, 90 and 100 % of ten."""

    def at(page, mark):
        return float(
            page.locator(f"#play-{mark}")
            .evaluate("mark => getComputedStyle(mark, '::after').left")
            .removesuffix("px")
        )

    page = open_page("#line=-3,0.75,3,-0.9&beat=-3,0.95,3,-1.05")
    assert said(page, "fresh-yours") == "yours 85.6 %"
    assert said(page, "fresh-rival") == "rival 85.9 %"
    assert at(page, "fresh-rival") - at(page, "fresh-yours") > 14
    page = open_page("#points=10&rate=1&epoch=100&line=-3,-1,3,-1")
    assert said(page, "own-yours") == "yours 90.0 %"
    assert said(page, "own-model") == "model 100.0 %"
    assert at(page, "own-model") - at(page, "own-yours") > 28


def test_a_trial_is_quoted_while_it_is_so(open_page):
    page = open_page("#line=-3,0.5,3,0")
    page.click("text=Ten points.")
    expect(page.locator("#play-play")).to_be_focused()
    expect_numbers(page, "#points=10&rate=1&epoch=100")
    assert said(page, "trial").startswith("Ten points.")
    assert place(page, "first disc") == (-3, 0.5)
    assert said(page, "top") == "2"  # in sight: a loss of over 1.2
    box = page.locator(".play-trial").bounding_box()
    assert box["y"] >= 48, "under the header"
    button(page, "New puzzle").click()
    check_nothing_given_away(page)
    assert said(page, "trial") == ""
    assert said(page, "points-value") == "1000"


def test_a_press_on_the_map_starts_a_run_there(open_page):
    page = open_page("#epoch=50")
    view = page.locator("#play-view")
    view.scroll_into_view_if_needed()
    box = view.bounding_box()
    unit = box["width"] / 246

    def spot(w1, w2):
        """Where the map has these weights: from -3 to 3 in 200 pixels."""
        return (
            box["x"] + unit * (134 + w1 * 100 / 3),
            box["y"] + unit * (158 - w2 * 100 / 3),
        )

    page.mouse.move(*spot(1, 1))
    page.mouse.down()
    page.mouse.move(*spot(-2, -1), steps=5)
    page.mouse.up()
    page.clock.run_for(500)
    button(page, "Pause").click()
    w1, w2 = page.evaluate(
        "() => location.hash.match(/start=(.*)&/)[1].split(',').map(Number)"
    )
    assert (w1, w2) == pytest.approx((-2, -1), abs=0.03)
    expect_numbers(page, f"#start={w1},{w2}&epoch=10")
    first = said(page, "loss-0")
    _, before, now = said(page, "found").split("from")
    assert before.startswith(" 1.06 to 0.36") and f" to {first}" in now
    # By keyboard; let roll, all starts end at nearly the same loss.
    view.press("ArrowRight")
    view.press("ArrowUp")
    view.press("Enter")
    page.clock.run_for(15_100)
    start = f"{w1 + 0.15:.2f},{w2 + 0.15:.2f}"
    expect_numbers(page, f"#start={start}&epoch=300")
    assert said(page, "loss-0") in ("0.31", "0.32")
    page.reload()
    expect_numbers(page, f"#start={start}&epoch=300")
    button(page, "Reset").click()
    button(page, "Step").click()
    expect(page).to_have_url(re.compile("#epoch=1$"))
    expect_numbers(page)


def test_a_start_can_be_written(open_page):
    page = open_page("#epoch=20")
    page.get_by_label("start at").fill("2,-1.5")
    expect_numbers(page, "#start=2,-1.5&epoch=20")


def test_what_is_refused_is_answered(open_page):
    page = open_page("#epoch=20")
    for name in ("key", "start at"):
        field = page.get_by_label(name, exact=name == "key")
        field.fill("-5")
        assert said(page) == field.get_attribute("title")
    expect(page).to_have_url(re.compile("#epoch=20$"))


def test_a_link_brings_a_line_to_beat(open_page):
    page = open_page("#slope=2&points=200")
    slider(page, "second disc").press("ArrowUp")
    button(page, "Judge").click()
    slider(page, "second disc").press("ArrowUp")
    button(page, "Challenge a friend").click()
    told = "Link copied. Send it to a friend."
    expect(page.locator("#play-status")).to_have_text(told)
    link = page.evaluate("navigator.clipboard.readText()")
    page = open_page(link.removeprefix(page.url.split("#")[0]))
    check_nothing_given_away(page)
    score = percent(on_fresh(through((-3, 0), (3, 0.2)), STEEP)[0])
    assert said(page, "verdict").startswith(score)
    assert said(page, "fresh-rival") == f"rival {score}"
    button(page, "Judge").click()
    expect_numbers(page, "#slope=2&points=200&epoch=0")
    page = open_page("#slope=2&beat=-3,0,3,0.2&line=-1.5,-3,1.5,3")
    assert f" You beat {score}. " in said(page, "verdict")


def test_a_dial_keeps_the_epoch_and_leaves_the_earlier_curve(open_page):
    page = open_page("#points=200&epoch=20")
    curve, ghost = map(page.locator, ("#play-own-curve", "#play-ghost-curve"))
    assert ghost.get_attribute("d") == ""
    before = curve.get_attribute("d")
    page.get_by_label("learning rate").select_option("1")
    expect(page).to_have_url(re.compile("#points=200&rate=1&epoch=20$"))
    expect_numbers(page)
    assert ghost.get_attribute("d") == before != curve.get_attribute("d")


PHONE = {"viewport": {"width": 390, "height": 700}, "has_touch": True}


def test_a_disc_can_be_dragged_both_ways_by_mouse_and_by_thumb(open_page):
    page = open_page(**PHONE, is_mobile=True)
    page.evaluate("scrollTo(0, 60)")
    plane = page.get_by_role("img", name="The plane").bounding_box()
    unit = plane["width"] / 14
    middle = plane["y"] + 3.5 * unit
    # Each is taken off its centre, by half a unit.
    page.mouse.move(plane["x"] + 4.5 * unit, middle)
    page.mouse.down()
    assert place(page, "first disc") == (-3, 0)
    page.mouse.move(plane["x"] + 3.5 * unit, middle - 2 * unit, steps=4)
    page.mouse.up()
    send = page.context.new_cdp_session(page).send
    for k in np.arange(0, 2.1, 0.1):
        x, y = plane["x"] + (9.5 - k / 2) * unit, middle + k * unit
        touch = {"type": "touchMove" if k else "touchStart"}
        touch["touchPoints"] = [{"x": x, "y": y}]
        send("Input.dispatchTouchEvent", touch)
    send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    for name, wanted in [("first disc", (-4, 2)), ("second disc", (2, -2))]:
        assert place(page, name) == pytest.approx(wanted, abs=0.1)
    assert page.evaluate("scrollY") == 60


def test_a_line_may_stand_upright_but_not_shrink_to_a_point(open_page):
    page = open_page("#line=0,-0.5,0,0.5")
    x, _, label = make_dataset(jax.random.key(1))
    circles, triangles = np.bincount(label[x < 0])
    told = f"Left of it are {circles} circles and {triangles} triangles,"
    assert told in said(page, "text")
    slider(page, "first disc").press("ArrowUp")
    assert place(page, "first disc") == (0, -0.5)
    page = open_page("#line=0,-0.5,6.65,3.2")
    slider(page, "second disc").press("ArrowRight")
    assert place(page, "second disc") == (6.7, 3.2)


# What has the focus, and whether it lies under something else.
FOCUS = """() => {
    const focus = document.activeElement, box = focus.getBoundingClientRect();
    const top = document.elementFromPoint(
        box.left + box.width / 2, box.top + box.height / 2);
    return [focus.id, !focus.contains(top) && !top?.contains(focus)];
}"""


def test_the_keyboard_reaches_all_and_the_plane_hides_none(open_page):
    page = open_page("#key=14&epoch=1", **PHONE)
    page.focus(".play-python pre")
    stops = []
    while "play-disc-0" not in stops and len(stops) < 40:
        page.keyboard.press("Shift+Tab")
        stop, covered = page.evaluate(FOCUS)
        assert not covered, stop
        stops.append(stop)
    kinds = ":is(button, input, select, [role=slider]):enabled"
    controls = page.locator(f".playground {kinds}")
    assert {part.get_attribute("id") for part in controls.all()} <= {*stops}


def test_who_cannot_see_the_plane_hears_it(open_page):
    page = open_page()
    x, y, label = make_dataset(jax.random.key(1))
    slider(page, "first disc").press("ArrowUp")
    told = heard(page)
    assert told == said(page, "text")  # nothing else is known
    above = y > boundary_y(through((-3, 0.1), (3, 0)), x)
    circles, triangles = np.bincount(label[above])
    assert f"Above it are {circles} circles and {triangles} tri" in told
    button(page, "Judge").click()
    assert heard(page) == said(page, "verdict")
    button(page, "Step").click()
    right, fresh, _, loss, *_ = numbers("#epoch=1")
    assert re.findall(r"\d+\.\d+", heard(page)) == [
        number.removesuffix(" %") for number in (right, fresh, loss)
    ]


def test_the_address_remembers(open_page):
    page = open_page("#points=200&epoch=3")
    slider(page, "number of points").press("ArrowRight")
    button(page, "Play").click()
    page.click("text=Ten points.")
    expect_numbers(page, "#points=10&rate=1&epoch=100")
    page.go_back()
    expect(page).to_have_url(re.compile("#points=500&epoch=3$"))
    expect_numbers(page)
    button(page, "Play").click()
    page.clock.run_for(1700)
    page.reload()
    assert said(page, "epoch") == "epoch 30"
    steps = page.evaluate("history.length")
    for _ in range(3):
        button(page, "New puzzle").click()
    assert page.evaluate("history.length") == steps
    check_nothing_given_away(page)


def test_what_an_address_cannot_ask_is_named(open_page):
    page = open_page(
        "#key=-1&points=7&scale=0&slope=1&rate=a&speed=2&line=9&epoch=0x9"
    )
    bad = "key=-1, points=7, scale=0, rate=a, speed=2, line=9, epoch=0x9."
    assert said(page) == f"No such setting: {bad}"
    assert said(page, "true-w1") == "-3.00"


def test_play_speaks_now_and_then(open_page):
    page = open_page("#epoch=0")
    button(page, "Play").press("Space")
    page.clock.run_for(4900)
    before = said(page, "spoken")
    page.clock.run_for(1600)
    assert "100" not in before and "Epoch 100:" in said(page, "spoken")
    button(page, "Pause").press("Space")
    expect(page).to_have_url(re.compile("epoch=130$"))
    assert heard(page) == said(page)


def test_less_motion_means_ten_epochs_a_second_up_to_the_last(open_page):
    page = open_page("#epoch=280&points=10", reduced_motion="reduce")
    for epoch in (300, 20):
        button(page, "Play").click()
        page.clock.run_for(2500)
        assert said(page, "epoch") == f"epoch {epoch}"


@pytest.mark.parametrize("width, height", [(1366, 768), (390, 664)])
def test_all_is_in_one_window_and_nothing_jumps(width, height, open_page):
    page = open_page(viewport={"width": width, "height": height})
    boxes = """(parts) => [...document.querySelectorAll(parts)]
        .map(part => part.getBoundingClientRect().toJSON())"""
    first = ".play-plane, #play-verdict"
    asked = page.evaluate(boxes, first)
    button(page, "Judge").dispatch_event("click")
    assert page.evaluate(boxes, first) == asked
    parts = ".play-plane, .play-controls, .play-charts, .play-bar"
    judged = page.evaluate(boxes, parts)
    button(page, "Play").dispatch_event("click")
    page.clock.run_for(500)
    assert page.evaluate(boxes, first) == asked
    assert page.evaluate(boxes, parts) == judged
    seen = asked + judged if width > 600 else asked
    assert max(box["bottom"] for box in seen) <= height


@pytest.mark.parametrize("width, height", [(844, 390), (683, 384)])
def test_a_low_window_has_plane_and_buttons(width, height, open_page):
    page = open_page(viewport={"width": width, "height": height})
    page.locator(".play-plane").evaluate("plane => plane.scrollIntoView()")
    for part in ("#play-plane", "#play-judge", "#play-verdict"):
        box = page.locator(part).bounding_box()
        assert box["y"] >= 48 and box["y"] + box["height"] <= height, part


def test_without_scripts_there_is_a_still(open_page):
    page = open_page(java_script_enabled=False)
    assert page.locator(".playground-still img").is_visible()
    assert not page.locator(".playground").is_visible()
