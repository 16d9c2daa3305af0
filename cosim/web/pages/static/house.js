// Forms of a house that are signed here, in the browser, by the page's own key, before they are sent.

import { findKey, keepPromise, listPromises, signWith } from "./keys.js";
import * as records from "./records.js";
import { makeSubmission, signSubmission } from "./submission.js";
import { attempt, get, post, say } from "./talk.js";

const ATTEMPTS = 3;
const WH_PER_KG = 33330; // of hydrogen, lower heating value
const whole = (form, name, factor = 1) => Math.round(Number(form.elements[name].value || 0) * factor);

/** The record that a form asks for; `next` holds the numbers that the server expects. */
const makers = {
  member: (form, next, key) => records.makeMember({ ...next, publicKey: key.publicKey }),
  grant: (form, next) => records.makeGrant({ ...next, other: whole(form, "other"), until: whole(form, "until") }),
  withdraw: (form, next) => records.makeGrant({ ...next, other: whole(form, "other"), until: 0, withdrawn: true }),
  access: (form, next) => records.makeAccess({ ...next, other: whole(form, "other") }),
  panels: (form, next) => {
    const powerW = whole(form, "power_kw", 1000);
    return records.makeDevice({ ...next, deviceKind: records.DEVICE.panels, powerW, energyWh: 0 });
  },
  battery: (form, next) => {
    const energyWh = whole(form, "energy_kwh", 1000);
    return records.makeDevice({ ...next, deviceKind: records.DEVICE.battery, powerW: next.battery_w, energyWh });
  },
  cell: async (form, next) => {
    const words = new TextEncoder().encode(`gridsettle fuel cell ${form.elements.preset.value}`);
    const datasheet = new Uint8Array(await crypto.subtle.digest("SHA-256", words));
    const energyWh = whole(form, "tank_kg", WH_PER_KG);
    return records.makeDevice({ ...next, deviceKind: records.DEVICE.cell, powerW: next.cell_w, energyWh, datasheet });
  },
  leave: (form, next) => {
    const number = form.elements.number.value; // empty: the house has had it from the first interval
    const status = number === "" ? records.STATUS.leavesUnregistered : records.STATUS.leaves;
    const device = number === "" ? next.device : Number(number);
    const [deviceKind, powerW, energyWh] = ["kind", "power_w", "energy_wh"].map((name) => whole(form, name));
    return records.makeDevice({ ...next, status, device, deviceKind, powerW, energyWh });
  },
};

/** What the numbers of the next statement depend on. */
const queries = {
  battery: (form) => `?battery_wh=${whole(form, "energy_kwh", 1000)}`,
  cell: (form) => `?units=${whole(form, "units")}&preset=${encodeURIComponent(form.elements.preset.value)}`,
};

async function findOwnKey() {
  const key = await findKey(document.body.dataset.key);
  if (key) return key;
  throw new Error(
    "Your key is not in this browser: it never leaves the one in which you joined. Use that one, or ask the operator " +
      "to end the old key.",
  );
}

async function sign(form) {
  const key = await findOwnKey();
  const next = await get(`/house/next${queries[form.dataset.sign]?.(form) ?? ""}`);
  const chain = records.fromHex(next.chain_id);
  const by = (message) => signWith(key, message);
  if (form.dataset.sign === "submission") {
    const record = makeSubmission({ ...readSubmission(form, next), house: next.member });
    return { record: records.toHex(record), signature: records.toHex(await signSubmission(chain, record, by)) };
  }
  const record = await makers[form.dataset.sign](form, next, key);
  const purpose = form.dataset.sign === "member" ? records.PURPOSE.possession : records.PURPOSE.inForce;
  const signed = await records.signRecord(chain, next.member, record, [purpose], by);
  return { records: records.toHex(signed) };
}

function readSubmission(form, next) {
  const automatic = form.elements.way.value === "automatic";
  const sign = form.elements.way.value === "take" ? -1 : 1;
  const limit = form.elements.limit_ct.value.trim();
  return {
    netWh: automatic ? null : sign * whole(form, "energy_kwh", 1000),
    reserveWh: whole(form, "reserve_kwh", 1000),
    ask: whole(form, "ask"),
    limit: limit === "" ? -1 : Math.round(Number(limit) * 1e4),
    number: next.submission_number,
    first: next.interval,
    last: next.interval + Math.max(whole(form, "intervals"), 1) - 1,
  };
}

/** Sign and send; once more where the market went on meanwhile (409). */
async function send(form) {
  for (let k = 1; ; k += 1) {
    try {
      return await post(form.getAttribute("action"), await sign(form));
    } catch (error) {
      if (error.status !== 409 || k === ATTEMPTS) throw error;
    }
  }
}

async function submit(form, place) {
  const answer = await send(form);
  if (answer.promise) await keepPromise({ ...answer.promise, key: document.body.dataset.key });
  say(place, answer.said, "good");
  if (answer.next) setTimeout(() => location.assign(answer.next), 600);
}

for (const form of document.querySelectorAll("form[data-sign]")) {
  const place = form.querySelector('[role="status"]');
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(place, [...form.querySelectorAll("button")], () => submit(form, place));
  });
}

/** Save the operator's promises of this house as a file for `gridsettle ledger promises`. */
async function savePromises(place) {
  const { chain_id: chainId } = await get("/house/next");
  const kept = await listPromises(chainId, document.body.dataset.key);
  const promises = kept.map(({ record, signature }) => ({ record, signature }));
  const text = JSON.stringify({ format: "gridsettle promises v1", chain_id: chainId, promises }, null, 1);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = "promises.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  say(place, `${promises.length} saved.`, "good");
}

const save = document.querySelector("#save-promises");
if (save) {
  const place = document.querySelector("#promises-said");
  save.addEventListener("click", () => attempt(place, [save], () => savePromises(place)));
}
