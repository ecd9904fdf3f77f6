"""Make .venv with the locked packages and the helpers, unless it is there.

make calls it with whatever Python the machine has. So this file parses on
Python 3.6, needs nothing installed, and ends in one line that says what to do
when something is missing. The stamp is written last: what was cut off before
has none and is made anew.
"""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time

NEEDED = (3, 11)
PYTHON = os.path.join(".venv", "bin", "python")
STAMP = os.path.join(".venv", "complete")
# Kernels would otherwise warn, each time, that they talk over TCP.
QUIET = os.path.join(".venv", "etc", "ipython", "ipython_kernel_config.py")
# Settings of the caller's that would send packages elsewhere.
FOREIGN = {"PYTHONHOME", "PYTHONPATH", "PIP_PREFIX", "PIP_ROOT", "PIP_TARGET"}
PIP_INSTALL = [PYTHON, "-m", "pip", "install", "--no-input"]
PIP_INSTALL += ["--disable-pip-version-check", "--progress-bar", "off"]
# No source builds: a Python without a wheel gets one line, not a compiler's.
PIP_INSTALL += ["--retries", "2", "--only-binary", ":all:"]
# Imports what is large, from outside the folder: the helpers must be found,
# the processor able to run jaxlib, and matplotlib's list of fonts made.
TRIAL = "import helpers, seaborn, jax; jax.numpy.zeros(1)"


def stop(message):
    sys.exit("Cannot set up .venv: " + message)


def check_python():
    """Stop unless this Python is new enough and can make environments."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    if os.name == "nt":
        stop("on Windows, run this in WSL (wsl --install)")
    if tuple(sys.version_info[:2]) < NEEDED:
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
    digest = hashlib.sha256()
    for name in ("requirements.txt", "pyproject.toml"):
        with open(name, "rb") as file:
            digest.update(file.read())
    # A moved .venv has wrong paths inside.
    place = (sys.version_info[:2], sysconfig.get_platform(), os.getcwd())
    digest.update(repr(place).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def is_complete():
    try:
        with open(STAMP) as file:
            return file.read() == fingerprint() and os.path.exists(PYTHON)
    except OSError:
        return False


@contextlib.contextmanager
def alone():
    """Hold a lock, so that no other set-up runs here meanwhile.

    Every process started under it inherits it: a pip that outlives its killed
    parent is waited for, too.
    """
    import fcntl

    held = os.open("requirements.txt", os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("environment: waiting for another set-up to end", flush=True)
        fcntl.flock(held, fcntl.LOCK_EX)
    except OSError:
        pass  # A file system without locks.
    try:
        yield
    finally:
        os.close(held)


def reason(lines):
    """Return the one line of an output that says why it ended."""
    if shutil.disk_usage(".").free < 10**8:
        return "the disk is full: it takes 1.5 GB"
    if any("No space left on device" in line for line in lines):
        return (
            f"{tempfile.gettempdir()} is full, where downloads go. Make room, "
            "or name another folder: TMPDIR=FOLDER make book"
        )
    for line in lines:
        broken = re.search(r"total=0.*connection broken by '(.*)': /", line)
        if broken:
            cause = re.sub(r"<.* object at \w+>: ", "", broken.group(1))
            return (
                "the package index cannot be reached. Connect to a network, "
                f"then run make again ({cause})"
            )
    errors = [line for line in lines if "rror" in line] or lines
    system = f"Python {sys.version_info[0]}.{sys.version_info[1]}"
    return f"{errors[-1].strip()} ({system}, {sysconfig.get_platform()})"


def run(command, watch=lambda line: None, **options):
    """Run a command, show each line of output to ``watch``, stop if it fails.

    What it prints is shown to nobody else: pip writes pages.
    """
    environment = {k: v for k, v in os.environ.items() if k not in FOREIGN}
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        errors="replace",
        close_fds=False,
        env=dict(environment, PIP_USER="0"),
        **options,
    )
    lines = []
    for line in process.stdout:
        lines += filter(str.strip, [line])
        watch(line)
    if process.wait() != 0:
        lines = lines or [f"{command} ended with {process.returncode}"]
        stop(reason(lines))


def progress(total):
    """Return a ``watch`` that says how far pip is."""
    terminal = sys.stdout.isatty()
    done = 0

    def show(text):
        if terminal:
            print(f"\r\033[K{text}", end="", flush=True)
        else:
            print(text, flush=True)

    def watch(line):
        nonlocal done
        if line.startswith("Collecting "):
            done += 1
            if terminal or done % 30 == 0:
                show(f"  {done} of about {total}: {line.split()[1]}")
        elif line.startswith("Installing collected"):
            show("  all downloaded, unpacking")
        elif line.startswith("Successfully") and terminal:
            print()

    return watch


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def make():
    """Make the environment from nothing, and stamp it as complete."""
    if os.path.exists(STAMP):
        os.remove(STAMP)
    with open("requirements.txt") as file:
        packages = [line for line in file if line[0].isalpha()]
    # Run by .venv's own Python, this must come from the one beneath.
    base = getattr(sys, "_base_executable", sys.executable)
    run([base, "-m", "venv", "--clear", ".venv"])
    run([*PIP_INSTALL, "-r", "requirements.txt"], progress(len(packages)))
    run([*PIP_INSTALL, "--no-deps", "--no-build-isolation", "-e", "."])
    write(QUIET, 'c.IPKernelApp.log_level = "ERROR"\n')
    print("environment: trying it", flush=True)
    run([os.path.abspath(PYTHON), "-c", TRIAL], cwd=".venv")
    write(STAMP, fingerprint())


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    check_python()
    if not is_complete():
        with alone():
            # Unless the set-up that was waited for has done it.
            if not is_complete():
                start = time.time()
                print(
                    "environment: making .venv (once; about a minute, 1.5 GB)",
                    flush=True,
                )
                make()
                print(f"environment: made in {time.time() - start:.0f} s")
    print("environment: .venv is ready", flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        stop("interrupted; the next make starts it again")
    except OSError as error:
        stop(str(error))
