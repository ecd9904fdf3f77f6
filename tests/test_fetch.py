"""Copying a published book, so that its pages can be checked."""

import subprocess
import sys

import pytest
from fetch import within
from manuscript import BASE, ROOT
from server import serve

SCRIPT = ROOT / "scripts" / "fetch.py"

FILES = {
    "index.html": '<meta http-equiv="refresh" content="0; url=a/one.html">',
    "404.html": "Page not found",
    "search.html": "",
    "searchindex.js": "Search.setIndex({})",
    "sitemap.xml": f"<urlset><url><loc>{BASE}a/one.html</loc></url></urlset>",
    "a/one.html": f"""
        <meta property="og:image" content="{BASE}card.png"/>
        <link href="../style.css?v=1"><img src="two%20words.png">
        <a href="gone.html">gone</a> <a href="#here">here</a>
        <a href="two.html#there">there</a> <a href="../../outside">out</a>
        <a href="https://example.org/">elsewhere</a>""",
    "a/two.html": "<a href='one.html'>back</a>",
    "a/two words.png": "",
    "card.png": "",
    "style.css": '@import "more.css"; b { src: url(font.woff2) }',
    "more.css": "",
    "font.woff2": "",
}


@pytest.fixture
def folder(tmp_path):
    """A small book, as it is published."""
    for name, text in FILES.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "site"


def fetch(url, copy):
    return subprocess.run(
        [sys.executable, SCRIPT, url, copy],
        capture_output=True,
        text=True,
    )


def complaint(url, tmp_path):
    """Return the one line with which nothing was copied."""
    result = fetch(url, tmp_path / "copy")
    assert result.returncode == 1, result.stdout
    assert result.stderr.count("\n") == 1, result.stderr
    assert not (tmp_path / "copy").exists()
    return result.stderr


@pytest.mark.parametrize("end", ["", "/"])
def test_a_copy_has_all_that_the_pages_lead_to(folder, tmp_path, end):
    (folder / "unknown.html").write_text("no page leads here")
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "old.html").touch()
    with serve(folder) as url:
        result = fetch(url.rstrip("/") + end, copy)
    assert result.returncode == 0, result.stderr
    copied = {
        path.relative_to(copy).as_posix(): path.read_text()
        for path in copy.rglob("*")
        if path.is_file()
    }
    assert copied == FILES


def test_a_folder_without_a_sitemap_is_one_line(folder, tmp_path):
    with serve(folder) as url:
        said = complaint(f"{url}no/such/", tmp_path)
    assert "is not this book: it has no sitemap.xml" in said


def test_no_answer_is_one_line(tmp_path):
    url = "http://127.0.0.1:9/book/"
    assert f"{url}sitemap.xml does not answer: [Errno" in complaint(
        url, tmp_path
    )


@pytest.mark.parametrize("url", ["", "book", "ftp://example.org/book"])
def test_another_kind_of_address_is_one_line(url, tmp_path):
    assert "URL must be a published book's" in complaint(url, tmp_path)


def test_another_book_is_one_line(folder, tmp_path):
    other = "<loc>https://example.org/book/a.html</loc>"
    (folder / "sitemap.xml").write_text(other)
    with serve(folder) as url:
        said = complaint(url, tmp_path)
    assert "is not this book: its sitemap lists https://example.org" in said
    assert BASE in said


@pytest.mark.parametrize("link", ["%2e%2e/x", "a/%2E./../../x", "/tmp/x"])
def test_a_link_leads_to_no_file_outside_of_the_copy(link):
    text = f"<a href='https://host/book/{link}'></a> <a href='in.html'></a>"
    assert within("https://host/book/", "page.html", text) == {"in.html"}


@pytest.mark.parametrize("name", ["../../outside", "/tmp/outside"])
def test_a_sitemap_that_leads_out_of_the_copy_is_one_line(
    folder, tmp_path, name
):
    sitemap = folder / "sitemap.xml"
    sitemap.write_text(f"<loc>{BASE}{name}</loc>")
    with serve(folder) as url:
        said = complaint(url, tmp_path)
    assert f"is not this book: its sitemap lists {BASE}{name}, and" in said
