"""The served market in a real browser: two people with wallets, the operator, a passkey, and how the pages look."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
pytest.importorskip("fastapi", reason="needs the extra: pip install 'gridsettle[web]'")
pytest.importorskip("eth_account", reason="needs the extra: pip install 'gridsettle[web]'")

from eth_account import Account  # noqa: E402
from eth_account.messages import encode_defunct  # noqa: E402
from served_market import STREET  # noqa: E402

from cosim.scenario.files import format_toml  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
AXE = os.environ.get("AXE_CORE", "")
"""The file axe.min.js of the npm package axe-core: `.ci/run` fetches it."""
needs_axe = pytest.mark.skipif(not AXE, reason="needs axe-core: npm pack axe-core; AXE_CORE=package/axe.min.js")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]

WALLET = """(() => {
    const provider = {request: ({method, params}) => window.walletRequest(method, JSON.stringify(params ?? []))};
    const info = Object.freeze({uuid: 'a', name: 'Test wallet', icon: 'data:image/png;base64,', rdns: 'test.wallet'});
    const announce = () => window.dispatchEvent(
        new CustomEvent('eip6963:announceProvider', {detail: Object.freeze({info, provider})}));
    window.addEventListener('eip6963:requestProvider', announce);
    announce();
})()"""
expect = playwright.expect


class Market(NamedTuple):
    """A server: its address, run directory, process, and the operator's code that it printed."""

    url: str
    directory: Path
    process: subprocess.Popen[str]
    code: str


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "street.toml").write_text(format_toml(STREET), encoding="utf-8")
    port = find_free_port()
    words = [sys.executable, "-m", "cosim.cli.entry", "serve", "street.toml", "--port", str(port), "--out", "run"]
    words.append("--demo")
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]  # on a fresh machine the first one says that it compiles
        while not (code := re.search(r"(\w{4}-){3}\w{4}", lines[-1])) and lines[-1]:
            lines.append(process.stdout.readline())
        assert code is not None, lines
        yield Market(f"http://localhost:{port}", folder / "run", process, code[0])
        process.send_signal(2)
        assert process.wait(60) == 130


def call(words: list[str], **where: Any) -> subprocess.CompletedProcess[str]:
    """Run a command of ours."""
    return subprocess.run([sys.executable, "-m", "cosim.cli.entry", *words], capture_output=True, text=True, **where)


def find_free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Browsers:
    """Browser contexts, and whatever their pages said or asked elsewhere."""

    def __init__(self, browser: Any, url: str) -> None:
        self.browser, self.url = browser, url
        self.said: list[str] = []
        self.elsewhere: list[str] = []

    def open(self, path: str, wallet: int | None = None, **options: Any) -> Any:
        """A page of somebody new."""
        context = self.browser.new_context(accept_downloads=True, **options)
        if wallet is not None:
            account = Account.from_key(bytes([wallet]) * 32)

            def request(method: str, params: str) -> Any:
                if method == "eth_requestAccounts":
                    return [account.address]
                assert method == "personal_sign"
                signed = account.sign_message(encode_defunct(hexstr=json.loads(params)[0]))
                return "0x" + bytes(signed.signature).hex()

            context.expose_function("walletRequest", request)
            context.add_init_script(WALLET)
        page = context.new_page()
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda asked: self.note(asked.url))
        page.goto(self.url + path)
        return page

    def note(self, url: str) -> None:
        if not url.startswith((self.url, "data:")):
            self.elsewhere.append(url)


@pytest.fixture(scope="module")
def browsers(market: Market) -> Iterator[Browsers]:
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield Browsers(started, market.url)
        started.close()


def press(page: Any, name: str | re.Pattern[str], **options: Any) -> None:
    page.get_by_role("button", name=name, **options).first.click()


def ask_to_join(browsers: Browsers, wallet: int, house: int) -> Any:
    page = browsers.open("/signin", wallet)
    press(page, "Test wallet")
    expect(page.get_by_role("heading", name="Join the market")).to_be_visible()
    page.get_by_label("Number of your house").fill(str(house))
    press(page, "Ask to join")
    expect(page.get_by_role("heading", name="Your request waits")).to_be_visible()
    return page


