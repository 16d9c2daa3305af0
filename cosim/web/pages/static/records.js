// Records of the ledger, byte by byte as docs/ledger-format.md §4 has them: 72 bytes, little-endian.

export const SIZE = 72;
const KIND = { member: 32, device: 35, grant: 36, access: 37, signature: 40 };
export const PURPOSE = { inForce: 1, possession: 2 };
export const DEVICE = { panels: 1, battery: 2, cell: 3 };
export const STATUS = { joins: 1, leaves: 2, leavesUnregistered: 3 };
const PARTICIPANT = 2;

/** Make a record: its kind and status, and whatever `fill(view, bytes)` puts behind the first 12 bytes. */
export function makeRecord(kind, status, fill) {
  const bytes = new Uint8Array(SIZE);
  bytes[0] = kind;
  bytes[1] = status;
  fill(new DataView(bytes.buffer), bytes);
  return bytes;
}

/** MEMBER: a house's first key, from the block of height `effective` on. */
export function makeMember({ member, number, effective, publicKey }) {
  return makeRecord(KIND.member, 0, (view, bytes) => {
    view.setInt32(12, member, true);
    view.setInt32(16, PARTICIPANT, true);
    view.setUint32(20, number, true);
    view.setBigUint64(32, BigInt(effective), true);
    bytes.set(publicKey, 40);
  });
}

/** DEVICE: one joins or leaves; `datasheet` is the SHA-256 of its description, zeros where there is none. */
export function makeDevice({ member, number, device, deviceKind, bus, powerW, energyWh, status, datasheet }) {
  return makeRecord(KIND.device, status ?? STATUS.joins, (view, bytes) => {
    const fields = [member, number, device, deviceKind, bus, powerW, energyWh];
    fields.forEach((value, k) => view.setInt32(12 + 4 * k, value, true));
    if (datasheet) bytes.set(datasheet, 40);
  });
}

/** GRANT: `other` may read my records before interval `until` (0: without end), or no longer. */
export function makeGrant({ member, number, other, until, withdrawn }) {
  return makePermission(KIND.grant, withdrawn ? 2 : 1, member, number, other, until);
}

/** ACCESS: I have read the records of `other`. */
export function makeAccess({ member, number, other }) {
  return makePermission(KIND.access, 0, member, number, other, 0);
}

function makePermission(kind, status, member, number, other, until) {
  return makeRecord(kind, status, (view) => {
    view.setInt32(12, member, true);
    view.setUint32(16, number, true);
    view.setInt32(20, other, true);
    view.setUint32(24, until, true);
  });
}

/** What a member signs: the chain, and the record without its place (§7). */
export function makeMessage(chainId, record, what = "statement") {
  const words = new TextEncoder().encode(`gridsettle ${what} v1\0`);
  const message = new Uint8Array(words.length + chainId.length + SIZE);
  message.set(words);
  message.set(chainId, words.length);
  message.set(record, words.length + chainId.length);
  message.fill(0, words.length + chainId.length + 4, words.length + chainId.length + 12);
  return message;
}

/** The record and the two halves of each of its signatures, as one run of bytes. */
export async function signRecord(chainId, member, record, purposes, sign) {
  const signature = await sign(makeMessage(chainId, record));
  const halves = purposes.flatMap((purpose) => [0, 1].map((half) => makeHalf(member, purpose, half, signature)));
  const all = new Uint8Array(SIZE * (1 + halves.length));
  [record, ...halves].forEach((each, k) => all.set(each, k * SIZE));
  return all;
}

function makeHalf(signer, purpose, half, signature) {
  return makeRecord(KIND.signature, purpose, (view, bytes) => {
    view.setUint16(2, half, true);
    view.setInt32(12, signer, true);
    bytes.set(signature.subarray(32 * half, 32 * half + 32), 40);
  });
}

export const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
export const fromHex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
