"""Make .venv with the locked packages and the helpers, unless it is there.

make calls it with whatever Python the machine has. So this file parses on
Python 3.6, needs nothing installed, and ends in one line that says what to do
when something is missing. The stamp is written last, so an environment that
was cut off has none, and is made again.
"""

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

ENV = Path(".venv")
PYTHON, STAMP = ENV / "bin" / "python", ENV / "complete"
# Kernels would otherwise warn, each time, that they talk over TCP.
QUIET = ENV / "etc" / "ipython" / "ipython_kernel_config.py"
# No source builds: a Python without a wheel gets one line, not a compiler's.
LOCKED = ["--require-hashes", "--only-binary", ":all:", "-r"]


def stop(message):
    sys.exit("Cannot set up .venv: " + message)


def check_python():
    """Stop unless this Python is new enough and can make environments."""
    version = "{}.{}.{}".format(*sys.version_info)
    if sys.version_info < (3, 11):  # noqa: UP036
        stop(
            f"{sys.executable} is Python {version}, and the book needs 3.11 "
            "or newer. Install one, then name it: make book PYTHON=python3.13"
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        stop(
            f"Python {version} came without its module {error.name}. On "
            "Debian or Ubuntu: sudo apt install python3-venv; elsewhere "
            "install Python from python.org"
        )


def run(*command):
    """Run a command; stop in one line if it fails: installers write pages."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return
    command = " ".join(map(str, command))
    said = f"{command} fails\n{done.stdout}{done.stderr}".strip()
    if "No space left" in said or shutil.disk_usage(".").free < 10**8:
        stop(
            "the disk is full. This takes 1.5 GB, here or in the folder of "
            "downloads, which UV_CACHE_DIR=FOLDER make book puts elsewhere"
        )
    broken = re.search(r"connection broken by .*: (.*?)\W*: /", said)
    if broken:
        stop(f"the package index cannot be reached ({broken[1]})")
    errors = re.findall("(?im)^ *(?:error|cause): (.*)", said)
    stop((errors or said.splitlines())[-1])


def make():
    """Make the environment from nothing."""
    # If .venv's own Python runs this, build from the one beneath it.
    base = getattr(sys, "_base_executable", sys.executable)
    run(base, "-m", "venv", "--clear", ENV)
    # pip brings the lock's uv, and uv all the rest in a fifth of the time.
    lock, pin = Path("requirements.txt"), ENV / "uv.txt"
    pin.write_text(re.search(r"(?m)^uv==(.*\\\n)*.*", lock.read_text())[0])
    run(PYTHON, "-m", "pip", "install", "--retries", "2", *LOCKED, pin)
    uv = [ENV / "bin" / "uv", "pip", "install", "--python", PYTHON]
    run(*uv, *LOCKED, lock)
    run(*uv, "--no-deps", "--no-build-isolation", "-e", ".")
    QUIET.parent.mkdir(parents=True, exist_ok=True)
    QUIET.write_text('c.IPKernelApp.log_level = "ERROR"\n')


def main():
    check_python()
    # What .venv depends on. If it is moved, the paths inside it are wrong.
    parts = f"{sys.version_info[:2]} {Path.cwd()}".encode()
    for name in ("requirements.txt", "pyproject.toml"):
        parts += Path(name).read_bytes()
    stamp = hashlib.sha256(parts).hexdigest()
    if PYTHON.exists() and STAMP.exists() and STAMP.read_text() == stamp:
        return
    print("Making .venv (once: half a minute or more, 1.5 GB)", flush=True)
    STAMP.unlink(missing_ok=True)
    make()
    STAMP.write_text(stamp)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        stop("interrupted; the next make starts again")
    except OSError as error:
        stop(str(error))
