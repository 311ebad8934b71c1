"""Drawings: lessons/*/*.svg -> pictures/diagrams/*.png

    python -m tools.diagrams            draw those whose source changed
    python -m tools.diagrams --check    name those that differ from their source

A lesson's text names the source, ``![words](hourglass.svg)``, and the builder puts the picture into
the notebook, as a PNG inside the text: Colab shows neither an SVG nor an attachment there, and a
file beside the notebook is lost where the notebook is opened alone. Chromium draws it (Debian:
chromium).
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import re
import shutil
import sys
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

ROOT = Path(__file__).resolve().parents[1]
IN_TEXT = re.compile(r"!\[([^\]]+)\]\(([\w-]+\.svg)\)")


def sources() -> dict[Path, Path]:
    """Source -> picture."""
    return {
        path: ROOT / "pictures/diagrams" / f"{path.parent.name}_{path.stem}.png"
        for path in sorted(ROOT.glob("lessons/*/*.svg"))
    }


def digest(source: Path) -> str:
    return hashlib.sha256(source.read_bytes()).hexdigest()


def differs(source: Path, picture: Path) -> bool:
    return not picture.exists() or Image.open(picture).info.get("source") != digest(source)


def put_into(text: str, folder: Path) -> str:
    """A lesson's text with its drawings inside."""

    def change(match: re.Match) -> str:
        source, words = folder / match[2], " ".join(match[1].split())
        picture = sources().get(source)
        if picture is None or not picture.exists():
            raise ValueError(f"{source} is not drawn: python -m tools.diagrams")
        png = base64.b64encode(picture.read_bytes()).decode()
        return f"![{words}](data:image/png;base64,{png})"

    return IN_TEXT.sub(change, text)


def draw(changed: dict[Path, Path]) -> None:
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if chromium is None:
        raise SystemExit("no chromium on this machine (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1000, "height": 1000})
        for source, picture in changed.items():
            page.set_content(source.read_text(encoding="utf-8"))
            image = Image.open(io.BytesIO(page.locator("svg").screenshot())).convert("RGB")
            image = image.quantize(128, dither=Image.Dither.NONE)
            about = PngInfo()
            about.add_text("source", digest(source))
            picture.parent.mkdir(parents=True, exist_ok=True)
            image.save(picture, optimize=True, pnginfo=about)
            print(f"{picture.relative_to(ROOT)}  {picture.stat().st_size / 1000:.0f} kB")
        browser.close()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    check, known = parser.parse_args().check, sources()
    changed = {source: picture for source, picture in known.items() if differs(source, picture)}
    left = set((ROOT / "pictures/diagrams").glob("*.png")) - set(known.values())
    if check:
        for path in [*changed, *sorted(left)]:
            print(f"{path.relative_to(ROOT)}: run `python -m tools.diagrams`")
        return bool(changed or left)
    for path in left:
        path.unlink()
    draw(changed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