def submit(page: Any, way: str, kwh: str, limit: str = "") -> None:
    page.get_by_label(way).check()
    page.get_by_label("Energy in the interval").fill(kwh)
    page.get_by_label("Limit price").fill(limit)
    press(page, "Sign and submit")
    expect(page.locator("#holds")).to_contain_text("your submission")


def close_interval(operator: Any, n: int) -> None:
    press(operator, "Close this interval")
    expect(operator.locator("#clock")).to_contain_text(f"{n} of 60 are closed", timeout=60_000)


def register_devices(page: Any) -> None:
    """One device that the wires cannot carry, others that they can, while there is room for them; two leave again."""
    page.reload()
    page.get_by_label("Panels, rated power").fill("40")
    press(page, "Register panels")
    told = page.get_by_text("The wires cannot carry it: the voltage would be too high")
    expect(told).to_be_visible(timeout=60_000)  # on a fresh machine it compiles
    page.get_by_label("Panels, rated power").fill("0.5")
    press(page, "Register panels")
    expect(page.get_by_role("listitem").filter(has_text="panels (PV), 0.5 kW")).to_be_visible(timeout=15_000)
    page.get_by_label("Battery, it stores").fill("1")
    press(page, "Register battery")
    expect(page.get_by_role("listitem").filter(has_text="battery, 0.5 kW, 1 kWh")).to_be_visible(timeout=15_000)
    page.get_by_label("hydrogen in the full tank").fill("1")
    press(page, "Register fuel cell")
    expect(page.get_by_role("listitem").filter(has_text="fuel cell, 1.077 kW")).to_be_visible(timeout=15_000)
    press(page, "Withdraw fuel cell")
    expect(page.get_by_role("listitem").filter(has_text="fuel cell, ")).to_have_count(0, timeout=15_000)
    press(page, re.compile(r"Withdraw battery.* since the first interval"))
    expect(page.get_by_role("listitem").filter(has_text="since the first interval")).to_have_count(0, timeout=15_000)


@pytest.fixture(scope="module")
def story(browsers: Browsers, market: Market) -> dict[str, Any]:
    """The story up to a deal: both join, are admitted, sign their keys; one offers, the other asks."""
    operator = browsers.open("/signin")
    operator.get_by_label("Code that").fill(market.code)
    press(operator, "Sign in as the operator")
    seller, buyer = ask_to_join(browsers, 1, 1), ask_to_join(browsers, 2, 5)
    operator.reload()
    for house in (1, 5):
        press(operator, "Admit")
        expect(operator.get_by_role("link", name=f"house {house}")).to_be_visible()
    for page in (seller, buyer):
        page.reload()
        press(page, "Sign with my key")
        expect(page.get_by_role("heading", name="My meter")).to_be_visible()
    close_interval(operator, 1)
    register_devices(buyer)
    close_interval(operator, 2)
    submit(seller, "give energy", "9.5")
    submit(buyer, "take energy", "3.5", "20")
    close_interval(operator, 3)
    return {"operator": operator, "seller": seller, "buyer": buyer}


def test_an_offer_is_cleared_against_a_need_and_what_is_cut_has_its_reason(story: dict[str, Any]) -> None:
    expect(story["buyer"].locator("#meter")).to_contain_text("bought from houses")
    cut = story["seller"].locator("#cut")
    expect(cut).to_contain_text("the voltage would be too high at house")
    expect(cut).to_contain_text("sold to the grid")
    expect(story["buyer"].locator("#cut")).to_contain_text("Nothing of mine.")
    envelope = story["seller"].locator("#envelope")
    expect(envelope).to_contain_text("less than 1 kW more from my house; with more, the voltage would be too high")
    story["seller"].goto(story["seller"].url.replace("/main", "/account"))
    expect(story["seller"].locator("#transactions")).to_contain_text("house 5")


