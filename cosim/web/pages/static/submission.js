// What a house hands in for an interval before its gate closes: the SUBMISSION record of docs/ledger-format.md §4.

import { makeMessage, makeRecord } from "./records.js";

const KIND = 21;
const GIVEN = 1;
const AUTOMATIC = -(2 ** 31);

/** SUBMISSION: net energy to give (above 0) or take, null for what the automatic rule does. */
export function makeSubmission({ house, netWh, reserveWh, ask, limit, number, first, last }) {
  return makeRecord(KIND, GIVEN, (view) => {
    [house, netWh ?? AUTOMATIC, reserveWh, ask, limit].forEach((value, k) => view.setInt32(12 + 4 * k, value, true));
    [number, first, last].forEach((value, k) => view.setUint32(32 + 4 * k, value, true));
  });
}

/** 64 bytes over the chain and the record without its place. */
export const signSubmission = (chainId, record, sign) => sign(makeMessage(chainId, record, "submission"));
