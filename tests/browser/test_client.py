"""The client's rules, run where they run: in a real browser, without a page around them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.browser.chromium import ARGUMENTS, require_chromium
from tests.running import running_server

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One page for all: these rules keep nothing."""
    require_chromium()
    with running_server(tmp_path_factory.mktemp("client")) as server, sync_playwright() as playwright:
        path = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS, headless=True)
        page = browser.new_page(locale="en-US")
        # a file under the pages' content policy, without a page's script
        page.goto(f"{server.url}/assets/tokens.css")
        yield page
        browser.close()


def run(page: Page, body: str) -> Any:
    """The value of an async function's body, with the client's modules at hand."""
    return page.evaluate(
        "async () => { const client = await import('/assets/client.js');"
        " const media = await import('/assets/media.js'); const i18n = await import('/assets/ui/i18n.js');"
        f" {body} }}"
    )


def test_close_codes_say_who_may_come_back(page: Page) -> None:
    answer = run(page, "return [1000, 1006, 3001, 3008, 3010, 3499, 3500, 3501, 3999].map(client.mayReturn)")
    assert answer == [True] * 6 + [False] * 3


def test_waits_grow_are_jittered_and_bounded(page: Page) -> None:
    shortest = run(page, "return [0, 1, 2, 30].map(n => client.delayMs(n, () => 0))")
    longest = run(page, "return [0, 1, 2, 30].map(n => client.delayMs(n, () => 1))")
    assert shortest == [100, 200, 400, 2500]
    assert longest == [400, 800, 1600, 10_000]


def test_amounts_are_read_as_people_write_them(page: Page) -> None:
    answer = run(
        page,
        """return [["12.50", "EUR"], ["12,5", "EUR"], ["5", "EUR"], ["1200", "JPY"], ["12.5", "JPY"], ["1.234", "EUR"],
                   ["-1", "EUR"], ["", "EUR"], ["abc", "EUR"]].map(([text, code]) => i18n.parseAmount(text, code))""",
    )
    assert answer == [1250, 1250, 500, 1200, None, None, None, None, None]


def test_the_language_is_asked_saved_or_wanted(page: Page) -> None:
    answer = run(
        page,
        """return [i18n.chooseLanguage("?lang=nl", "en", ["en"]), i18n.chooseLanguage("?lang=xx", "nl", ["en"]),
                   i18n.chooseLanguage("", null, ["fr", "nl-BE"]), i18n.chooseLanguage("", null, [])]""",
    )
    assert answer == ["nl", "nl", "nl", "en"]


def test_countdowns_say_zero_only_when_it_is_over(page: Page) -> None:
    answer = run(page, "return [61_000, 59_001, 1, 0, -5, 3_725_000].map(i18n.countdown)")
    assert answer == ["1:01", "1:00", "0:01", "0:00", "0:00", "1:02:05"]


def test_the_clock_trusts_the_quickest_round_trip(page: Page) -> None:
    answer = run(
        page,
        """let now = 1000; const clock = new client.ServerClock({now: () => now});
           clock.roundTrip(51_000, 900);   // took 100: the server was at 51,050 when this was 1,000
           const first = clock.now();
           now = 2000; clock.roundTrip(90_000, 1000);  // took 1,000: worth less
           const second = clock.now();
           clock.notice(52_200);  // one way, and yet ahead of what we thought: at least so far
           return [first, second, clock.now()]""",
    )
    assert answer == [51_050, 52_050, 52_200]


#: a joined Show and a way to tell it things
SHOW = """
const clock = new client.ServerClock(); const show = new client.Show({clock}); const room = new EventTarget();
show.follow(room);
const deal = (changes) => ({id: "d1", title: "Mug", state: "open", stock: 5, left: 3, held: 2, sold: 0, ...changes});
const welcome = {user: {id: "u", roles: [], can: []}, offset: 10, recovered: false, products: [], orders: [],
  stream: {id: "s", state: "live", viewers: 1, pinned: null}, deals: [deal({})]};
const joined = (ok) => room.dispatchEvent(new CustomEvent("joined", {detail: {...welcome, ...ok}}));
const told = (type, data, offset, more = {}) =>
  room.dispatchEvent(new CustomEvent("event", {detail: {type, data, offset, ...more}}));
const counts = () => { const {left, held, sold, state} = show.deals.get("d1"); return [left, held, sold, state]; };
"""


