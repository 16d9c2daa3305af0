// Follow the market: every block that is written is announced, and the page's figures are loaded again.

const place = document.getElementById("newest");

/** Take the parts marked `data-live` from a fresh copy of this page; what a person is typing in stays. */
async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const newer = fresh.getElementById(part.id);
    if (newer && !part.contains(document.activeElement)) part.replaceWith(document.importNode(newer, true));
  }
}

function show(event) {
  const { interval, height } = JSON.parse(event.data);
  if (place) place.textContent = `block ${height}, interval ${interval}`;
  clearTimeout(show.waiting);
  show.waiting = setTimeout(refresh, 150);
}

if (document.querySelector("[data-live]")) {
  const source = new EventSource("/events");
  source.addEventListener("interval", show);
  window.addEventListener("pagehide", () => source.close());
}
