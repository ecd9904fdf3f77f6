"""Make .venv with the locked packages and the helpers, unless it is there.

make calls it with whatever Python the machine has. So this file parses on
Python 3.6, needs nothing installed, and ends in one line that says what to do
when something is missing. The stamp is written last: what was cut off before
has none and is made anew.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time

PYTHON = os.path.join(".venv", "bin", "python")
STAMP = os.path.join(".venv", "complete")
# Kernels would otherwise warn, each time, that they talk over TCP.
QUIET = os.path.join(".venv", "etc", "ipython", "ipython_kernel_config.py")
PIP_INSTALL = [PYTHON, "-m", "pip", "install", "--no-input", "--retries", "2"]
PIP_INSTALL += ["--disable-pip-version-check", "--progress-bar", "off"]
# No source builds: a Python without a wheel gets one line, not a compiler's.
PIP_INSTALL += ["--only-binary", ":all:"]
# The processor must be able to run jaxlib, and matplotlib lists its fonts.
TRIAL = "import helpers, seaborn, jax; jax.numpy.zeros(1)"


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
    for module in ("venv", "ensurepip"):
        try:
            __import__(module)
        except ImportError:
            stop(
                f"Python {version} came without its module {module}. On "
                "Debian or Ubuntu: sudo apt install python3-venv; elsewhere "
                "install Python from python.org. Then run make again"
            )


def fingerprint():
    """Return what the environment depends on, hashed."""
    # A moved .venv has wrong paths inside.
    digest = hashlib.sha256(f"{sys.version_info[:2]} {os.getcwd()}".encode())
    for name in ("requirements.txt", "pyproject.toml"):
        with open(name, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def is_complete():
    try:
        with open(STAMP) as file:
            return file.read() == fingerprint() and os.path.exists(PYTHON)
    except OSError:
        return False


def reason(lines):
    """Return the one line of an output that says why it ended."""
    said = "".join(lines)
    if "No space left" in said or shutil.disk_usage(".").free < 10**8:
        return (
            "the disk is full, or the folder of temporary files. It takes "
            "1.5 GB; TMPDIR=FOLDER make book puts downloads elsewhere"
        )
    broken = re.search(r"total=0.*connection broken by .*: (.*?)\W*: /", said)
    if broken:
        return (
            "the package index cannot be reached. Connect to a network, "
            f"then run make again ({broken.group(1)})"
        )
    errors = [line for line in lines if "rror" in line] or lines
    return errors[-1].strip()


def run(command):
    """Run a command; stop if it fails, in one line: pip writes pages."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        errors="replace",
    )
    lines, spoken = [" ".join(command) + " fails"], time.time()
    for line in process.stdout:
        lines.append(line)
        # A minute of silence would look hung.
        if time.time() - spoken > 10 or line.startswith("Installing"):
            print("  " + line.strip()[:76], flush=True)
            spoken = time.time()
    if process.wait() != 0:
        stop(reason(lines))


def make():
    """Make the environment from nothing, and stamp it as complete."""
    if os.path.exists(STAMP):
        os.remove(STAMP)
    # Run by .venv's own Python, this must come from the one beneath.
    base = getattr(sys, "_base_executable", sys.executable)
    run([base, "-m", "venv", "--clear", ".venv"])
    run([*PIP_INSTALL, "-r", "requirements.txt"])
    run([*PIP_INSTALL, "--no-deps", "--no-build-isolation", "-e", "."])
    os.makedirs(os.path.dirname(QUIET), exist_ok=True)
    with open(QUIET, "w") as file:
        file.write('c.IPKernelApp.log_level = "ERROR"\n')
    run([PYTHON, "-P", "-c", TRIAL])
    with open(STAMP, "w") as file:
        file.write(fingerprint())


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    check_python()
    if not is_complete():
        print("Making .venv (once: a minute or two, 1.5 GB)", flush=True)
        start = time.time()
        make()
        print(f"Made .venv in {time.time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        stop("interrupted; the next make starts it again")
    except OSError as error:
        stop(str(error))
