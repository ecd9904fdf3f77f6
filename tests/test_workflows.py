"""The workflows run nothing that can change under them, and may do little."""

import re

import pytest
import yaml
from manuscript import ROOT, fail_on

WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.y*ml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned(path):
    """A tag can be moved; a commit cannot."""
    uses = re.findall(r"uses: (.*)", path.read_text("utf-8"))
    assert uses
    fail_on(
        f"{path.name}: pipx run wants a version, got {command}"
        for command in re.findall(r"pipx run (.*)", path.read_text("utf-8"))
        if not re.fullmatch(r"--spec [\w-]+==[\d.]+ .*", command)
    )
    fail_on(
        f"{path.name}: {action} wants its commit and, as a comment, its tag"
        for action in uses
        if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", action)
    )


def test_an_action_has_one_version():
    used = {
        line
        for path in WORKFLOWS
        for line in re.findall(r"uses: (.*)", path.read_text("utf-8"))
    }
    names = [line.split("@")[0] for line in used]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_may_only_read(path):
    """But for the job that puts pages up, which runs from main alone."""
    workflow = yaml.safe_load(path.read_text("utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        if "permissions" in job:
            assert (path.stem, name) == ("publish", "deploy")
            assert job["if"] == "github.ref == 'refs/heads/main'"
            assert job["permissions"] == {
                "pages": "write",
                "id-token": "write",
            }
        for step in job["steps"]:
            if "checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False
