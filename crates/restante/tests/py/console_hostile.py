"""Mail that is made to harm whoever looks at it: nothing of it runs, and no request leaves for anybody."""
import email.message
import email.policy
import smtplib

from browser import BASE, Person, chromium, outside
from here import ALICE, HOST, SECONDS, port

SCRIPT = "<script>window.pwned=1;fetch('https://evil.test/s')</script>"
IMAGE = "<img src=x onerror=\"window.pwned=1;alert(1)\">"
HTML = f"""<html><head><base href="https://evil.test/"><meta http-equiv="refresh" content="0;url=https://evil.test/">
<style>@import url(https://evil.test/i.css); body{{background:url(https://evil.test/bg)}}</style>
<link rel="stylesheet" href="https://evil.test/l.css"></head>
<body onload="window.pwned=1" background="https://evil.test/b.png">
<p id="said">Dear reader</p>{SCRIPT}{IMAGE}
<img src="https://evil.test/pixel.png" width="1" height="1">
<img srcset="https://evil.test/set.png 2x" src="//evil.test/rel.png">
<a href="javascript:window.pwned=1">press me</a> <a id="away" href="https://evil.test/away">or me</a>
<iframe src="https://evil.test/frame"></iframe><iframe srcdoc="<script>parent.pwned=1</script>"></iframe>
<object data="https://evil.test/o"></object><embed src="https://evil.test/e">
<video src="https://evil.test/v" autoplay></video><audio src="https://evil.test/a" autoplay></audio>
<svg onload="window.pwned=1"><image href="https://evil.test/svg.png"/><script>window.pwned=1</script></svg>
<math><mtext></mtext><style><img src=x onerror=window.pwned=1></style></math>
<form action="https://evil.test/form"><input name=q autofocus onfocus="window.pwned=1"><button>Send</button></form>
<div style="background:url(https://evil.test/style)">styled</div>
<table background="https://evil.test/t.png"><tr><td>cell</td></tr></table>
<noscript><p title="</noscript><img src=x onerror=window.pwned=1>"></noscript>
</body></html>"""


def hostile():
    mail = email.message.EmailMessage()
    mail["From"] = "Evl <evil@outside.test>"
    mail["To"] = ALICE
    mail["Date"] = "Sun, 22 Nov 2026 10:00:00 +0000"
    mail["Message-ID"] = "<hostile@outside.test>"
    mail["Subject"] = f"Hi {SCRIPT}{IMAGE}"
    mail["X-Nasty"] = f"\"><svg/onload=window.pwned=1>{IMAGE}"
    mail.set_content(f"Plain {SCRIPT} {IMAGE}\n")
    mail.add_alternative(HTML, subtype="html")
    mail.add_attachment(b"x", maintype="text", subtype="html", filename="\"><img src=x onerror=alert(1)>.html")
    raw = mail.as_bytes(policy=email.policy.SMTP)
    name = b'From: "\\"><script>window.pwned=1</script>" <evil@outside.test>'
    return raw.replace(b"From: Evl <evil@outside.test>", name)


def is_whole(person):
    assert not person.dialogs, person.dialogs
    assert outside(person.asked) == [], outside(person.asked)
    for frame in person.page.frames:
        assert frame.evaluate("window.pwned") is None, frame.url


with smtplib.SMTP(HOST, port("SMTP"), "outside.test", timeout=SECONDS) as smtp:
    sender = '"<script>window.pwned=1</script>"@outside.test'
    for reverse_path in ("evil@outside.test", sender):
        assert smtp.sendmail(reverse_path, [ALICE], hostile()) == {}

with chromium() as browser:
    ann = Person(browser).sign_in("ann")
    page = ann.page
    for path in (f"/admin/trace?q={ALICE}", "/admin/trace?q=%3Cscript%3Ewindow.pwned%3D1%3C%2Fscript%3E",
                 "/admin/queue?from=%22%3E%3Cscript%3Ewindow.pwned%3D1%3C%2Fscript%3E",
                 "/admin/audit?who=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"):
        ann.go(path)
        is_whole(ann)
    ann.go(f"/admin/trace?q={ALICE}")
    # It is there to be read, letter by letter.
    ann.sees("Hi <script>window.pwned=1", "onerror=")
    ann.shot("hostile-trace")
    page.click("table a >> nth=0")
    story = page.url.removeprefix(BASE)
    ann.sees("Hi <script>")
    is_whole(ann)
    ann.go(f"{story}/text")
    ann.sees("Plain <script>window.pwned=1", "<script>window.pwned=1</script>")
    page.click("text=All fields of the header")
    ann.sees("X-Nasty", "<svg/onload=window.pwned=1>")
    ann.shot("hostile-text")
    is_whole(ann)
    ann.go(f"{story}/html")
    frame = page.frame_locator("iframe.mail")
    assert "Dear reader" in frame.locator("body").inner_text()
    assert frame.locator("script, iframe, object, embed, form, input, svg, video, link, base, meta[http-equiv], [onerror], [onload], [style], [background]").count() == 0
    assert frame.locator("a[href]").count() == 0
    frame.locator("text=press me").click()
    frame.locator("text=or me").click()
    ann.shot("hostile-html")
    is_whole(ann)
    # On its own, without the frame around it, it is as powerless.
    answer = ann.go(f"{story}/frame")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox;") and "default-src 'none'" in policy, policy
    is_whole(ann)
    # Pictures are loaded when somebody asks for them, and nothing else is.
    before = len(ann.asked)
    page.route("https://evil.test/**", lambda route: route.fulfill(status=204))
    ann.go(f"{story}/html")
    page.click("text=Load them")
    page.frame_locator("iframe.mail").locator("text=Dear reader").wait_for()
    page.wait_for_load_state("networkidle")
    assert outside(ann.asked[before:]) == ["https://evil.test/pixel.png"], outside(ann.asked[before:])
    assert not ann.dialogs, ann.dialogs
    # Every page says what it may do, and none more than its own style and script.
    for path in ("/admin", "/admin/sign-in", story):
        headers = ann.go(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "'unsafe" not in policy, policy
        assert "frame-ancestors 'none'" in policy, policy
        assert headers["cache-control"] == "no-store" and headers["x-content-type-options"] == "nosniff"
