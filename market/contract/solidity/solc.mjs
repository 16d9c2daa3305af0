#!/usr/bin/env node
// The compiler as forge calls it: solc-js behind the two options that forge uses, `--version` and `--standard-json`.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const tools = process.env.GRIDSETTLE_EVM_TOOLS ?? join(here, "node_modules");
const solc = createRequire(join(resolve(tools), "x.js"))("solc");

if (process.argv.includes("--version")) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version().replace(".Emscripten.clang", ".Linux.g++")}`);
} else {
  process.stdout.write(solc.compile(readFileSync(0, "utf8")));
}
