# SPDX-License-Identifier: Apache-2.0
"""Scripts as Playwright's users write them, against the site; one line for each: flow, result."""
import asyncio
import json
import os
import sys
import traceback

from playwright.async_api import async_playwright
from playwright.sync_api import expect, sync_playwright

SITE = "http://127.0.0.1:8000"
OUT = "/workspace/out/"


def form(page):
    page.goto(SITE + "/form.html")
    page.get_by_label("Name").fill("Ada")
    page.get_by_label("Colour").select_option("green")
    page.get_by_label("I agree").check()
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#thanks")).to_have_text("Thank you, Ada: green, on")


def single_page_app(page):
    page.goto(SITE + "/app.html")
    page.get_by_role("link", name="List").click()
    expect(page.locator("li")).to_have_count(20)
    page.get_by_role("link", name="About").click()
    expect(page.get_by_role("heading")).to_have_text("About")
    page.go_back()
    expect(page.locator("li").first).to_have_text("Item 0")


def canvas(page):
    page.set_viewport_size({"width": 480, "height": 280})
    page.goto(SITE + "/canvas.html")
    page.screenshot(path=OUT + "canvas.png")
    pixel = page.evaluate("Array.from(canvas.getContext('2d').getImageData(80, 80, 1, 1).data)")
    assert pixel == [0, 170, 85, 255], pixel


def download(page):
    page.goto(SITE + "/popup.html")
    with page.expect_download() as found:
        page.get_by_role("link", name="Report").click()
    assert found.value.suggested_filename == "report 2025.csv"
    found.value.save_as(OUT + "report.csv")
    with open(OUT + "report.csv") as file:
        assert file.read() == "year,sum\n2025,42\n"


def login(page):
    page.goto(SITE + "/account")
    assert page.url == SITE + "/login.html", page.url
    page.get_by_placeholder("User").fill("ada")
    page.locator("[type=password]").fill("correct horse")
    page.get_by_role("button").click()
    expect(page.locator("#hello")).to_have_text("Hello, ada")
    assert [one["name"] for one in page.context.cookies()] == ["user"]
    # Another context is another browser to the site; a stored state is the same one again.
    browser, state = page.context.browser, page.context.storage_state()
    stranger = browser.new_page()
    stranger.goto(SITE + "/account")
    assert stranger.url == SITE + "/login.html"
    again = browser.new_context(storage_state=state).new_page()
    again.goto(SITE + "/account")
    expect(again.locator("#hello")).to_have_text("Hello, ada")


def endless_scroll(page):
    page.goto(SITE + "/scroll.html")
    while page.locator("li").count() < 100:
        page.mouse.wheel(0, 2000)
        page.wait_for_timeout(20)
    expect(page.locator("li").last).to_have_text("Item 99")


def popup(page):
    page.goto(SITE + "/popup.html")
    with page.expect_popup() as found:
        page.get_by_role("button", name="Open").click()
    expect(found.value).to_have_title("Form")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#answer")).to_have_text("yes")


def pdf(page):
    page.goto(SITE + "/article.html")
    page.pdf(path=OUT + "article.pdf", format="A4")
    with open(OUT + "article.pdf", "rb") as file:
        assert file.read(5) == b"%PDF-"


def har_and_trace(page):
    context = page.context.browser.new_context(record_har_path=OUT + "site.har")
    context.tracing.start(screenshots=True, snapshots=True)
    other = context.new_page()
    other.goto(SITE + "/article.html")
    context.tracing.stop(path=OUT + "trace.zip")
    context.close()
    with open(OUT + "site.har") as file:
        urls = [entry["request"]["url"] for entry in json.load(file)["log"]["entries"]]
    assert SITE + "/article.html" in urls, urls
    assert os.path.getsize(OUT + "trace.zip") > 1000


def routes(page):
    page.route("**/items*", lambda route: route.fulfill(body="<li>Mocked</li>"))
    page.goto(SITE + "/app.html#/list")
    expect(page.locator("li")).to_have_text("Mocked")


async def asynchronous():
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch()
        pages = [await browser.new_page() for _ in range(3)]
        await asyncio.gather(*[page.goto(SITE + "/article.html") for page in pages])
        assert [await page.title() for page in pages] == ["Article"] * 3
        await browser.close()


def persistent(playwright):
    context = playwright.chromium.launch_persistent_context("/workspace/profile")
    page = context.new_page()
    page.goto(SITE + "/article.html")
    assert page.title() == "Article"
    context.close()


def attempt(flow, *arguments):
    try:
        flow(*arguments)
        result = "ok"
    except Exception:
        result = traceback.format_exc()[-1500:]
    print(json.dumps({"flow": flow.__name__, "result": result}), flush=True)
    return result == "ok"


def main():
    done = []
    # Longer than any machine takes; the profile's wall time ends them all.
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch()
        for flow in (form, single_page_app, canvas, download, login, endless_scroll, popup, pdf,
                     har_and_trace, routes):
            page = browser.new_page()
            page.set_default_timeout(60_000)
            done.append(attempt(flow, page))
            page.close()
        browser.close()
        done.append(attempt(persistent, playwright))

    def asynchronous_flow():
        asyncio.run(asynchronous())

    done.append(attempt(asynchronous_flow))
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
