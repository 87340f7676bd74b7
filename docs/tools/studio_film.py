"""Makes the moving picture of Studio: a like changes the list, and so does a dislike; then the map.

triveni --settings var/demo/triveni.toml studio --no-browser     # after `triveni demo`
python docs/tools/studio_film.py http://127.0.0.1:8080 docs/studio.gif
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

SIZE = {"width": 1100, "height": 720}
WIDE = 820
COLOURS = 96
HOLD, STEP = 1500, 130
"""Milliseconds that a picture stays, and those of one in motion."""
BEGIN = "/person?e=search,0,text,a+string+instrument&e=search,0,text,a+wild+animal"
ACTS = (("animals/", "Like"), ("hobbies/music/strings/", "Dislike"), ("animals/", "Like"))
"""What is done, with the first item in sight whose id begins so."""
SEEN = 5
"""Cards of the first row."""


class Film:
    """Pictures of a page, with how long each stays."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.frames: list[Image.Image] = []
        self.times: list[int] = []

    def shoot(self, milliseconds: int) -> None:
        """Take a picture; one that is like the last lets that stay longer."""
        raw = Image.open(io.BytesIO(self._page.screenshot())).convert("RGB")
        frame = raw.resize((WIDE, WIDE * SIZE["height"] // SIZE["width"]), Image.Resampling.LANCZOS)
        if self.frames and frame.tobytes() == self.frames[-1].tobytes():
            self.times[-1] += milliseconds
            return
        self.frames.append(frame)
        self.times.append(milliseconds)

    def move(self, pictures: int = 5) -> None:
        """Take what moves, then what it comes to."""
        for _ in range(pictures):
            self.shoot(STEP)
        self._page.wait_for_timeout(900)
        self.shoot(HOLD)

    def save(self, path: Path) -> None:
        """Write an animated GIF that repeats; all pictures share the colours of the first and the last."""
        both = Image.new("RGB", (WIDE, 2 * self.frames[0].height))
        both.paste(self.frames[0], (0, 0))
        both.paste(self.frames[-1], (0, self.frames[0].height))
        palette = both.quantize(COLOURS)
        frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in self.frames]
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=self.times, loop=0, optimize=True)


def press(page: Page, card: str, button: str) -> None:
    """Point at a card's button, as the ring that is drawn shows, and press it."""
    found = page.locator(f'main .card[data-item="{card}"]')
    found.hover()
    target = found.get_by_role("button", name=button, exact=False).first
    box = target.bounding_box()
    assert box
    page.evaluate(
        """([x, y]) => {
          const ring = document.getElementById('pointer') ?? document.body.appendChild(document.createElement('div'));
          ring.id = 'pointer';
          Object.assign(ring.style, { position: 'fixed', zIndex: 99, width: '34px', height: '34px',
            borderRadius: '50%', border: '4px solid #e4572e', pointerEvents: 'none',
            left: `${x - 21}px`, top: `${y - 21}px` });
        }""",
        [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2],
    )


def film(url: str, path: Path) -> None:
    """Act it, and write it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        made = Film(page)
        page.goto(url + BEGIN)
        page.wait_for_timeout(2500)
        made.shoot(HOLD)
        for begins, button in ACTS:
            ids = [str(one.get_attribute("data-item")) for one in page.locator("main .card").all()[:SEEN]]
            card = next((one for one in ids if one.startswith(begins)), ids[1])
            press(page, card, button)
            made.shoot(900)
            page.locator(f'main .card[data-item="{card}"]').get_by_role("button", name=button).first.click()
            page.evaluate("document.getElementById('pointer')?.remove()")
            made.move()
            page.get_by_role("button", name="Close this message").click()
        page.get_by_role("link", name="On the map").click()
        page.wait_for_timeout(2500)
        made.shoot(2 * HOLD)
        browser.close()
    made.save(path)
    print(f"{path}: {len(made.frames)} pictures, {sum(made.times) / 1000:.1f} s, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    film(sys.argv[1], Path(sys.argv[2]))
