"""How many frames a second the map's points are drawn at.

`python -m benchmarks.points [--points 100000] [--gpu] [--json]` serves the page's files, draws made-up points by
`points.js` in headless Chromium while the camera moves, and waits for each frame to be finished. Without `--gpu`
Chromium draws by software (SwiftShader), as it would on a machine without a graphics card; the renderer is printed
with the figure.
"""

import argparse
import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from engine.studio.studio import STATIC

WIDTH, HEIGHT = 1440, 900
SECONDS = 6

_IMPORTS = json.dumps(
    {
        "imports": {
            "preact": "/vendor/preact.js",
            "preact/hooks": "/vendor/preact-hooks.js",
            "@preact/signals": "/vendor/signals.js",
            "@preact/signals-core": "/vendor/signals-core.js",
            "htm": "/vendor/htm.js",
        }
    }
)
_MEASURE = """async ([count, seconds]) => {
  document.body.innerHTML = '<canvas style="position:fixed;inset:0;width:100vw;height:100vh"></canvas>';
  const {Points, within} = await import('/points.js');
  const points = new Points(document.querySelector('canvas'));
  const positions = new Float32Array(2 * count), categories = new Uint8Array(count);
  for (let at = 0; at < count; at++) {
    const blob = at % 40, turn = 6.283 * Math.random(), far = 0.16 * Math.sqrt(-Math.log(Math.random() + 1e-9));
    positions[2 * at] = 0.8 * Math.sin(blob * 7.1) + far * Math.cos(turn);
    positions[2 * at + 1] = 0.8 * Math.cos(blob * 3.3) + far * Math.sin(turn);
    categories[at] = blob % 13;
  }
  points.set(positions, categories);
  points.paint(Array.from({length: 7}, (_, at) => `rgb(${40 * at}, 120, ${255 - 40 * at})`));
  points.resize();
  const gl = points.gl, one = new Uint8Array(4), times = [];
  const begun = performance.now();
  for (let frame = 0; performance.now() - begun < 1000 * seconds; frame++) {
    const from = performance.now(), [x, y] = [0.2 * Math.sin(frame / 9), 0.2 * Math.cos(frame / 9)];
    points.camera = {x, y, zoom: 1.2 + 0.2 * Math.sin(frame / 5)};
    points.now();
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, one);
    times.push(performance.now() - from);
    if (frame % 5 === 0) await new Promise(requestAnimationFrame);
  }
  const clock = performance.now();
  for (let at = 0; at < 50; at++) points.nearest(20 * at, 10 * at);
  const hover = (performance.now() - clock) / 50;
  const drawn = performance.now();
  const circle = Array.from({length: 60}, (_, at) => [Math.sin(at / 9.5), Math.cos(at / 9.5)]);
  const inside = within(positions, circle).length;
  const info = gl.getExtension('WEBGL_debug_renderer_info');
  return {frames: times.length, ms: times.sort((a, b) => a - b)[times.length >> 1], hover, inside,
    lasso: performance.now() - drawn, renderer: gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER)};
}"""


class _Quiet(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        """The files of the page, and a document that knows their import names."""
        if self.path != "/":
            super().do_GET()
            return
        body = f'<!doctype html><script type="importmap">{_IMPORTS}</script>'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def main() -> None:
    """Measure."""
    from playwright.sync_api import sync_playwright

    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--points", type=int, default=100_000)
    options.add_argument("--gpu", action="store_true")
    options.add_argument("--json", action="store_true", help="print JSON")
    options.add_argument("--chromium", default="/usr/bin/chromium")
    asked = options.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(STATIC)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    gpu = ["--use-angle=vulkan", "--enable-features=Vulkan", "--ignore-gpu-blocklist"]
    flags = gpu if asked.gpu else ["--disable-gpu"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=asked.chromium, args=["--no-sandbox", "--disable-background-networking", *flags]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        found = page.evaluate(_MEASURE, [asked.points, SECONDS])
        browser.close()
    server.shutdown()
    if asked.json:
        print(json.dumps({"points": asked.points, "size": [WIDTH, HEIGHT], **found}, indent=2))
        return
    print(f"{asked.points:,} points on {WIDTH} x {HEIGHT}, {found['renderer']}")
    print(f"a frame: {found['ms']:.1f} ms in the median of {found['frames']}, {1000 / found['ms']:.0f} a second")
    print(f"the point under the pointer: {found['hover']:.2f} ms; a lasso of 60 corners: {found['lasso']:.1f} ms")


if __name__ == "__main__":
    main()
