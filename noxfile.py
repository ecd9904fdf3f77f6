"""The chapters and the helpers' tests on other versions.

    .venv/bin/nox -s colab    one set; nox --list names them

Each set goes into an environment of its own, of a Python that is here: without
one the set is skipped, in CI it is red.
"""

import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
OWN = ["-r", "pyproject.toml", "--group", "book", "--group", "test"]
PYTEST = ["-m", "pytest", "-n", "2", "--dist", "loadfile"]


def chapters(session, *packages, notebooks="notebooks/"):
    """Install packages and the helpers, and execute all chapters, or one."""
    session.install(*packages)
    # What the helpers ask for is there, so that the chapters' set-up cell,
    # which installs them in Colab, changes no other package.
    session.install(".", "--no-deps")
    session.run("uv", "pip", "check")
    # Matplotlib lists the fonts once, and says so: not in a chapter.
    session.run("python", "-c", "import seaborn")
    kernel = ["-m", "ipykernel", "install", "--sys-prefix", "--name", "set"]
    session.run("python", *kernel, silent=True)
    nbval = ["--nbval", notebooks, "--nbval-kernel-name", "set"]
    place = Path(session.virtualenv.location).resolve() / "share" / "jupyter"
    session.env["JUPYTER_PATH"] = str(place)
    session.run(sys.executable, *PYTEST, *nbval, external=True)


def helpers(session, module="*"):
    """Run the helpers' unit tests, or one's, on what is installed."""
    names = [f"tests/test_{p.name}" for p in Path("helpers").glob(module)]
    # An old package may use what a newer one deprecates.
    files = ["-W", "default::DeprecationWarning"]
    files += [name for name in names if Path(name).is_file()]
    session.run("python", *PYTEST, *files)


# 3.15, too, as soon as jaxlib has wheels for it.
@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def lock(session):
    chapters(session, "-r", "requirements.txt")
    helpers(session)


@nox.session(python="3.11")
def oldest(session):
    chapters(session, *OWN, "--resolution", "lowest-direct")
    helpers(session)


@nox.session(python="3.13")
def newest(session):
    chapters(session, *OWN)
    helpers(session)


@nox.session(python="3.13")
def colab(session):
    chapters(session, "-r", "requirements-colab.txt")


@nox.session(python="3.13")
def tree(session):
    """NNX in Flax's tree mode, which is to become its default."""
    session.env.update(NNX_GRAPH_MODE="false", NNX_GRAPH_UPDATES="false")
    chapters(session, *OWN, notebooks="notebooks/12_nnx.ipynb")
    helpers(session, "nnx_model.py")


@nox.session(python="3.11")
@nox.parametrize("count", ["1", "8"], ids=["1", "8"])
def devices(session, count):
    """By so many devices and threads."""
    names = ["JAX_NUM_CPU_DEVICES", "NPROC", "PJRT_NPROC", "OMP_NUM_THREADS"]
    session.env.update(dict.fromkeys(names, count))
    chapters(session, "-r", "requirements.txt")
