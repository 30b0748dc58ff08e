"""A real Chromium in front of the console, and what every script does with it."""
import contextlib
import os
import pathlib
import shutil
import time

import playwright.sync_api
from playwright.sync_api import sync_playwright

from here import HOST, SECONDS, port

BASE = f"https://{HOST}:{port('HTTPS')}"
PASSWORD = os.environ["OPERATOR_PASSWORD"]
SCREENSHOTS = pathlib.Path(os.environ["SCREENSHOTS"])


@contextlib.contextmanager
def chromium():
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        )
        yield browser
        browser.close()


class Person:
    """Somebody with a browser of its own; knows what it asked the network for."""

    def __init__(self, browser, **more):
        self.context = browser.new_context(ignore_https_errors=True, **({"locale": "en-GB"} | more))
        self.context.set_default_timeout(SECONDS * 1000)
        self.page = self.context.new_page()
        self.asked, self.dialogs, self.errors = [], [], []
        self.context.on("request", lambda request: self.asked.append(request.url))
        self.page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        self.page.on("console", self.hears)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def hears(self, line):
        # A page that answers 403 is no trouble of the page.
        if line.type == "error" and "Failed to load resource" not in line.text:
            self.errors.append(line.text)

    def go(self, path):
        return self.page.goto(BASE + path)

    def sign_in(self, name, password=PASSWORD, code=""):
        self.go("/admin/sign-in")
        self.page.fill("[name=name]", name)
        self.page.fill("[name=password]", password)
        self.page.fill("[name=code]", code)
        self.page.click("main button[type=submit]")
        return self

    def text(self):
        return self.page.inner_text("body")

    def sees(self, *texts):
        """All of these, as soon as the page that is on its way is there."""
        deadline = time.monotonic() + SECONDS
        while True:
            with contextlib.suppress(playwright.sync_api.Error):
                seen = self.text()
                missing = [text for text in texts if text not in seen]
                if not missing:
                    return
            assert time.monotonic() < deadline, f"{missing} is not in:\n{seen}"
            self.page.wait_for_timeout(20)

    def sees_not(self, *texts):
        seen = self.text()
        for text in texts:
            assert text not in seen, f"{text!r} is in:\n{seen}"

    def is_chinese(self):
        """No sentence of ours is English: what others wrote stands in elements that say so, and quotes."""
        left = self.page.evaluate(
            """() => {
                const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
                const left = [];
                while (words.nextNode()) {
                    const one = words.currentNode;
                    if (one.parentElement.closest("code, bdi, time, pre, noscript, [lang=en], .agent, .reply")) continue;
                    const text = one.textContent.replace(/“[^”]*”|（[^（）]*）/g, "");
                    if (/[a-z]{2,}(,? [a-z]{2,}){2,}/i.test(text)) left.push(text);
                }
                return left;
            }"""
        )
        assert not left, f"{self.page.url} is not Chinese: {left}"

    def job_ended(self, *texts):
        """The page of a job renews itself until it is over, and is loaded anew then."""
        self.sees(*texts)
        self.page.wait_for_selector("#live:not([data-renew])")
        return self.page.inner_text("main")

    def shot(self, name):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(SCREENSHOTS / f"{name}.png"), full_page=True)

    def fits(self):
        """Nothing is wider than the screen, so that nobody scrolls sideways."""
        over = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert over <= 0, f"{self.page.url} is {over} px wider than the screen"


def outside(asked):
    """What was asked of others than the server under test."""
    return [url for url in asked if not url.startswith((BASE, "data:", "about:"))]
