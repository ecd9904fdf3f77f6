"""Render bench.json as tables and as a figure; measures nothing itself."""

import json
from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image

from helpers import plotting

# Beside the helpers, so that chapter 9 finds it wherever it runs.
NUMBERS = Path(__file__).parents[1] / "helpers" / "bench.json"
MILLION = "1000000"
# Of each contender in the figure: colour, marker and line.
STYLES = {
    "newton, two steps, 2 devices": (plotting.PURPLE, "*", "-"),
    "newton, sample, 2 devices": (plotting.PURPLE, "D", "--"),
    "newton, zeros, 2 devices": (plotting.PURPLE, "o", ":"),
    "newton, two steps, 1 device": (plotting.INK, "*", "-"),
    "newton, sample, 1 device": (plotting.INK, "D", "--"),
    "newton, zeros, 1 device": (plotting.INK, "o", ":"),
    "fit, 400 epochs": (plotting.GREY, "x", "-."),
    "NumPy, float32": (plotting.BLUE, "v", "-"),
    "NumPy, float64": (plotting.BLUE, "^", "--"),
    "NumPy, in chunks": (plotting.BLUE, "<", ":"),
    "scikit-learn, newton-cholesky": (plotting.VERMILION, "s", "-"),
    "scikit-learn, lbfgs": (plotting.VERMILION, "P", "--"),
    "PyTorch, L-BFGS": (plotting.VERMILION, "X", ":"),
}


