// The console is whole without this. It renews what says so, and ticks all boxes at once.
"use strict";

// On a phone the sections are a row that is longer than the screen.
document.querySelector(".top nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });

// <div data-renew="10">: every so many seconds its content is taken from the page anew.
for (const part of document.querySelectorAll("[data-renew]")) {
  const wait = Number(part.dataset.renew) * 1000;
  const renew = async () => {
    const isRead = document.hidden || part.contains(document.activeElement) || part.querySelector("details[open]");
    if (!isRead) {
      try {
        const answer = await fetch(location.href, { headers: { "X-Renewed": "1" }, redirect: "manual" });
        if (answer.type === "opaqueredirect") { location.reload(); return; }
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page.getElementById(part.id);
        if (answer.ok && fresh) {
          part.replaceChildren(...fresh.childNodes);
          // What it waited for is over: what stands around it is another thing now.
          if (!fresh.dataset.renew) { location.reload(); return; }
        }
      } catch {
        // The server is gone for a moment; the next time tells.
      }
    }
    setTimeout(renew, wait);
  };
  setTimeout(renew, wait);
}

// <input type=checkbox data-all="name">: ticks all boxes of that name in its form.
for (const all of document.querySelectorAll("input[data-all]")) {
  const boxes = () => all.form.querySelectorAll(`input[name="${all.dataset.all}"]`);
  all.hidden = false;
  if (all.labels[0]) all.labels[0].hidden = false;
  all.addEventListener("change", () => boxes().forEach((box) => { box.checked = all.checked; }));
}