def test_history_does_not_turn_the_stock_back(page: Page) -> None:
    """The snapshot is as of the join's offset; the older events that follow it are history."""
    answer = run(
        page, SHOW + 'joined({}); told("deal.claimed", {deal_id: "d1", units: 1, left: 4}, 8); return counts()'
    )
    assert answer == [3, 2, 0, "open"]


def test_an_old_glance_does_not_overtake_a_claim(page: Page) -> None:
    answer = run(
        page,
        SHOW
        + """joined({}); told("deal.claimed", {deal_id: "d1", units: 1, left: 2}, 12);
             told("deal.stock", {deal_id: "d1", left: 3, held: 2, sold: 0}, undefined, {as_of: 11});
             const after = counts();
             told("purchase", {deal_id: "d1", buyer: {name: "Noor"}, units: 1}, 13);
             told("deal.stock", {deal_id: "d1", left: 2, held: 2, sold: 1}, undefined, {as_of: 13});
             return [after, counts()]""",
    )
    assert answer == [[2, 3, 0, "open"], [2, 2, 1, "open"]]


def test_the_last_claim_sells_out_and_a_release_opens_again(page: Page) -> None:
    answer = run(
        page,
        SHOW
        + """joined({}); told("deal.claimed", {deal_id: "d1", units: 3, left: 0}, 11); const out = counts();
             told("deal.released", {deal_id: "d1", units: 1, left: 1}, 12); return [out, counts()]""",
    )
    assert answer == [[0, 5, 0, "sold_out"], [1, 4, 0, "open"]]


def test_a_rush_of_purchases_leaves_room_for_what_people_say(page: Page) -> None:
    answer = run(
        page,
        SHOW
        + """joined({});
             const bought = (i) => told("purchase", {deal_id: "d1", buyer: {name: `B${i}`}, units: 1}, 11 + i);
             for (let i = 0; i < 50; i += 1) bought(i);
             told("chat.message", {id: "m", user: {id: "u", name: "N", roles: []}, text: "x"}, 80);
             bought(90);
             return show.lines.map((line) => [line.name ?? line.text, line.more ?? 0])""",
    )
    assert answer == [["B0", 0], ["B1", 0], ["B49", 47], ["x", 0], ["B90", 0]]


def test_deleted_lines_vanish_and_the_list_is_capped(page: Page) -> None:
    answer = run(
        page,
        SHOW
        + """joined({});
             for (let i = 0; i < 250; i += 1)
               told("chat.message", {id: `m${i}`, user: {id: `u${i % 2}`, name: "N", roles: []}, text: "x"}, 11 + i);
             const before = show.lines.length;
             told("chat.deleted", {id: "m249"}, 300); told("chat.cleared", {user_id: "u0"}, 301);
             return [before, show.lines.length, show.lines.every((line) => line.user.id === "u1")]""",
    )
    assert answer == [200, 99, True]


def test_a_claim_with_an_unknown_outcome_is_asked_again_under_the_same_key(page: Page) -> None:
    answer = run(
        page,
        """const keys = [];
           const room = {joined: true, call: async (name, {key}) => {
             keys.push(key);
             if (keys.length < 3) throw new client.Refusal("outcome_unknown", "", {retryAfterMs: 5});
             return {order: {id: "o1"}};
           }};
           const order = await client.claimUnits({room, streamId: "s", dealId: "d"});
           return [order.id, keys.length, new Set(keys).size]""",
    )
    assert answer == ["o1", 3, 1]


def test_a_refusal_is_final(page: Page) -> None:
    answer = run(
        page,
        """let asked = 0;
           const room = {joined: true, call: async () => { asked += 1; throw new client.Refusal("sold_out"); }};
           const code = await client.claimUnits({room, streamId: "s", dealId: "d"}).catch((error) => error.code);
           return [code, asked]""",
    )
    assert answer == ["sold_out", 1]


def test_before_a_show_its_picture_is_asked_for_seldom(page: Page) -> None:
    """The room tells when it begins; from then on the server's own word counts."""
    answer = run(
        page,
        """const viewer = new media.WhepViewer({ url: "/whep/x", token: () => "" });
           const before = viewer.patience({ retryAfterMs: 2000 });
           viewer.expectMedia = true;
           return [before, viewer.patience({ retryAfterMs: 2000 })];""",
    )
    assert answer == [15_000, 2_000]


