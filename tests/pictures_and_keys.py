"""What nbval leaves: pictures are as committed, and no key is used twice.

    python -m pytest --nbval notebooks/ -p tests.pictures_and_keys

Cells tagged ``demonstration`` must use a key twice: they show what it does.
"""

import base64
import io
from itertools import zip_longest

import numpy as np
import pytest
from PIL import Image, ImageChops

# Another renderer may round a channel, and the edge of a letter, otherwise.
UNSEEN = 32  # of 255
FEW = 4  # pixels


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    demonstrates = "demonstration" in item.cell.metadata.get("tags", ())
    watch_keys(item, True)
    if demonstrates:
        code = f"get_ipython().transform_cell({item.cell.source!r})"
        error = run_unseen(item, f"exec({code}, dict(globals()))")
        watch_keys(item, False)
    result = yield
    if demonstrates and error != "KeyReuseError":
        item.raise_cell_error("Tagged demonstration, it uses no key twice")
    if item.options["check"]:
        compare_pictures(item)
    return result


def watch_keys(item, on):
    """Have JAX raise an error where a key is used twice, or not.

    Not by the environment, which the processes that a cell starts would read.
    """
    config = "__import__('jax').config"
    run_unseen(item, f"{config}.update('jax_debug_key_reuse', {on})")


def run_unseen(item, code):
    """Run code in the cell's kernel; return the name of its error, or None."""
    kernel = item.parent.kernel
    if kernel.is_alive():
        reply = kernel.kc.execute_interactive(
            code, silent=True, stop_on_error=False, output_hook=lambda _: None
        )
        return reply["content"].get("ename")


def compare_pictures(item):
    """Raise nbval's error where a picture is not as committed."""
    pairs = zip_longest(
        pictures(item.cell.outputs), pictures(item.test_outputs)
    )
    for number, (committed, drawn) in enumerate(pairs, start=1):
        if bool(committed) != bool(drawn):
            now = "no picture" if committed else "a picture"
            item.raise_cell_error(f"Output {number} is {now} now")
        if committed and (share := changed(committed, drawn)):
            item.raise_cell_error(
                f"{share:.2%} of the picture's pixels are not as committed; "
                "if the new one is right, run make notebooks"
            )


def pictures(outputs):
    """Return the PNG of each output, or None where it has none."""
    return [output.get("data", {}).get("image/png") for output in outputs]


def changed(*pngs):
    """Return which share of the pixels of two differ, or 0 where few do."""
    one, other = (
        Image.open(io.BytesIO(base64.b64decode(png))).convert("RGBA")
        for png in pngs
    )
    if one.size != other.size:
        return 1.0
    difference = np.asarray(ImageChops.difference(one, other)).max(axis=-1)
    seen = difference > UNSEEN
    return seen.mean() if seen.sum() > FEW else 0.0
