"""What the checks of the built pages share."""

from pathlib import Path

import pytest
from manuscript import ROOT


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of the built pages."""
    folder = ROOT / "_build" / "html"
    if not (folder / "index.html").is_file():
        pytest.fail("_build/html has no pages; run make book", pytrace=False)
    return folder
