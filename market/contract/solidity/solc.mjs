#!/usr/bin/env node
// The compiler as forge calls it: solc-js behind the two options that forge uses, `--version` and `--standard-json`.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const tools = process.env.GRIDSETTLE_EVM_TOOLS;
if (!tools) throw new Error("GRIDSETTLE_EVM_TOOLS: expected the folder node_modules of the tools, got nothing");
const solc = createRequire(join(tools, "x.js"))("solc");

if (process.argv.includes("--version")) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version().replace(".Emscripten.clang", ".Linux.g++")}`);
} else {
  process.stdout.write(solc.compile(readFileSync(0, "utf8")));
}