def test_a_receipt_is_verified_offline(story: dict[str, Any], market: Market, tmp_path: Path) -> None:
    page = story["seller"]
    page.goto(market.url + "/account")
    with page.expect_download() as got:
        page.get_by_role("link", name="JSON receipt of record").first.click()
    got.value.save_as(tmp_path / "receipt.json")
    page.goto(market.url + "/")
    key = page.get_by_label("Verifier key").inner_text()
    (tmp_path / "operator.vkey").write_text(key + "\n", encoding="utf-8")
    words = ["ledger", "verify-receipt", "receipt.json", "--key", "operator.vkey"]
    done = call(words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_browser_keeps_the_operators_promises(story: dict[str, Any], market: Market, tmp_path: Path) -> None:
    page = story["seller"]
    page.goto(market.url + "/account")
    with page.expect_download() as got:
        page.get_by_role("button", name="Save as a file").click()
    got.value.save_as(tmp_path / "promises.json")
    assert len(json.loads((tmp_path / "promises.json").read_text())["promises"]) > 0
    done = call(["ledger", "promises", str(market.directory), "promises.json"], cwd=tmp_path)
    assert (done.returncode, "promises kept so far" in done.stdout) == (0, True), done.stdout + done.stderr


def test_access_is_asked_granted_used_revoked_and_refused(story: dict[str, Any], market: Market) -> None:
    seller, buyer = story["seller"], story["buyer"]
    buyer.goto(market.url + "/account")
    buyer.get_by_label("Ask for access to").select_option("1")
    press(buyer, "Ask", exact=True)
    expect(buyer.get_by_text("asked house 1: no answer yet")).to_be_visible()
    seller.goto(market.url + "/account")
    press(seller, "Grant", exact=True)
    expect(seller.get_by_role("button", name="Revoke")).to_be_visible()
    buyer.reload()
    press(buyer, "Sign and read")
    expect(buyer.get_by_role("heading", name="Account of house 1")).to_be_visible()
    expect(buyer.get_by_text("with the permission of house 1")).to_be_visible()
    seller.reload()
    expect(seller.get_by_text("house 5: signed that it reads")).to_be_visible()
    press(seller, "Revoke")
    expect(seller.get_by_text("Nobody but you and the operator.")).to_be_visible()
    answer = buyer.goto(market.url + "/account?house=1")
    assert answer.status == 403
    expect(buyer.get_by_role("alert")).to_contain_text("has not granted you access")


def test_a_passkey_signs_in(browsers: Browsers, market: Market) -> None:
    page = browsers.open("/signin")
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    options |= {"isUserVerified": True, "automaticPresenceSimulation": True}
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    press(page, "Make a passkey")
    expect(page.get_by_role("heading", name="Join the market")).to_be_visible()
    press(page, "Sign out")
    page.goto(market.url + "/signin")
    press(page, "Use a passkey")
    expect(page.get_by_role("heading", name="Join the market")).to_be_visible()


def test_the_demo_wallet_signs_in(browsers: Browsers) -> None:
    page = browsers.open("/signin")
    press(page, "Demo wallet")
    expect(page.get_by_role("heading", name="Join the market")).to_be_visible()


LOOKS = {
    "desktop-light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "desktop-dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone-light": {"viewport": {"width": 360, "height": 740}, "color_scheme": "light"},
    "phone-dark": {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"},
}
PAGES = {"seller": ("/", "/main", "/account"), "operator": ("/operator",)}


def look_at(story: dict[str, Any], market: Market, look: str) -> Iterator[tuple[str, Any]]:
    """Every page of a member and of the operator, on a screen and in a colour scheme."""
    for who, paths in PAGES.items():
        page = story[who]
        page.emulate_media(color_scheme=LOOKS[look]["color_scheme"], reduced_motion="reduce")
        page.set_viewport_size(LOOKS[look]["viewport"])
        for path in paths:
            page.goto(market.url + path)
            yield path, page


@pytest.mark.parametrize("look", LOOKS)
def test_pages_fit_the_screen(story: dict[str, Any], market: Market, look: str, tmp_path: Path) -> None:
    folder = Path(os.environ.get("SCREENSHOTS", str(tmp_path)))
    folder.mkdir(parents=True, exist_ok=True)
    for path, page in look_at(story, market, look):
        page.screenshot(path=folder / f"{path.strip('/') or 'welcome'}-{look}.png", full_page=True)
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, path


@needs_axe
@pytest.mark.parametrize("look", LOOKS)
def test_pages_of_members_are_accessible(story: dict[str, Any], market: Market, look: str) -> None:
    for path, page in look_at(story, market, look):
        check_accessible(page, path)


@needs_axe
def test_pages_of_strangers_are_accessible(browsers: Browsers) -> None:
    for path in ("/", "/signin", "/nowhere"):
        check_accessible(browsers.open(path), path)


def check_accessible(page: Any, path: str) -> None:
    """No moderate, serious or critical fault by axe-core."""
    page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    faults = [
        (each["id"], each["nodes"][0]["html"], each["nodes"][0]["failureSummary"])
        for each in found["violations"]
        if each["impact"] != "minor"
    ]
    assert not faults, (path, faults)


def test_the_operator_opens_a_line_and_closes_it_again(story: dict[str, Any], market: Market) -> None:
    operator = story["operator"]
    operator.goto(market.url + "/operator")
    lines = operator.get_by_label("Open", exact=True)
    lines.select_option(lines.locator("option").last.get_attribute("value"))
    press(operator, "Open it")
    expect(operator.locator("#open-now")).to_contain_text("is open")
    close_interval(operator, 4)
    expect(operator.locator("#feeder")).to_contain_text("line service house_04: open")  # house 4 is an island now
    press(operator, "Close it again")
    expect(operator.locator("#open-now")).to_contain_text("Closed again; islands join")
    close_interval(operator, 5)


def test_the_operator_sees_audits_end_and_takes_the_checkpoint_away(
    story: dict[str, Any], market: Market, tmp_path: Path
) -> None:
    """No page is loaded again by hand: an audit that is under way is looked at until it has an answer."""
    operator = story["operator"]
    operator.goto(market.url + "/operator")
    for button, command in (
        ("Verify every byte", "ledger verify"),
        ("Audit: solve 48 intervals again", "ledger audit"),
    ):
        press(operator, button)
        answer = operator.locator("#audit")
        expect(answer).to_contain_text("nothing is wrong (exit code 0)", timeout=60_000)
        expect(answer).to_contain_text(command)
    with operator.expect_download() as got:
        operator.get_by_role("link", name="Download the checkpoint").click()
    got.value.save_as(tmp_path / got.value.suggested_filename)
    kept = market.directory.parent / f"{market.directory.name}.checkpoint"
    assert (tmp_path / "checkpoint.txt").read_text("utf-8") == kept.read_text("utf-8")


def test_the_operator_ends_a_membership_and_the_person_reads_why(story: dict[str, Any], market: Market) -> None:
    """The last deed of the story: house 5 is nobody's from here on."""
    operator, buyer = story["operator"], story["buyer"]
    operator.goto(market.url + "/operator")
    listed = operator.get_by_role("listitem").filter(has=operator.get_by_role("link", name="house 5"))
    listed.get_by_text("End membership").click()
    listed.get_by_label("Reason").fill("moved away")
    press(listed, "End it")
    expect(operator.get_by_role("link", name="house 5")).to_have_count(0)
    buyer.goto(market.url + "/signin")
    press(buyer, "Test wallet")
    expect(buyer.get_by_role("alert")).to_contain_text("The operator has ended your membership: moved away.")


def test_the_ledger_of_the_story_is_sound(story: dict[str, Any], market: Market) -> None:
    done = call(["ledger", "verify", str(market.directory)])
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_page_complained_or_asked_elsewhere(story: dict[str, Any], browsers: Browsers) -> None:
    """The last test: of all pages above."""
    known = re.compile(r"Failed to load resource: the server responded with a status of (403|404|422)")
    assert [text for text in browsers.said if not known.match(text)] == []
    assert browsers.elsewhere == []
