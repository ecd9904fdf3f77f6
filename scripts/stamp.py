"""Write the repository's address wherever the book gives it.

Its one source is ``repository: url:`` in _config.yml; the badges, setup
cells, Colab links and the like are copies. Two forms occur in the files:
OWNER/REPO, in links to GitHub and Colab, and OWNER.github.io/REPO, the
published book. ``--check`` only says whether an address is the stamped one.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# A GitHub account begins and ends with a letter or digit. The book's own
# placeholder does not, so that nobody can register it and have readers
# install what they put there.
ACCOUNT = r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}"
PLACEHOLDER = "-owner-"
ADDRESS = re.compile(
    rf"https://github\.com/({ACCOUNT}|{PLACEHOLDER})/([\w.-]{{1,100}})",
    re.ASCII,
)


def parse(url):
    """Return owner and repository of an address, or raise ValueError."""
    match = ADDRESS.fullmatch(url)
    if not match or match[2].endswith(".git") or not match[2].strip("."):
        raise ValueError(
            f"URL must be https://github.com/OWNER/REPO, got {url!r}"
        )
    if match[2].lower().endswith(".github.io"):
        raise ValueError(
            f"URL must not name a .github.io repository, got {url!r}: the "
            "book would be published at another address than its links say"
        )
    return match.groups()


def stamped(root):
    """Return the address in _config.yml."""
    config = (root / "_config.yml").read_text(encoding="utf-8")
    match = re.search(
        r"^repository:\s*\n(?:[ #].*\n)*? +url: *(?:&\w+ +)?[\"']?([^\s\"']+)",
        config,
        re.MULTILINE,
    )
    if not match:
        raise ValueError("_config.yml must give repository: url:")
    return match[1]


def stamp(root, url):
    """Write ``url`` in place of the stamped one; return the changed paths."""
    new_owner, new_name = parse(url)
    owner, name = parse(stamped(root))
    pair = re.compile(
        rf"(?<![\w.-]){re.escape(owner)}(/|\.github\.io/)"
        rf"{re.escape(name)}(?![\w-])".encode()
    )
    replacement = rf"{new_owner}\g<1>{new_name}".encode()
    command = "git ls-files -z --cached --others --exclude-standard"
    listed = subprocess.check_output(command.split(), cwd=root).decode()
    paths = [root / path for path in listed.split("\0") if path]
    # The source last: cut off before it, a second run finishes the first.
    paths.sort(key=lambda path: path.name == "_config.yml")
    changed = []
    for path in paths:
        if not path.is_file():
            continue
        old = path.read_bytes()
        new = pair.sub(replacement, old)
        if new != old and b"\0" not in old:
            path.write_bytes(new)
            changed.append(path.relative_to(root))
    return changed


def main(arguments):
    if arguments[:1] == ["--check"]:
        url = arguments[1]
        if stamped(ROOT).lower() != url.lower():
            return (
                f"this repository is {url}, but the book says "
                f"{stamped(ROOT)}. Run: make repository URL={url}"
            )
        return 0
    changed = stamp(ROOT, arguments[0])
    for path in changed:
        print(f"stamped {path}")
    print(f"{len(changed)} files changed; the address is {stamped(ROOT)}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"Not stamped: {error}")
