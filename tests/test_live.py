"""The figures that answer when pushed: their numbers, at any push."""

import re

import numpy as np
import pytest
from scipy.special import expit
from sklearn import metrics

from helpers.live import repeated_intervals, threshold_dials

RNG = np.random.default_rng(0)
LABEL = RNG.permutation(np.repeat([0, 1], [241, 157]))
# Surer than real models are, so that both ends are piled up.
LOGIT = RNG.normal(6 * LABEL - 4, 3)
WIDE = RNG.normal(3, 0.2, 50)
INTERVALS = {
    "good": (WIDE - 0.4, WIDE + 0.41),
    "bad": (WIDE - 1.2, WIDE - 0.2),
}


@pytest.fixture(scope="module")
def dials():
    return threshold_dials(expit(LOGIT), LABEL)


@pytest.fixture(scope="module")
def draws():
    return repeated_intervals(INTERVALS, 3.0, "w2")


@pytest.fixture(scope="module")
def show(browser):
    """Open a figure alone, as in Colab's frame: scripts, no origin."""
    pages = []

    def show(figure, sandbox="allow-scripts"):
        pages.append(browser.new_page())
        pages[-1].set_content(
            f'<iframe sandbox="{sandbox}" width="700" height="900"></iframe>'
        )
        pages[-1].evaluate(
            "html => document.querySelector('iframe').srcdoc = html",
            figure.data,
        )
        found = pages[-1].frame_locator("iframe").locator("figure")
        found.wait_for()
        return found

    yield show
    for page in pages:
        page.close()


def table(figure):
    """Return the table's two columns."""
    texts = figure.locator("tbody td").all_inner_texts()
    return texts[::2], texts[1::2]


def written(counts):
    """Write found, missed, false alarms, silent, two shares and the cost."""
    for row, number in enumerate(counts):
        if row in (4, 5):
            yield f"{100 * number:.0f}\u202f%"
        else:
            digits = int(number < 0.95) + int(number < 9.95)
            yield f"{number:.{digits if number % 1 else 0}f}"


def by_sklearn(threshold, ratio, weight):
    """Count by scikit-learn, where each label has a weight of its own."""
    alarm = expit(LOGIT) > threshold
    how = {"sample_weight": np.where(LABEL, *weight[::-1])}
    matrix = metrics.confusion_matrix(LABEL, alarm, **how)
    (silent, false), (missed, found) = matrix.round(9)
    return written(
        (
            found,
            missed,
            false,
            silent,
            metrics.recall_score(LABEL, alarm, **how),
            metrics.precision_score(LABEL, alarm, **how),
            ratio * missed + false,
        )
    )


@pytest.mark.parametrize(
    ("stop", "ratio", "place", "share"),
    [
        (20, 10, 6, 157 / 398),
        (20, 10, 1, 0.01),
        (0, 1, 0, 0.005),
        (38, 100, 3, 0.05),
        (60, 5, 7, 0.5),
    ],
)
def test_dials_count_as_scikit_learn_does(
    dials, show, stop, ratio, place, share
):
    figure = show(dials)
    sliders = figure.get_by_role("slider")
    at = [1, 2, 3, 5, 10, 20, 30, 50, 100].index(ratio)
    for k, value in enumerate([stop, at, place]):
        sliders.nth(k).fill(str(value))
    threshold = 1 / (1 + 10 ** ((30 - stop) / 10))
    here, there = table(figure)
    assert here == [*by_sklearn(threshold, ratio, (1, 1))]
    scale = 1000 * (1 - share) / 241, 1000 * share / 157
    assert there == [*by_sklearn(threshold, ratio, scale)]
    said = sliders.nth(0).get_attribute("aria-valuetext")
    recall, precision, cost = there[4:]
    assert said == (
        f"{threshold:.3f}; recall {recall}, precision {precision}, "
        f"cost {cost} per 1,000"
    )
    cancers = round(50 * float(precision[:-2]) / 100)
    drawn = figure.locator(".icons .malignant").get_attribute("d").count("M")
    assert abs(drawn - cancers) <= 1
    # Dotted, the threshold of even costs once the logits are shifted.
    own = np.log(157 / 241) - np.log(share / (1 - share))
    even = 30 + 10 * (own - np.log(ratio)) / np.log(10)
    dotted = figure.locator(".computed").get_attribute("d")
    wanted = 54 + 11.5 * np.clip(even, 0, 60)
    assert float(dotted[1:].split()[0]) == pytest.approx(wanted, abs=0.1)
    # The dot lies on the curve of costs; beyond the picture it is an arrow.
    curve = figure.locator(".curve").get_attribute("d")
    down = float(re.findall(r" ([-\d.]+)", curve)[stop])
    dot = figure.locator("circle")
    assert float(dot.get_attribute("cy")) == max(down, 190)
    arrow = figure.locator(".over").get_attribute("d")
    assert (dot.get_attribute("r") == "0") == bool(arrow) == (down < 190)
    price = figure.locator(".price").text_content()
    assert price == f"cost {cost} in 1,000"
    # That all alarms are cancers is said of the few that were seen.
    told = figure.locator(".alarms").inner_text()
    unseen = "no false alarm among 241 seen" in told
    assert unseen == (here[2] == "0")


