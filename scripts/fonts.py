"""Fetch the book's fonts and cut them down to the characters it uses.

Nobody needs this to build the book: what it writes is committed. Run it when
a character is missing::

    pip install brotli && python scripts/fonts.py

It writes woff2 for the pages (book/assets/fonts) and TTF for the figures
(helpers/fonts), each beside its licence. The signs that Atkinson
Hyperlegible Next lacks (arrows, Greek, ⅓) are Inter's. All five families are
under the SIL Open Font License; none reserves the name that is kept here.
"""

import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path

from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.pens.transformPen import TransformPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "book" / "assets" / "fonts"
FIGURES = ROOT / "helpers" / "fonts"

LATIN = {*range(0x20, 0x7F), *range(0xA0, 0x100)}
SIGNS = set(
    map(
        ord,
        "–—‘’‚“”„…·•†‡′″−×±≥≤≈≠≡∞∂∑∏√∇∈→←↑↓⇒½⅓⅔¼¾¹²³⁻₀₁₂₃ℓ€™łŁœŒšŠžŽőű"
        "ΔΣαβγδεηθλμπρσφχω\u2009\u200a\u202f\u2002\u2003",
    )
)
BLOCKS = {0x2500, 0x2502, 0x2514, 0x251C, *range(0x2588, 0x2590)}
MATHS = {
    *range(0x20, 0x7F),
    *range(0x1D434, 0x1D468),  # italic Latin
    *range(0x1D6FC, 0x1D71C),  # italic Greek
    *map(ord, "·×±¬°–—‘’“”…′″−≥≤≈≠≡∞∂∑∏√∇∈→←↑↓⇒½ℓℎℝℕℒ𝒩𝔼∣∥‖⟨⟩∼∝∧∨∩∪∫⋅∘⋯∗∀∃⟶"),
    *map(ord, "↦⇔⊤ΓΔΘΛΠΣΦΨΩ𝐰𝐱𝐲⏞⏟^ˆ˜¯‾_˙\u0302\u0303\u0304\u0305\u0307\u20d7"),
    *map(ord, "\xa0\u2002\u2003\u2009\u200a\u202f\u2061\u2062\u2063"),
}
TEXT = LATIN | SIGNS
NAMES = {*range(0x100, 0x180)}  # for the authors in the bibliography

LENDER = (
    "inter@0.4.2",
    "b5c1e5878c07a5637169da9f7b1f370c69709f1f8de55998e2522f7aa9dfe2a9",
)
# npm package @expo-google-fonts/…, the sha256 of its archive, the characters
# to keep, and the styles that the pages and the figures use.
FONTS = [
    (
        "literata@0.4.3",
        "aae3f1db18107aaaa5ceee58456bf75b80fee594c31908dc652f794d05fa24b0",
        TEXT | NAMES,
        {"400Regular", "400Regular_Italic", "600SemiBold"},
        set(),
    ),
    (
        "atkinson-hyperlegible-next@0.4.1",
        "9c98b93e3f7dd7d7819f9c439aac9fb5b5466781fa1eb002caeb52eb7cb15ce8",
        TEXT,
        {"400Regular", "600SemiBold"},
        {"400Regular", "400Regular_Italic", "600SemiBold", "700Bold"},
    ),
    (
        "jetbrains-mono@0.4.1",
        "aead50085a2d56fffdac882c5945f9fc4e4785ccb5c8d6f1988f21faa1737c9a",
        TEXT | BLOCKS,
        {"400Regular"},
        set(),
    ),
    (
        "stix-two-math@0.4.0",
        "7eb88dbfe9fbd26a7ea5a14db71790353a82a74f0a8bb20c57948648ec00e5e4",
        MATHS,
        {"400Regular"},
        set(),
    ),
]


def fetch(package: str, sha256: str, folder: Path) -> Path:
    """Download the package into the folder and return where it lies."""
    name = subprocess.run(
        ["npm", "pack", "--silent", f"@expo-google-fonts/{package}"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()[-1]
    found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    if found != sha256:
        raise SystemExit(f"{package}: sha256 is {found}, not {sha256}")
    with tarfile.open(folder / name) as archive:
        archive.extractall(folder / package, filter="data")
    return folder / package / "package"


def borrow(font: TTFont, lender: TTFont, characters: set[int]) -> None:
    """Add the characters that the font lacks, from the lender, to size."""
    cmap, theirs = font.getBestCmap(), lender.getBestCmap()
    scale = font["OS/2"].sCapHeight / lender["OS/2"].sCapHeight
    glyphs = lender.getGlyphSet()
    for code in sorted((characters & theirs.keys()) - cmap.keys()):
        name, source = f"uni{code:04X}", glyphs[theirs[code]]
        outline, pen = DecomposingRecordingPen(glyphs), TTGlyphPen(None)
        source.draw(outline)
        outline.replay(TransformPen(pen, (scale, 0, 0, scale, 0, 0)))
        font["glyf"][name] = pen.glyph()
        left = round(scale * lender["hmtx"][theirs[code]][1])
        font["hmtx"][name] = (round(scale * source.width), left)
        for table in font["cmap"].tables:
            if table.isUnicode():
                table.cmap[code] = name


def cut(font: TTFont, characters: set[int]) -> None:
    """Keep these characters alone, and no ligatures in code."""
    options = Options(hinting=False, name_IDs=[0, 1, 2, 4, 6, 13, 14, 16, 17])
    features = {*options.layout_features, "lnum", "tnum"} - {"dlig"}
    if font["post"].isFixedPitch:
        features -= {"calt", "liga"}
    if "MATH" in font:
        features = {"ssty"}
    options.layout_features = sorted(features)
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=characters)
    subsetter.subset(font)


def main() -> None:
    for folder in (PAGES, FIGURES):
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as downloads:
        lender = fetch(*LENDER, Path(downloads))
        for package, sha256, characters, on_pages, in_figures in FONTS:
            source = fetch(package, sha256, Path(downloads))
            licence = (source / "LICENSE_FONT").read_text()
            family = package.split("@")[0]
            borrows = family.startswith("atkinson")
            if borrows:
                inter = (lender / "LICENSE_FONT").read_text()
                licence = inter.split("\n")[0] + "\n" + licence
            for folder, styles, suffix in (
                (PAGES, on_pages, "woff2"),
                (FIGURES, in_figures, "ttf"),
            ):
                for style in sorted(styles):
                    [file] = (source / style).glob("*.ttf")
                    font = TTFont(file, recalcTimestamp=False)
                    if borrows:
                        [file] = (lender / style).glob("*.ttf")
                        borrow(font, TTFont(file), characters)
                    cut(font, characters)
                    font.flavor = "woff2" if suffix == "woff2" else None
                    name = f"{family}-{style.lower().replace('_', '-')}"
                    font.save(folder / f"{name}.{suffix}")
                if styles:
                    (folder / f"{family}-OFL.txt").write_text(licence)


if __name__ == "__main__":
    main()
