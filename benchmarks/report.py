"""Render bench.json as tables, without measuring anything."""

import json
from pathlib import Path

# It lies beside the helpers, so that chapter 10 finds it wherever it runs.
NUMBERS = Path(__file__).parents[1] / "helpers" / "bench.json"
PAGE = Path(__file__).parent / "results.md"


def table(head, rows):
    """Return a Markdown table; columns after the first are right-aligned."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def ms(*seconds):
    """Return times in milliseconds, as text."""
    return [f"{1000 * value:,.2f}" for value in seconds]


def fits_table(runs, n):
    """Return the table for one number of points, the fastest fit first."""
    lines = []
    for run in runs:
        for name, row in run["fits"][n].items():
            times = [row["seconds"][k] for k in ("min", "median", "max")]
            line = [name, run["versions"]["jax"], row["passes"] or "–"]
            line += [*ms(*times), f"{row['norm']:.0e}"]
            lines.append((times[0], line))
    head = ["contender", "JAX", "passes", "minimum", "median", "maximum"]
    return table([*head, "‖g‖"], [line for _, line in sorted(lines)])


def pairs_table(runs):
    """Return the table of what is timed in pairs, by its shortest times."""
    lines = []
    for run in runs:
        read, whole = (one["min"] for one in run["pass"].values())
        blog, ours = (w["seconds"]["min"] for w in run["epochs"].values())
        line = [run["versions"]["jax"], *ms(whole, read)]
        line += [f"{whole / read:.1f}", *ms(blog, ours), f"{blog / ours:,.0f}"]
        lines.append(line)
    head = ["JAX", "a pass", "reading", "ratio", "the blog's", "`fit`"]
    return table([*head, "ratio"], lines)


def render(results):
    """Return the text of results.md for what bench.json holds."""
    box, runs = results["machine"], results["runs"]
    caches = ", ".join(f"{k} {v}" for k, v in box["caches"].items())
    rows = [run["versions"].values() for run in runs]
    sets = table([*runs[0]["versions"]], rows)
    sizes = [*runs[0]["fits"]]
    fits = "\n\n".join(
        f"### n = {int(n):,}\n\n{fits_table(runs, n)}" for n in sizes
    )
    return f"""# Benchmarks

Written by `make bench`: do not edit. Times are in milliseconds. The minimum
counts, since whatever else a machine does can only add to it. This one is \
{box["processor"]}, {box["cores"]} cores, caches {caches}, under \
{box["system"]}. All was timed once with each of these sets of versions:

{sets}

## Fits

Each contender fits until the gradient of the mean log loss is at most 1e-6
long; ‖g‖ is its length in NumPy's float64 where the contender ended. All
compute in float32, and converting the data is not timed. A sample start fits
10,000 points first, then keeps the first Hessian of all points; only passes
over all points are counted, which scikit-learn does not do.

{fits}

## Pairs

A pass over {int(sizes[-1]):,} points, with loss, gradient and Hessian, and
reading them, both on two devices; and 100 epochs over 1,000 points, by the
blog's loop, with nothing compiled, and by `fit`.

{pairs_table(runs)}
"""


def write(numbers):
    """Write the page for a file of numbers, beside the file unless ours."""
    page = PAGE if numbers == NUMBERS else numbers.with_name(PAGE.name)
    page.write_text(render(json.loads(numbers.read_text("utf-8"))), "utf-8")
    print(f"Wrote {numbers} and {page}")


if __name__ == "__main__":
    write(NUMBERS)
