// The page's own Ed25519 keys: made by the browser, kept in IndexedDB, and never readable, not even by this page.
// Beside them the operator's promises: signed acknowledgements of what was handed in.

import { toHex } from "./records.js";

const STORE = "keys";
const PROMISES = "promises";

function openKeys() {
  return new Promise((resolve, reject) => {
    const asked = indexedDB.open("gridsettle", 2);
    asked.onupgradeneeded = (event) => {
      if (event.oldVersion < 1) asked.result.createObjectStore(STORE, { keyPath: "id" });
      asked.result.createObjectStore(PROMISES, { keyPath: "record" });
    };
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}

async function use(mode, ask, name = STORE) {
  const database = await openKeys();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(name, mode, { durability: "strict" });
      const asked = ask(transaction.objectStore(name));
      transaction.oncomplete = () => resolve(asked.result);
      transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

/** The key with this public half, in hexadecimal; undefined if this browser does not have it. */
export const findKey = (id) => use("readonly", (store) => store.get(id));

/** All keys of this browser whose owner begins with `kind`. */
export async function listKeys(kind) {
  return (await use("readonly", (store) => store.getAll())).filter((key) => key.owner.startsWith(kind));
}

/** Keep a key under its owner: "wallet 0x…" or "passkey …". */
export const keepKey = (key, owner) => use("readwrite", (store) => store.put({ ...key, owner }));

/** The newest key of an owner; a new one, kept, if there is none. */
export async function findOrMakeKey(owner) {
  const known = (await listKeys(owner)).sort((a, b) => b.made - a.made);
  if (known.length) return known[0];
  const key = await makeKey();
  await keepKey(key, owner);
  return { ...key, owner };
}

/** A new key that cannot be taken out of this browser. */
export async function makeKey() {
  let pair;
  try {
    pair = await crypto.subtle.generateKey({ name: "Ed25519" }, false, ["sign", "verify"]);
  } catch {
    throw new Error("This browser cannot make Ed25519 keys here: use a current one, by https or on this machine.");
  }
  const publicKey = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  return { id: toHex(publicKey), publicKey, privateKey: pair.privateKey, made: Date.now() };
}

/** Sign bytes with a key; 64 bytes. */
export async function signWith(key, message) {
  return new Uint8Array(await crypto.subtle.sign({ name: "Ed25519" }, key.privateKey, message));
}

/** Keep a promise of the operator: {record, signature} in hexadecimal, and the chain and key that it belongs to. */
export const keepPromise = (promise) => use("readwrite", (store) => store.put(promise), PROMISES);

/** Promises on a chain to the owner of a key. */
export async function listPromises(chainId, keyId) {
  const all = await use("readonly", (store) => store.getAll(), PROMISES);
  return all.filter((each) => each.chain_id === chainId && each.key === keyId);
}
