#!/usr/bin/env node
// Compile every contract that can be deployed to ../compiled/NAME.json: ABI, bytecode, digest of the sources.
// node compile.mjs           writes
// node compile.mjs --check   compares bytes, exit code 1 where they differ
// The tools are in the folder GRIDSETTLE_EVM_TOOLS, a node_modules, or in node_modules here.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const tools = process.env.GRIDSETTLE_EVM_TOOLS ?? join(here, "node_modules");
const solc = createRequire(join(resolve(tools), "x.js"))("solc");
const compiled = join(here, "..", "compiled");
const LARGEST = 24576; // EIP-170

const names = readdirSync(here).filter((name) => name.endsWith(".sol")).sort();
const texts = Object.fromEntries(names.map((name) => [name, readFileSync(join(here, name), "utf8")]));
const output = JSON.parse(solc.compile(JSON.stringify({
  language: "Solidity",
  sources: Object.fromEntries(names.map((name) => [name, { content: texts[name] }])),
  settings: {
    evmVersion: "cancun",
    viaIR: true,
    optimizer: { enabled: true, runs: 200 },
    metadata: { bytecodeHash: "none", appendCBOR: false },
    outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode"] } },
  },
})));
const wrong = (output.errors ?? []).map((each) => each.formattedMessage);
if (wrong.length) {
  console.error(wrong.join("\n"));
  process.exit(1);
}

function collect(name, seen = new Set()) {
  if (!seen.has(name)) {
    seen.add(name);
    for (const [, other] of texts[name].matchAll(/^import .*"\.\/(.+?)";$/gm)) collect(other, seen);
  }
  return seen;
}

let differs = false;
mkdirSync(compiled, { recursive: true });
for (const name of names) {
  const contract = output.contracts[name]?.[name.replace(/\.sol$/, "")];
  const isDeployed = contract?.evm.bytecode.object && !new RegExp(`^library ${name.replace(/\.sol$/, "")}`, "m").test(texts[name]);
  if (!isDeployed) continue;
  const digest = createHash("sha256");
  for (const each of [...collect(name)].sort()) digest.update(texts[each]);
  const { object, immutableReferences } = contract.evm.deployedBytecode;
  const places = Object.values(immutableReferences ?? {}).flat().map(({ start, length }) => [start, length]);
  const built = {
    abi: contract.abi,
    bytecode: "0x" + contract.evm.bytecode.object,
    runtime: "0x" + object, // what stands on a chain, but for the immutable values at these places
    immutables: places.sort(([a], [b]) => a - b),
    sha256_of_source: digest.digest("hex"),
  };
  const path = join(compiled, name.replace(/\.sol$/, ".json"));
  const text = JSON.stringify(built, null, 1) + "\n";
  const size = object.length / 2;
  if (!process.argv.includes("--check")) writeFileSync(path, text);
  else if (!existsSync(path) || readFileSync(path, "utf8") !== text) {
    console.error(`${path}: expected what the sources compile to, got other bytes; run node compile.mjs`);
    differs = true;
  }
  console.log(`${name}: ${size} bytes of at most ${LARGEST}`);
  if (size > LARGEST) differs = true;
}
process.exit(differs ? 1 : 0);
