"""The view Person, in a browser over the real server."""

import re
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from tests.studio.browsing import Visit, expect
from tests.studio.running import Opened
from triveni.v1 import event_pb2


def test_a_like_changes_the_list_at_once_and_back_undoes_it(visit: Visit) -> None:
    visit.go("/person")
    expect(visit.page.locator(".history")).to_contain_text("Nothing is known of them yet")
    before = visit.ids()
    first = visit.page.locator("main .card").first
    liked = str(first.get_attribute("data-item"))
    first.hover()
    first.get_by_role("button", name="Like").first.click()
    expect(visit.page.locator(".history .chip")).to_have_count(1)
    expect(visit.page.locator(f'main .card[data-item="{liked}"]')).to_have_count(0)
    visit.settled()
    assert visit.ids() != before
    concept = liked.split("/")[0]
    assert visit.ids()[0].startswith(f"{concept}/")
    expect(visit.page.locator("main .card .badge", has_text="new").first).to_be_visible()
    visit.page.go_back()
    expect(visit.page.locator(".history .chip")).to_have_count(0)
    visit.settled()
    assert visit.ids() == before


def test_a_dislike_by_key_pushes_away_and_the_focus_stays_in_the_list(visit: Visit) -> None:
    visit.go("/person?e=like,0,item,bird/seen&e=like,0,item,fish/seen")
    visit.page.locator('main .card[data-item^="fish/"] .title').first.focus()
    visit.page.keyboard.press("d")
    expect(visit.page.locator(".history .chip.against")).to_have_count(1)
    visit.settled()
    assert visit.page.evaluate("document.activeElement.closest('.card')?.dataset.item")


def test_reasons_name_the_events_and_the_way_tells_the_stages(visit: Visit) -> None:
    visit.go("/person?e=search,0,text,a piano&open=piano/heard")
    expect(visit.page.locator("aside")).to_contain_text("“a piano”, by its text")
    way = visit.page.locator(".way")
    expect(way).to_contain_text(re.compile(r"1 event .*1 interest .*candidates.*after the policy.*in the engine"))


def test_what_they_search_for_is_typed_and_becomes_an_event(visit: Visit) -> None:
    visit.go("/person")
    visit.page.keyboard.press("/")
    visit.page.keyboard.type("a piano")
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator(".history .chip")).to_contain_text("“a piano” searched")
    expect(visit.page.get_by_role("textbox", name="What do they do next?")).to_have_value("")
    expect(visit.page.locator("main .card").first).to_have_attribute("data-item", re.compile("^piano/"))


def test_half_life_and_diversity_change_the_list(visit: Visit) -> None:
    visit.go("/person?e=like,90,item,bird/seen&e=like,0,item,fish/seen")
    visit.page.get_by_label("Half-life").fill("0")
    expect(visit.page).to_have_url(re.compile("half=0.0417"))
    visit.settled()
    short = visit.ids()
    assert {one.split("/")[0] for one in short[:2]} == {"fish"}, "what is old still counts"
    visit.page.get_by_label("Diversity").fill("0.9")
    expect(visit.page).to_have_url(re.compile("diversity=0.9"))
    visit.settled()
    assert visit.ids() != short


def test_two_versions_side_by_side(visit: Visit) -> None:
    visit.go("/person?e=like,0,item,bird/seen")
    visit.page.get_by_label("beside").select_option("untrained")
    expect(visit.page.locator(".pair section")).to_have_count(2)
    visit.settled()
    expect(visit.page.locator(".pair")).to_contain_text("24 of 24 in both")


def test_an_age_can_be_given_to_an_event(visit: Visit) -> None:
    visit.go("/person?e=like,0,item,bird/seen")
    visit.page.locator(".history summary").click()
    visit.page.get_by_label("When").select_option("30 days ago")
    expect(visit.page).to_have_url(re.compile("like%2C30%2Citem"))
    expect(visit.page.locator(".history .chip")).to_contain_text("30 days ago, counts .50")


def test_a_kind_that_the_settings_declare_is_done_and_sent_by_its_name(visit: Visit) -> None:
    visit.go("/person?open=fish/seen")
    visit.page.get_by_role("button", name="Add to cart").click()
    expect(visit.page).to_have_url(re.compile("add_to_cart%2C0%2Citem%2Cfish%2Fseen"))
    expect(visit.page.locator(".history .chip").first).to_contain_text("add to cart")
    expect(visit.page.locator("main .card").first).to_have_attribute("data-item", re.compile("^fish/"))
    visit.page.get_by_role("button", name="Copy this call").click()
    expect(visit.page.locator("pre")).to_contain_text('"kind": "add_to_cart"')
    visit.page.get_by_role("tab", name="curl", exact=True).click()
    expect(visit.page.locator("pre")).to_contain_text('"kind_name": "add_to_cart"')


def test_a_recorded_user_has_their_history(studio: Opened, visit: Visit) -> None:
    then = Timestamp()
    then.FromDatetime(datetime.now(UTC) - timedelta(days=2))
    events = [
        event_pb2.Event(id="studio-1", kind=event_pb2.EVENT_KIND_LIKE, item_id="drum/seen", time=then),
        event_pb2.Event(id="studio-2", kind=event_pb2.EVENT_KIND_DISLIKE, item_id="cat/seen", time=then),
    ]
    rows = [event_pb2.UserEvent(user_id="an/n", event=event) for event in events]
    assert studio.run.events.RecordEvents(event_pb2.RecordEventsRequest(events=rows)).recorded_count == 2
    try:
        visit.go("/person")
        visit.page.get_by_placeholder("somebody new").fill("an/n")
        expect(visit.page.locator(".history .chip.recorded")).to_have_count(2)
        expect(visit.page.locator("main .card").first).to_have_attribute("data-item", re.compile("^drum/"))
        visit.page.locator('main .card[data-item="drum/heard"] .title').click()
        expect(visit.page.locator("aside")).to_contain_text("A drum to see, by its")
    finally:
        studio.run.events.DeleteUser(event_pb2.DeleteUserRequest(user_id="an/n"))