def test_ice_servers_are_read_from_link_headers(page: Page) -> None:
    answer = run(
        page,
        """return media.iceServersIn('<turn:t.example:3478?transport=udp>; rel="ice-server"; username="u"; ' +
             'credential="p"; credential-type="password", <https://x.example>; rel="help"')""",
    )
    assert answer == [{"urls": "turn:t.example:3478?transport=udp", "username": "u", "credential": "p"}]


#: a room whose server is the test: what it was sent, and a way to say things and to hang up
WIRE = """
const sockets = [];
class Wire {
  constructor() { this.sent = []; this.readyState = 1; sockets.push(this); queueMicrotask(() => this.onopen()); }
  send(text) { this.sent.push(JSON.parse(text)); }
  close() { this.readyState = 3; }
  say(...messages) { this.onmessage({ data: JSON.stringify(messages) }); }
  hangUp(code) { this.readyState = 3; this.onclose({ code }); }
}
Wire.OPEN = 1;
const real = window.WebSocket; window.WebSocket = Wire;
const clock = new client.ServerClock();
const room = new client.Room({ url: "ws://x/ws/s", token: () => "t", clock, random: () => 0 });
const offsets = []; const states = [];
room.addEventListener("event", ({ detail }) => offsets.push(detail.offset));
room.addEventListener("state", ({ detail }) => states.push(detail.state));
const wire = async (n) => {
  while (!sockets[n - 1]?.sent.length) await client.sleep(5);
  return sockets[n - 1];
};
const empty = { epoch: "e", offset: 0, recovered: false, server_ms: 1 };
const join = (w, ok) => w.say({ re: w.sent[0].id, ok: { ...empty, ...ok } });
const numbered = (offset) => ({ offset, type: "chat.message", at_ms: 1, data: {} });
const outcome = (promise) => promise.then((ok) => ["ok", ok], (refusal) => [refusal.code, refusal.temporary]);
const done = (answer) => { room.leave(); window.WebSocket = real; return answer; };
"""


def test_a_command_whose_connection_ends_first_says_that_nobody_knows(page: Page) -> None:
    answer = run(
        page,
        WIRE
        + """room.enter(); const first = await wire(1); join(first, {});
             const answered = outcome(room.call("ping"));
             first.say({ re: first.sent[1].id, ok: { server_ms: 7 } });
             const lost = outcome(room.call("chat.send", { text: "hi", key: "k" }, { timeoutMs: 60_000 }));
             const refused = outcome(room.call("chat.send", { text: "" }));
             first.say({ re: first.sent[3].id, err: { code: "invalid", message: "Empty.", temporary: false } });
             first.hangUp(1006);
             const meanwhile = outcome(room.call("ping"));
             const patience = client.sleep(3000).then(() => ["not told"]);
             const told = await Promise.race([lost, patience]);
             return done([await answered, told, await refused, await meanwhile, first.sent.length])""",
    )
    assert answer == [
        ["ok", {"server_ms": 7}],
        ["outcome_unknown", True],
        ["invalid", False],
        ["offline", True],
        4,
    ]


def test_a_room_comes_back_to_where_it_was_and_tells_nothing_twice(page: Page) -> None:
    answer = run(
        page,
        WIRE
        + """room.enter(); const first = await wire(1); join(first, {}); first.say(numbered(1), numbered(2));
             first.hangUp(3008);
             const second = await wire(2); const asked = second.sent[0];
             join(second, { offset: 4, recovered: true }); second.say(numbered(2), numbered(3), numbered(4));
             second.hangUp(3001);
             const third = await wire(3); join(third, { epoch: "f", offset: 1 }); third.say(numbered(1));
             third.hangUp(3501);
             return done([[asked.epoch, asked.offset], [third.sent[0].epoch, third.sent[0].offset], offsets,
                          [...states], room.state])""",
    )
    came = ["connecting", "joined", "waiting"] * 2 + ["connecting", "joined", "closed"]
    assert answer == [["e", 2], ["e", 4], [1, 2, 3, 4, 1], came, "closed"]
