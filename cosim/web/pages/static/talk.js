// Talk to the server: JSON with the page's CSRF token, and answers shown where people and screen readers find them.

const csrf = () => document.querySelector('meta[name="csrf"]').content;

/** Post JSON; returns the answer, or throws what the server says in words. */
export async function post(path, body = {}) {
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": csrf() };
  const options = { method: "POST", headers, body: JSON.stringify(body), credentials: "same-origin" };
  return read(await fetch(path, options));
}

/** Get JSON. */
export const get = async (path) => read(await fetch(path, { headers: { Accept: "application/json" } }));

async function read(answer) {
  const found = await answer.json().catch(() => ({}));
  if (answer.ok) return found;
  const error = new Error(found.error ?? `The server answered ${answer.status}; load the page again.`);
  error.status = answer.status;
  throw error;
}

/** Show a message in an element of role status; `kind` is "good", "bad" or "busy". */
export function say(place, text, kind) {
  place.textContent = text;
  place.className = `said ${kind}`;
}

/** Do something that may fail; what it throws is shown, and controls are locked meanwhile. */
export async function attempt(place, controls, task) {
  controls.forEach((control) => (control.disabled = true));
  say(place, "One moment …", "busy");
  try {
    await task();
  } catch (error) {
    say(place, explain(error), "bad");
  } finally {
    controls.forEach((control) => (control.disabled = false));
  }
}

function explain(error) {
  if (error?.code === 4001 || error?.name === "NotAllowedError") return "You declined, or the time was up. Try again.";
  return error?.message || "That did not work. Try again.";
}