def test_each_tumour_is_on_its_side_of_each_threshold(dials):
    for kind, name in enumerate(("benign", "malignant")):
        (path,) = re.findall(rf'class="{name}" d="(.*?)"/>', dials.data)[:1]
        across = np.array(re.findall(r"M([\d.]+) ", path), float)
        logit = LOGIT[kind == LABEL]
        for stop in range(61):
            alarms = logit > np.log(10) * (stop - 30) / 10
            assert (across > 54 + 11.5 * stop).sum() == alarms.sum()


def test_a_press_draws_the_next_interval(draws, show):
    figure = show(draws)
    low, high = np.stack([np.stack(ends) for ends in INTERVALS.values()], 1)
    held = ((low < 3) & (high > 3)).cumsum(axis=1)
    again, more, over = figure.get_by_role("button").all()
    for press, drawn in [
        (over, 1),
        (again, 2),
        (more, 22),
        (more, 42),
        (again, 43),
        (more, 50),
        (again, 50),
        (over, 1),
    ]:
        press.click()
        for k in range(2):
            hold = held[k, drawn - 1]
            ends = low[k, drawn - 1], high[k, drawn - 1]
            assert figure.locator(".heads span").nth(k).inner_text() == (
                "newest {:.2f} to {:.2f}\n".format(*ends)
                + f"{hold} of {drawn} hold 3\n"
                f"{100 * hold / drawn:.0f}\u202f%"
            )
            first = max(drawn - 20, 0)
            before = held[k, first - 1] if first else 0
            missed = drawn - first - (hold - before)
            path = figure.locator(".missed").nth(k).get_attribute("d")
            assert path.count("H") == missed


def test_paper_has_twenty_intervals(draws, show):
    figure = show(draws)
    tally = figure.locator(".heads span").first
    for event, drawn in [("beforeprint", 20), ("afterprint", 1)]:
        figure.evaluate("(_, name) => dispatchEvent(new Event(name))", event)
        assert f" of {drawn} hold 3" in tally.inner_text()


@pytest.mark.parametrize("name", ["dials", "draws"])
def test_script_starts_from_the_still(name, request, show):
    figure = request.getfixturevalue(name)
    live, still = show(figure), show(figure, sandbox="")
    if name == "draws":
        for _ in range(19):
            live.get_by_text("Draw again").click()
    else:
        assert table(live) == table(still)
    paths = """figure => [...figure.querySelectorAll("path")].map(
        path => path.getAttribute("d").replace(/\\.0\\b/g, ""))"""
    assert live.evaluate(paths) == still.evaluate(paths)


def test_they_are_the_same_on_another_machine(dials, draws):
    """Last digits differ between machines, by up to 2e-7 of the size."""

    def other(values):
        return values * (1 + 2e-7 * RNG.uniform(-1, 1, np.shape(values)))

    again = threshold_dials(expit(other(LOGIT)), LABEL)
    assert (again.data, repr(again)) == (dials.data, repr(dials))
    moved = {name: map(other, ends) for name, ends in INTERVALS.items()}
    moved = {name: tuple(ends) for name, ends in moved.items()}
    again = repeated_intervals(moved, 3.0, "w2")
    assert (again.data, repr(again)) == (draws.data, repr(draws))
