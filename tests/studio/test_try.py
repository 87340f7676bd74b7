"""The view Try, in a browser over the real server."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.service.test_models import until
from tests.studio.browsing import Visit, expect
from tests.tiny import CONCEPTS, concept_png, concept_wav

PART = ".chip.piece:has(.end)"
BUF = Path(sys.executable).with_name("buf")
GRPCURL = f"""grpcurl() {{
  test "$1 $2" = "-plaintext -d" && {BUF} curl --protocol grpc --http2-prior-knowledge -d "$3" "http://$4/$5"
}}
"""
"""What stands for grpcurl where it is not installed: buf speaks gRPC, and asks the server for its schema, too."""


def run_copied(visit: Visit, way: str, folder: Path | None = None) -> list[str]:
    """Run the copied call as a shell would: the ids of the results."""
    visit.page.get_by_role("tab", name=way, exact=True).click()
    text = (GRPCURL if way == "grpcurl" else "") + visit.page.locator("pre").inner_text()
    done = subprocess.run(["bash", "-c", text], capture_output=True, check=True, cwd=folder)
    return [one.get("item_id") or one["itemId"] for one in json.loads(done.stdout)["results"]]


def concepts(visit: Visit, first: int = 3) -> set[str]:
    """What the first results are of."""
    return {one.split("/")[0] for one in visit.ids()[:first]}


def test_typing_searches_at_once_and_the_address_holds_it(visit: Visit) -> None:
    visit.go("/")
    assert len(visit.ids()) == 24
    visit.page.get_by_role("textbox").fill("bird")
    expect(visit.page).to_have_url(re.compile(r"\?q=bird$"))
    expect(visit.page.locator("main .card").first).to_have_attribute("data-item", re.compile("^bird/"))
    visit.settled()
    found = visit.ids()
    visit.page.reload()
    visit.settled()
    assert visit.ids() == found


def test_a_picture_and_a_sound_find_what_is_like_them(visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "fish.png").write_bytes(concept_png("fish", 7))
    (tmp_path / "bell.wav").write_bytes(concept_wav("bell", 7))
    visit.go("/")
    visit.page.locator("input[type=file]").set_input_files(tmp_path / "fish.png")
    expect(visit.page.locator(PART)).to_contain_text("fish.png")
    visit.settled()
    assert concepts(visit) == {"fish"}
    visit.page.get_by_role("button", name="Remove fish.png").click()
    visit.page.locator("input[type=file]").set_input_files(tmp_path / "bell.wav")
    expect(visit.page.locator(PART)).to_contain_text("bell.wav")
    visit.settled()
    assert concepts(visit) == {"bell"}
    visit.page.reload()
    expect(visit.page.locator(PART)).to_contain_text("bell.wav")
    visit.settled()
    assert concepts(visit) == {"bell"}, "the browser has forgotten the upload"


def test_a_file_that_is_dropped_is_taken_and_one_that_is_neither_is_refused(visit: Visit) -> None:
    drop = """([name, type, bytes]) => {
        const given = new DataTransfer();
        given.items.add(new File([new Uint8Array(bytes)], name, {type}));
        for (const kind of ['dragenter', 'dragover', 'drop'])
            document.body.dispatchEvent(new DragEvent(kind, {dataTransfer: given, bubbles: true, cancelable: true}));
    }"""
    visit.go("/")
    visit.page.evaluate(drop, ["car.png", "image/png", list(concept_png("car", 7))])
    expect(visit.page.locator(PART)).to_contain_text("car.png")
    visit.settled()
    assert concepts(visit) == {"car"}
    visit.page.evaluate(drop, ["letter.pdf", "application/pdf", [1, 2, 3]])
    expect(visit.page.locator(".toast")).to_contain_text("letter.pdf is neither a picture nor a sound")
    visit.expected = ["400"]
    visit.page.evaluate(drop, ["broken.png", "image/png", [1, 2, 3]])
    expect(visit.page.locator(".error-box")).to_contain_text("Image has no known format")


def test_a_sound_is_recorded_and_looked_for(visit: Visit) -> None:
    visit.go("/")
    visit.page.context.grant_permissions(["microphone"])
    visit.page.get_by_role("button", name="Record a sound").click()
    expect(visit.page.get_by_role("timer")).to_contain_text(re.compile("0:01 of 0:30"))
    visit.page.get_by_role("button", name="Use it").click()
    expect(visit.page.locator(PART)).to_contain_text("recording")
    visit.settled()
    assert len(visit.ids()) == 24
    expect(visit.page.locator(".error-box")).to_have_count(0)


def test_more_and_less_like_this_mix_with_weights(visit: Visit) -> None:
    visit.go("/?q=bird")
    card = visit.page.locator("main .card", has_text="A bird to see")
    card.hover()
    card.get_by_role("button", name="Less like this").click()
    expect(visit.page.locator(".chip.piece.against")).to_contain_text("not A bird to see")
    until(lambda: visit.ids() and visit.ids()[0] != "bird/seen")
    visit.page.locator(".chip.piece summary").click()
    visit.page.locator(".chip.piece").get_by_role("slider").fill("1.5")
    expect(visit.page).to_have_url(re.compile(r"p=1\.5%2Citem%2Cbird%2Fseen"))
    visit.page.go_back()
    expect(visit.page.locator(PART)).to_have_count(0)


def test_filters_narrow_and_can_be_shared(visit: Visit) -> None:
    visit.go("/?q=bird")
    visit.page.get_by_role("button", name="Filter", exact=True).click()
    dialog = visit.page.get_by_role("dialog")
    dialog.get_by_role("button", name="piano").click()
    dialog.get_by_label("to").first.fill("1000")
    dialog.get_by_role("button", name="Done").click()
    expect(visit.page.locator("main .card")).to_have_count(3)
    assert concepts(visit) == {"piano"}
    address = visit.page.url
    visit.page.goto("about:blank")
    visit.page.goto(address)
    expect(visit.page.locator("main .card")).to_have_count(3)
    visit.page.goto(f"{visit.url}/?f=price,2000~")
    expect(visit.page.locator(".empty")).to_contain_text("Nothing passes")
    visit.page.get_by_role("button", name="Take the filters away").click()
    expect(visit.page.locator("main .card")).to_have_count(24)


def test_only_the_keyboard(visit: Visit) -> None:
    visit.go("/")
    keys = visit.page.keyboard
    keys.press("/")
    keys.type("piano")
    keys.press("Enter")
    expect(visit.page.locator("main .card").first).to_have_attribute("data-item", re.compile("^piano/"))
    expect(visit.page.locator("main .card")).to_have_count(24)
    visit.page.wait_for_url(re.compile(r"q=piano\b"))
    visit.settled()
    found = visit.ids()
    focused = "document.activeElement.closest('.card')?.dataset.item"
    keys.press("ArrowDown")
    assert visit.page.evaluate(focused) == found[0]
    keys.press("ArrowRight")
    assert visit.page.evaluate(focused) == found[1]
    keys.press("ArrowDown")
    below = visit.page.evaluate(focused)
    assert found.index(below) > 2
    keys.press("ArrowUp")
    keys.press("Home")
    assert visit.page.evaluate(focused) == found[0]
    keys.press("Enter")
    expect(visit.page.locator("aside")).to_contain_text("Why it is here")
    keys.press("Escape")
    expect(visit.page.locator("aside")).to_have_count(0)
    assert visit.page.evaluate(focused) == found[0], "the focus is lost"
    keys.press("d")
    expect(visit.page.locator(".chip.piece.against")).to_have_count(1)
    visit.settled()
    assert visit.page.evaluate(focused) is not None, "the focus is lost"
    keys.press("?")
    expect(visit.page.get_by_role("dialog")).to_contain_text("from card to card")
    keys.press("Escape")
    expect(visit.page.locator("dialog[open]")).to_have_count(0)


def test_an_id_that_is_pasted_is_an_item_and_other_words_are_words(visit: Visit) -> None:
    visit.expected = ["404"]
    visit.go("/")
    paste = """text => {
        const given = new DataTransfer();
        given.setData('text', text);
        const how = {clipboardData: given, bubbles: true, cancelable: true};
        document.querySelector('.ask input').dispatchEvent(new ClipboardEvent('paste', how));
    }"""
    visit.page.evaluate(paste, "tree/seen")
    expect(visit.page.locator(PART)).to_contain_text("A tree to see")
    visit.page.evaluate(paste, "rain")
    expect(visit.page).to_have_url(re.compile("q=rain"))


def test_details_name_all_of_the_item_that_speaks(visit: Visit) -> None:
    visit.go("/?q=bird&open=bird/seen")
    reason = visit.page.locator("aside .reasons li")
    expect(reason).to_contain_text(re.compile("“bird”, by its (text and picture|picture and text)"))
    expect(reason.locator(".meter i")).to_have_count(2)


def test_details_show_all_and_play(visit: Visit) -> None:
    visit.go("/?q=bird&open=bird/heard")
    aside = visit.page.locator("aside")
    expect(aside).to_contain_text("bird/heard.wav")
    expect(aside).to_contain_text("“bird”, by its text")
    aside.get_by_role("button", name="Play A bird to hear").click()
    expect(aside.get_by_role("button", name="Stop A bird to hear")).to_be_visible()
    expect(aside.locator(".player rect.past").first).to_be_visible()


def test_what_goes_wrong_says_what_to_do(visit: Visit) -> None:
    visit.expected = ["404", "400"]
    visit.page.goto(f"{visit.url}/?p=1,item,gone")
    expect(visit.page.locator(".error-box")).to_contain_text("Item 'gone' is not in the catalogue")
    visit.page.goto(f"{visit.url}/?p=-1,item,bird/seen")
    expect(visit.page.locator(".empty")).to_contain_text("Say what to look for as well")
    visit.page.route("**/v1/search", lambda route: route.abort())
    visit.expected += ["ERR_FAILED"]
    visit.page.goto(f"{visit.url}/?q=bird")
    expect(visit.page.locator(".error-box")).to_contain_text("The server does not answer")
    visit.page.unroute("**/v1/search")
    visit.page.get_by_role("button", name="Try again").click()
    expect(visit.page.locator("main .card")).to_have_count(24)


def test_only_the_newest_answer_is_shown(visit: Visit) -> None:
    visit.expected = ["ERR_ABORTED", "ERR_FAILED"]
    visit.go("/")
    held = []
    visit.page.route(
        "**/v1/search",
        lambda route: held.append(route) if "piano" in (route.request.post_data or "") else route.continue_(),
    )
    field = visit.page.get_by_role("textbox")
    field.fill("piano")
    expect(visit.page).to_have_url(re.compile("q=piano"))
    field.fill("fish")
    expect(visit.page.locator("main .card").first).to_have_attribute("data-item", re.compile("^fish/"))
    for route in held:
        route.continue_()
    visit.page.wait_for_timeout(200)
    visit.settled()
    assert concepts(visit) == {"fish"}


MIXED = (
    "q=it's+a+bird&p=-0.5,item,fish/seen&f=category,bird&f=category,fish&f=price,0~900&f=made,2010-01-01~2027-01-01"
)
PERSON = (
    "e=like,0,item,bird/seen&e=search,3,text,a+fish&e=rate*4,9,item,cat/seen&half=3&diversity=0.3&model=untrained"
)


@pytest.mark.parametrize("address", [f"/?{MIXED}", f"/person?{PERSON}", "/?in=image&q=rain", "/?q=rain&sure=2"])
def test_calls_that_are_copied_give_what_the_page_shows(visit: Visit, address: str) -> None:
    visit.go(address)
    visit.page.get_by_role("button", name="Copy this call").click()
    assert run_copied(visit, "curl") == visit.ids()
    assert run_copied(visit, "grpcurl") == visit.ids()
    visit.page.get_by_role("tab", name="Python").click()
    program = visit.page.locator("pre").inner_text().replace("print(", "answer = (")
    told: dict[str, Any] = {}
    exec(program, told)
    assert [result.id for result in told["answer"]] == visit.ids()


def test_a_copied_call_reads_uploads_from_their_files(visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "it is a fish.png").write_bytes(concept_png("fish", 7))
    visit.go("/")
    visit.page.locator("input[type=file]").set_input_files(tmp_path / "it is a fish.png")
    expect(visit.page.locator(PART)).to_contain_text("it is a fish.png")
    visit.settled()
    (tmp_path / "it is a fish.png").rename(tmp_path / "it-is-a-fish.png")
    visit.page.get_by_role("button", name="Copy this call").click()
    assert run_copied(visit, "curl", tmp_path) == visit.ids()
    assert run_copied(visit, "grpcurl", tmp_path) == visit.ids()
    visit.page.get_by_role("tab", name="Python").click()
    expect(visit.page.locator("pre")).to_contain_text('query=[Path("it-is-a-fish.png")]')


def test_only_what_is_sure_is_shown_and_the_page_says_that_nothing_fits(visit: Visit) -> None:
    visit.go("/?q=bird&sure=3")
    visit.settled()
    assert concepts(visit, 100) == {"bird"}
    expect(visit.page.get_by_text("only what is sure")).to_be_visible()
    visit.page.get_by_role("textbox").fill("zzz qqq")
    expect(visit.page.get_by_role("heading", name="Nothing fits")).to_be_visible()
    visit.page.get_by_role("button", name="Show what is nearest").click()
    expect(visit.page.locator("main .card").first).to_be_visible()
    assert "sure" not in visit.page.url


def test_the_first_page_says_what_can_be_asked(visit: Visit) -> None:
    visit.go("/")
    visit.page.locator(".pieces .chip.piece").first.click()
    expect(visit.page.locator(".pieces .chip.piece .end")).to_have_count(1)
    visit.settled()
    assert concepts(visit, 1) <= set(CONCEPTS)


def test_how_sure_a_result_is_stands_in_its_panel_and_tooltip(visit: Visit) -> None:
    visit.go("/?q=bird&open=bird/seen")
    expect(visit.page.locator("aside")).to_contain_text(re.compile(r"\d%\s+sure that it fits"))
    title = visit.page.locator("main .card[data-item='bird/seen'] .title")
    expect(title).to_have_attribute("title", re.compile(r"^A bird to see\n.*\d% sure that it fits$"))
    visit.go("/?open=bird/seen")
    expect(visit.page.locator("aside")).to_contain_text("What it carries")
    expect(visit.page.locator("aside")).not_to_contain_text("sure that it fits")


def test_a_narrow_page_cuts_no_line_off_and_leaves_no_square_empty(visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 500, "height": 900})
    visit.go("/?q=bird&open=bird/read")
    assert visit.page.locator(".way ol").evaluate("line => line.scrollWidth - line.clientWidth") <= 0
    picture = visit.page.locator("aside .details > .pic")
    text = picture.locator("p")
    expect(text).to_be_visible()
    heights = [one.evaluate("it => it.getBoundingClientRect().height") for one in (picture, text)]
    assert heights[0] <= max(130, heights[1] + 60)