def table(head, rows):
    """Return a Markdown table; columns after the first are set right."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def seconds(value):
    """Return a time with three digits and a fitting unit."""
    for unit, size in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size:
            return f"{digits(value / size)} {unit}"
    return f"{value / 1e-9:.0f} ns"


def digits(value):
    """Return a number with about three digits."""
    return f"{value:.{max(0, 2 - len(str(int(value))) + 1)}f}"


def times(entry):
    """Return the shortest, middle and longest time of an entry, as text."""
    return [seconds(entry["seconds"][key]) for key in ("min", "median", "max")]


def best(entries, *names):
    """Return the shortest time among entries that arrived, or None."""
    taken = [
        entries[name]["seconds"]["min"]
        for name in names
        if "seconds" in entries.get(name, {})
    ]
    return min(taken, default=None)


def arrived(results, n):
    """Return the entries at n that reached the gradient norm."""
    rows = results["fits"].get(n, {})
    limit = results["aim"]
    return {k: v for k, v in rows.items() if v.get("norm", limit + 1) <= limit}


def over(a, b):
    """Return a / b, or None where one of them was not measured."""
    return a / b if a and b else None


def starting_with(rows, *words):
    """Return the names that begin with one of some words."""
    return [name for name in rows if name.startswith(words)]


def aims(results):
    """Return rows of work, aim, ratio measured, and whether it suffices."""
    rows = arrived(results, MILLION)
    sklearn = best(rows, *starting_with(rows, "scikit-learn"))
    numpy = best(rows, "NumPy, float32", "NumPy, float64")
    zeros = best(rows, *starting_with(rows, "newton, zeros"))
    sample = best(rows, *starting_with(rows, "newton, sample"))
    steps = best(rows, *starting_with(rows, "newton, two steps"))
    one = results["passes"]
    read = best(one, *starting_with(one, "read"))
    optax = best(one, *starting_with(one, "Optax"))
    slopes, all_three = best(one, LOSS[0]), best(one, LOSS[1])
    warm, first = (
        over(best(part, "blog"), best(part, "fit"))
        for part in (results["epochs"], results["first"])
    )
    drawn, shared = results["drawn"], results["shared"]
    to_draw = over(best(drawn, "a pass"), best(drawn, "drawing alone"))
    by_two = over(best(shared, "one process"), best(shared, "two processes"))
    fit, each = "fit, n = 10⁶", "one pass, n = 10⁷"
    return [
        ("the blog's 100 epochs, warm", "≥", 500, warm),
        ("the same, first call", "≥", 6, first),
        (f"{fit}, zeros: scikit-learn", "≥", 12, over(sklearn, zeros)),
        (f"{fit}, zeros: NumPy", "≥", 3, over(numpy, zeros)),
        (
            f"{fit}, sample, verified: scikit-learn",
            "≥",
            45,
            over(sklearn, sample),
        ),
        (
            f"{fit}, sample, two steps: scikit-learn",
            "≥",
            45,
            over(sklearn, steps),
        ),
        (f"{each}: loss, gradient to a read", "≤", 3.8, over(slopes, read)),
        (f"{each}: with Hessian to a read", "≤", 5, over(all_three, read)),
        (f"{each}: Optax to loss, gradient", "≥", 5, over(optax, slopes)),
        ("points drawn in the pass: a pass to drawing", "≤", 1.3, to_draw),
        ("10⁸ points: one process to two", "≥", 1.8, by_two),
    ]


LOSS = ("loss, gradient", "loss, gradient, Hessian")


def aims_table(results):
    """Return the table of aims."""
    rows = []
    for work, sign, aim, ratio in aims(results):
        met = ratio and (ratio >= aim if sign == "≥" else ratio <= aim)
        measured = f"{digits(ratio)} ×" if ratio else "not measured"
        word = ("reached" if met else "missed") if ratio else "–"
        rows.append([work, f"{sign} {aim} ×", measured, word])
    return table(["work", "aim", "measured", ""], rows)


def split_table(results):
    """Return how the million-point ratio splits, step by step."""
    rows = arrived(results, MILLION)
    chain = [
        ("scikit-learn's fastest", starting_with(rows, "scikit-learn"), ""),
        ("NumPy, float32", ["NumPy, float32"], "overhead"),
        ("NumPy, in chunks", ["NumPy, in chunks"], "cache"),
        (
            "newton, zeros, 1 device",
            ["newton, zeros, 1 device"],
            "fusion",
        ),
        (
            "newton, zeros, 2 devices",
            ["newton, zeros, 2 devices"],
            "both cores",
        ),
        ("newton, sample, 2 devices", ["newton, sample, 2 devices"], "start"),
    ]
    if any(best(rows, *names) is None for _, names, _ in chain):
        return "Not measured in this run."
    lines, start = [], best(rows, *chain[0][1])
    before = start
    for name, names, why in chain:
        now = best(rows, *names)
        step = f"{digits(before / now)} ×" if why else ""
        total = f"{digits(start / now)} ×"
        lines.append([name, seconds(now), why, step, total])
        before = now
    head = ["from … to", "minimum", "gained by", "this step", "in all"]
    return table(head, lines)


def fits_table(results, n):
    """Return the table of one size, the fastest first."""
    limit, lines, skipped = results["aim"], [], []
    rows = results["fits"][n]
    for name, row in rows.items():
        if "too long" in row:
            skipped.append(f"{name} (over {row['too long']:.0f} s)")
            continue
        tol = f", tol {row['tol']:.0e}" if row["tol"] else ""
        mark = "" if row["norm"] <= limit else " **not reached**"
        layout = " ".join(row["layout"]) + tol
        norm = f"{row['norm']:.0e}{mark}"
        lines.append(
            (row["seconds"]["min"], [name, layout, *times(row), norm])
        )
    head = ["contender", "layout", "minimum", "median", "maximum", "‖g‖"]
    text = table(head, [line for _, line in sorted(lines)])
    if skipped:
        text += f"\n\nLeft out as too long: {', '.join(skipped)}."
    return text


def parts_table(entries, per=None):
    """Return a table of times; with `per`, also as multiples of it."""
    head = ["work", "minimum", "median", "maximum"]
    rows = [[name, *times(entry)] for name, entry in entries.items()]
    if per:
        head.append("to the fastest read")
        for row, entry in zip(rows, entries.values(), strict=True):
            row.append(f"{digits(entry['seconds']['min'] / per)} ×")
    return table(head, rows)


def machine_text(results):
    """Return the machine and versions as a sentence each."""
    box = results["machine"]
    caches = ", ".join(f"{k} {v}" for k, v in box["caches"].items())
    found = results["versions"]
    names = ", ".join(f"{k} {v}" for k, v in found.items() if v)
    text = (
        f"Machine: {box['processor']} ({box['architecture']}), "
        f"{box['cores']} cores, {box['memory GiB']} GiB of memory, caches "
        f"{caches or 'unknown'}; {box['system']}. Versions: {names}."
    )
    if not found["torch"]:
        text += " PyTorch is not installed, so it is skipped."
    return text


def render(results):
    """Return results.md of what bench.json holds."""
    one = results["passes"]
    fits = "\n\n".join(
        f"### n = {int(n):,}\n\n{fits_table(results, n)}"
        for n in results["fits"]
    )
    read = best(one, *starting_with(one, "read"))
    return f"""# Benchmarks

