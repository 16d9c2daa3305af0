// Follow the market: every block that is written is announced, and the page's figures are loaded again.

const ends = new WeakMap();

/** Count the seconds down that are left until the gate closes, from when the page was made. */
function countDown() {
  for (const part of document.querySelectorAll("[data-seconds]")) {
    if (!ends.has(part)) ends.set(part, performance.now() + 1000 * Number(part.dataset.seconds));
    part.textContent = String(Math.max(Math.round((ends.get(part) - performance.now()) / 1000), 0));
  }
}

const twice = (number) => String(number).padStart(2, "0");

/** Say every time in the zone of this browser too, beside UTC; the date as well where it is another. */
function tellLocalTimes() {
  for (const part of document.querySelectorAll("time[datetime]:not([data-told])")) {
    const at = new Date(part.dateTime);
    part.dataset.told = "";
    if (Number.isNaN(at.getTime()) || at.getTimezoneOffset() === 0) continue;
    const date = `${at.getFullYear()}-${twice(at.getMonth() + 1)}-${twice(at.getDate())}`;
    const days = "short" in part.dataset ? date.slice(5) : date;
    const shown = `${part.dateTime.startsWith(date) ? "" : `${days} `}${twice(at.getHours())}:${twice(at.getMinutes())}`;
    const text = `(${shown}${"short" in part.dataset ? "" : " your time"})`;
    part.append(" ", Object.assign(document.createElement("span"), { className: "local", textContent: text }));
  }
}

/** Take the parts marked `data-live` from a fresh copy of this page; what a person is typing in stays. */
async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  if ("over" in fresh.body.dataset && !("over" in document.body.dataset)) return location.reload(); // no form is left
  for (const part of document.querySelectorAll("[data-live]")) {
    const newer = fresh.getElementById(part.id);
    if (newer && !part.contains(document.activeElement)) part.replaceWith(document.importNode(newer, true));
  }
  countDown();
  tellLocalTimes();
  watchBusy();
}

/** Look again soon where something is under way that no block will announce: an audit. */
function watchBusy() {
  if (document.querySelector("[data-busy]")) setTimeout(refresh, 1000);
}

// A little later, so that not all pages ask at once; a page that nobody looks at waits until somebody does.
const SOON_MS = 100;
const SPREAD_MS = 400;
let waiting;
let stale = false;
function refreshSoon() {
  stale = document.hidden;
  clearTimeout(waiting);
  if (!stale) waiting = setTimeout(refresh, SOON_MS + Math.random() * SPREAD_MS);
}

// The page says up to which block it was made: whatever comes after is news.
if (document.querySelector("[data-live]")) {
  const source = new EventSource(`/events?after=${document.body.dataset.height}`);
  ["interval", "block"].forEach((news) => source.addEventListener(news, refreshSoon));
  document.addEventListener("visibilitychange", () => stale && refreshSoon());
  window.addEventListener("pagehide", () => source.close());
}

tellLocalTimes();
watchBusy();
countDown();
setInterval(countDown, 1000);
