"""Write the repository's address wherever the book gives it.

Its only source is ``repository: url:`` in _config.yml. It occurs in two forms:
OWNER/REPO, in links to GitHub and Colab, and OWNER.github.io/REPO, the
published book. ``--check`` only says whether an address is the stamped one.
"""

import re
import subprocess
import sys
from pathlib import Path

# A GitHub account begins with a letter or digit. The placeholder does not, so
# that nobody can register it and have readers install what they put there.
PLACEHOLDER = "-owner-"
ADDRESS = re.compile(
    rf"https://github\.com/({PLACEHOLDER}|[a-z\d](?:-?[a-z\d]){{0,38}})"
    r"/([\w.-]*[\w-])",
    re.ASCII | re.IGNORECASE,
)


def parse(url):
    """Return the owner and the repository of an address."""
    match = ADDRESS.fullmatch(url)
    # A repository of the second name is published elsewhere.
    if not match or match[2].endswith((".git", ".github.io")):
        sys.exit(f"URL must be https://github.com/OWNER/REPO, got {url!r}")
    return match.groups()


def stamped():
    """Return the address in _config.yml."""
    config = Path("_config.yml").read_text("utf-8")
    return re.search(r"^repository:\n  url: &\w+ (\S+)", config, re.M)[1]


def stamp(url):
    """Write ``url`` in place of the stamped one, in all tracked files."""
    new_owner, new_name = parse(url)
    owner, name = map(re.escape, parse(stamped()))
    old = rf"(?<![\w.-]){owner}(/|\.github\.io/){name}(?![\w-])".encode()
    new = rf"{new_owner}\g<1>{new_name}".encode()
    listed = subprocess.check_output(["git", "ls-files", "-z"]).decode()
    # The source comes last, so that a second run can finish a first one that
    # was cut off.
    for file in sorted(listed.split("\0"), key="_config.yml".__eq__):
        path = Path(file)
        if path.is_file():
            text, count = re.subn(old, new, path.read_bytes())
            if count:
                path.write_bytes(text)
                print(f"{path}: {count}")


def main(arguments):
    if arguments[0] != "--check":
        stamp(arguments[0])
    elif stamped() != arguments[1]:
        sys.exit(
            f"This repository is {arguments[1]}, but the book says "
            f"{stamped()}: run make repository URL={arguments[1]}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
