"""Markup in ids, titles and payloads is shown as it is written, and does nothing."""

from pathlib import Path
from urllib.parse import quote

from tests.service.running import item
from tests.studio.browsing import Contexts, Visit
from tests.studio.running import opened

EVIL = '<img src=x onerror="window.ran=1">"\'><script>window.ran=1</script>${window.ran=1} bird'
INLINE = "document.body.insertAdjacentHTML('beforeend', '<img id=own src=x onerror=\"window.ran=2\">')"


def test_a_catalogue_of_markup(tmp_path: Path, contexts: Contexts) -> None:
    with opened(tmp_path) as studio:
        made = item(EVIL, text=EVIL, title=EVIL, category="javascript:window.ran=1", deep=EVIL)
        assert [one.problem.message for one in studio.run.upsert([made])] == [""]
        page = contexts.get().new_page()
        visit = Visit(page, studio.url)
        for address in (f"/?q={quote(EVIL)}", f"/?item={quote(EVIL)}", f"/person?user={quote(EVIL)}"):
            visit.go(address)
        visit.go("/")
        page.locator("input").first.fill(EVIL)
        page.keyboard.press("Enter")
        card = page.locator("main .card", has_text=EVIL).first
        card.click()
        visit.settled()
        assert page.locator("img[src=x]").count() == 0
        assert page.evaluate("window.ran") is None
        assert visit.complaints == []
        visit.expected.append("Content Security Policy")  # markup that got in all the same would not run either
        visit.expected.append("404")
        page.evaluate(INLINE)
        page.wait_for_function("document.querySelector('#own').complete")
        assert page.evaluate("window.ran") is None
        page.close()
