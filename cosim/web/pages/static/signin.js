// Sign in with a wallet (EIP-6963, EIP-4361) or a passkey. Either proof also names the page's own key.

import { findOrMakeKey, keepKey, listKeys, makeKey } from "./keys.js";
import { attempt, post, say } from "./talk.js";

const said = document.getElementById("said");
const list = document.getElementById("wallets");
const controls = () => [...document.querySelectorAll("main button")];
const LONGEST_ICON = 100_000;

/** List a wallet that announced itself; what it says of itself is shown as text alone. */
function listWallet({ info, provider }) {
  const known = [...list.querySelectorAll("button")].some((button) => button.dataset.uuid === String(info.uuid));
  if (known || list.childElementCount >= 20) return;
  document.getElementById("no-wallet").hidden = true;
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.uuid = String(info.uuid);
  if (typeof info.icon === "string" && info.icon.startsWith("data:image/") && info.icon.length < LONGEST_ICON) {
    const icon = Object.assign(document.createElement("img"), { src: info.icon, alt: "", width: 24, height: 24 });
    button.append(icon);
  }
  button.append(String(info.name).slice(0, 40));
  button.addEventListener("click", () => attempt(said, controls(), () => signInWithWallet(provider)));
  const item = document.createElement("li");
  item.append(button);
  list.append(item);
}

async function signInWithWallet(provider) {
  const [address] = await provider.request({ method: "eth_requestAccounts" });
  if (!address) throw new Error("The wallet named no account; unlock it and try again.");
  const key = await findOrMakeKey(`wallet ${address.toLowerCase()}`);
  const { message } = await post("/signin/message", { address, key: key.id });
  say(said, "Read the message in your wallet, and sign it.", "busy");
  const bytes = new TextEncoder().encode(message);
  const encoded = "0x" + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const signature = await provider.request({ method: "personal_sign", params: [encoded, address] });
  enter(await post("/signin/wallet", { message, signature }));
}

async function makePasskey() {
  const key = await makeKey();
  const { nonce, options } = await post("/signin/passkey/new", { key: key.id });
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(options));
  const credential = await navigator.credentials.create({ publicKey });
  await keepKey(key, "passkey");
  enter(await post("/signin/passkey/register", { nonce, key: key.id, credential: credential.toJSON() }));
}

async function usePasskey() {
  const known = (await listKeys("passkey")).sort((a, b) => b.made - a.made);
  const key = known[0] ?? (await makeKey());
  const { nonce, options } = await post("/signin/passkey/known", { key: key.id });
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(options));
  const credential = await navigator.credentials.get({ publicKey });
  if (!known.length) await keepKey(key, "passkey");
  enter(await post("/signin/passkey", { nonce, key: key.id, credential: credential.toJSON() }));
}

function enter({ next }) {
  say(said, "Signed in.", "good");
  location.assign(next);
}

window.addEventListener("eip6963:announceProvider", (event) => listWallet(event.detail));
window.dispatchEvent(new Event("eip6963:requestProvider"));

const passkeys = document.getElementById("passkeys");
if (window.PublicKeyCredential?.parseCreationOptionsFromJSON) {
  document.getElementById("use-passkey").addEventListener("click", () => attempt(said, controls(), usePasskey));
  document.getElementById("make-passkey").addEventListener("click", () => attempt(said, controls(), makePasskey));
} else {
  passkeys.replaceChildren("This browser has no passkeys here.");
}