Written by `make bench`: do not edit. All times are of one run, in which the
contenders took turns; the minimum counts, since whatever else a machine does
can only add to it.

{machine_text(results)}

## The aims

{aims_table(results)}

The ratios are of minima. A sample start fits 10,000 points first. "Verified"
takes a further pass to see that it arrived; "two steps" does not look, and its
norm below was computed afterwards. scikit-learn and NumPy count with the
faster of their rows, without NumPy in chunks, which does by hand what the
book's solver does.

## Where the ratio at a million points comes from

{split_table(results)}

Each line divides the time of the line before by its own, so the steps multiply
to the whole. scikit-learn's fastest works in float32, too, and mostly on one
core. NumPy's Newton computes no loss and checks nothing; the book's computes
it, and checks the data on one device, not on two.

## Fits

To ‖g‖ ≤ {results["aim"]:.0e}, g the gradient of the mean log loss, evaluated
in NumPy's float64 where each contender ended. Of several layouts and
tolerances the fastest that arrives was chosen beforehand; converting the data
is not timed, checking it is, where a contender does so: the book's does on one
device, not on two.

{fits}

## The blog's 100 epochs, n = 1,000

Warm:

{parts_table(results["epochs"])}

First call, in processes of its own; imports and making the data are left out,
compiling is not:

{parts_table(results["first"])}

## One pass, n = {results["pass_size"]:,}

{parts_table(one, read)}

On both devices unless it says otherwise. "Multiplying and adding" does as many
operations as a pass, "exp and log" one sigmoid and one logarithm a point, both
on numbers in cache: no pass of this form is faster than the slowest of these
and the fastest read.

## Points that are drawn in each pass

n = {results["drawn_size"]:,}, one thread; "drawing alone" adds up each column:

{parts_table(results["drawn"])}

n = {results["shared_size"]:,}, in processes of one thread each:

{parts_table(results["shared"])}
"""


def draw(results):
    """Return the figure: seconds to the optimum over the number of points."""
    plotting.use_book_style()
    fig, ax = plt.subplots(figsize=(5.6, 6.4))
    for name, (color, marker, line) in STYLES.items():
        found = [
            (int(n), arrived(results, n)[name]["seconds"]["min"])
            for n in results["fits"]
            if name in arrived(results, n)
        ]
        if found:
            ax.plot(
                *zip(*found, strict=True),
                color=color,
                marker=marker,
                ls=line,
                lw=1.6,
                ms=6,
                label=name,
            )
    ax.set(xscale="log", yscale="log", xlabel="points")
    ax.set(ylabel="seconds until the gradient is below $10^{-6}$")
    fig.legend(loc="outside lower left", ncols=2, fontsize=8.5)
    return fig


def write(numbers, folder):
    """Write results.md and results.png in a folder, of a file of numbers."""
    results = json.loads(numbers.read_text("utf-8"))
    (folder / "results.md").write_text(render(results), "utf-8")
    full = BytesIO()
    fig = draw(results)
    fig.savefig(full)
    plt.close(fig)
    image = Image.open(full).convert("RGB")
    image.quantize(64, dither=Image.Dither.NONE).save(
        folder / "results.png", optimize=True
    )


if __name__ == "__main__":
    write(NUMBERS, NUMBERS.parents[1] / "benchmarks")
