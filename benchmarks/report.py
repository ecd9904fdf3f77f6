"""Render bench.json as tables; measures nothing itself."""

import json
from pathlib import Path

# Beside the helpers, so that chapter 10 finds it wherever it runs.
NUMBERS = Path(__file__).parents[1] / "helpers" / "bench.json"
PAGE = Path(__file__).parent / "results.md"
# From the peer to the book's best, and what each line changes.
CHAIN = {
    "scikit-learn, newton-cholesky": "",
    "NumPy, float32": "plain Newton",
    "NumPy, in chunks": "chunks in the cache",
    "newton, zeros, 1 device": "one compiled loop",
    "newton, zeros, 2 devices": "both cores",
    "newton, sample, 2 devices": "sample start, first Hessian kept",
}


def table(head, rows):
    """Return a Markdown table; columns after the first are set right."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def digits(value):
    """Return a number with three digits."""
    return f"{value:#.3g}".rstrip(".")


def time_of(value):
    """Return seconds as text, in the unit that suits them."""
    units = (("s", 1), ("ms", 1e-3), ("µs", 1e-6))
    unit, size = next((u for u in units if value >= u[1]), units[-1])
    return f"{digits(value / size)} {unit}"


def times(entry):
    """Return the shortest, middle and longest time of an entry, as text."""
    return [time_of(entry["seconds"][k]) for k in ("min", "median", "max")]


def chain_table(rows):
    """Return how the time falls from scikit-learn's to the book's best."""
    seconds = [rows[name]["seconds"]["min"] for name in CHAIN]
    lines = []
    for k, (name, why) in enumerate(CHAIN.items()):
        step = f"{digits(seconds[k - 1] / seconds[k])} ×" if why else ""
        total = f"{digits(seconds[0] / seconds[k])} ×"
        lines.append([name, times(rows[name])[0], why, step, total])
    head = ["from … to", "minimum", "what changes", "this step", "in all"]
    return table(head, lines)


def fits_table(rows, aim):
    """Return the table of one size, the fastest first."""
    lines = []
    for name in sorted(rows, key=lambda name: rows[name]["seconds"]["min"]):
        row = rows[name]
        tol = f", tol {row['tol']:.0e}" if row["tol"] else ""
        mark = "" if row["norm"] <= aim else " **not reached**"
        layout, norm = " ".join(row["layout"]) + tol, f"{row['norm']:.0e}"
        lines.append([name, layout, *times(row), norm + mark])
    head = ["contender", "layout", "minimum", "median", "maximum", "‖g‖"]
    return table(head, lines)


def epochs_table(ways):
    """Return how many times as fast as the blog `fit` is."""
    lines = []
    for words, key, which in (
        ("first call of a process, median", "first", "median"),
        ("later calls, minimum", "seconds", "min"),
    ):
        blog, ours = (ways[way][key][which] for way in ("blog", "fit"))
        ratio = f"{digits(blog / ours)} ×"
        lines.append([words, time_of(blog), time_of(ours), ratio])
    return table(["100 epochs", "blog", "fit", "ratio"], lines)


def render(results):
    """Return results.md of what bench.json holds."""
    box, sizes, aim = results["machine"], results["fits"], results["aim"]
    caches = ", ".join(f"{k} {v}" for k, v in box["caches"].items())
    names = ", ".join(f"{k} {v}" for k, v in results["versions"].items())
    n = 10**6 if str(10**6) in sizes else max(map(int, sizes))
    fits = "\n\n".join(
        f"### n = {int(n):,}\n\n{fits_table(rows, aim)}"
        for n, rows in sizes.items()
    )
    return f"""# Benchmarks

Written by `make bench`: do not edit. All times are of one run, in which the
contenders took turns; the minimum counts, since whatever else a machine does
can only add to it.

Machine: {box["processor"]}, {box["cores"]} cores, caches \
{caches or "unknown"}; {box["system"]}. Versions: {names}.

## Where the time goes, n = {n:,}

{chain_table(sizes[str(n)])}

Each line divides the time of the line before by its own, so the steps multiply
to the whole. scikit-learn works in float32, too, and mostly on one core.
NumPy's and PyTorch's Newton compute no loss and check nothing; the book's does
both, in one compiled program. A sample start fits 10,000 points first, and
keeps the first Hessian of all. A pass with loss and Hessian takes \
{digits(results["pass"]["hessian"]["min"] / results["pass"]["read"]["min"])} \
times as long as reading the same numbers, on both devices.

## Fits

To ‖g‖ ≤ {aim:.0e}, g the gradient of the mean log loss, evaluated
in NumPy's float64 where each contender ended. Of several layouts and
tolerances the fastest that arrives was chosen beforehand; converting the data
is not timed.

{fits}

## The blog's 100 epochs, n = 1,000

{epochs_table(results["epochs"])}

A first call also compiles; importing and making the data are not timed.
"""


if __name__ == "__main__":
    results = json.loads(NUMBERS.read_text("utf-8"))
    PAGE.write_text(render(results), "utf-8")
