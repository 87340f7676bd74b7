"""The process that renders drawings: it may fail or hang, and the next drawing is rendered all the same."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from encoders import render
from encoders.errors import ContentError, LimitError
from encoders.render import render_png

RED = '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><rect width="{}" height="10" fill="red"/></svg>'
SLOW = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100">'
    '<filter id="f" x="-1" y="-1" width="3" height="3">'
    '<feMorphology operator="dilate" radius="90"/></filter>'
    + '<rect width="100" height="100" fill="red" filter="url(#f)"/>' * 50
    + "</svg>"
)
PNG = b"\x89PNG"


def test_a_drawing_is_rendered_by_a_process_that_is_kept() -> None:
    first = render_png(RED.format(5), 20, 20)
    waiting = list(render._idle)
    assert render_png(RED.format(5), 20, 20) == first
    assert first.startswith(PNG)
    assert list(render._idle) == waiting


def test_what_the_renderer_says_is_passed_on() -> None:
    with pytest.raises(
        ContentError, match=r"svg cannot be rendered \(SVG has an invalid size\): open it in an editor"
    ):
        render_png('<svg xmlns="http://www.w3.org/2000/svg" width="0" height="0"/>', 20, 20)
    assert render_png(RED.format(5), 20, 20).startswith(PNG)


def test_a_process_that_fails_is_replaced() -> None:
    with pytest.raises(ContentError, match=r"svg cannot be rendered \(the renderer failed\)"):
        render_png(RED.format(5), 30_000, 30_000)  # 3.6 GB, more than the process may have
    assert render_png(RED.format(5), 20, 20).startswith(PNG)
    while render._idle:
        render._idle.pop().end()
    assert render_png(RED.format(5), 20, 20).startswith(PNG)
    (worker,) = render._idle
    worker._process.kill()
    worker._process.wait()
    assert render_png(RED.format(5), 20, 20).startswith(PNG)


@pytest.mark.timeout(20)
def test_a_drawing_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(LimitError, match=r"svg takes more than 0\.3 seconds to render: simplify the drawing"):
        render_png(SLOW, 300, 300, seconds=0.3)
    assert render_png(RED.format(5), 20, 20).startswith(PNG)


def test_threads_get_their_own_answers() -> None:
    plain = [render_png(RED.format(width), 20, 20) for width in range(1, 9)]
    assert len(set(plain)) == 8
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda width: render_png(RED.format(width), 20, 20), range(1, 9))) == plain


def test_the_processes_end_with_ours() -> None:
    script = (
        "from encoders import render\n"
        f"render.render_png({RED.format(5)!r}, 20, 20)\n"
        "print(render._idle[0]._process.pid)"
    )
    run = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    assert not run.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int(run.stdout), 0)


def test_a_process_that_does_not_listen_is_given_up() -> None:
    """A drawing larger than a pipe holds cannot be handed to it."""
    render_png(RED.format(5), 20, 20)
    deaf = render._idle[-1]
    os.kill(deaf._process.pid, signal.SIGSTOP)
    with pytest.raises(LimitError, match=r"svg takes more than 0\.2 seconds"):
        render_png(RED.format(5) + "<!--" + "x" * 1_000_000 + "-->", 20, 20, seconds=0.2)
    assert deaf._process.poll() is not None
    assert render_png(RED.format(5) + "<!--" + "x" * 1_000_000 + "-->", 20, 20).startswith(PNG)
