// The demo wallet: it announces itself as a wallet does, but anybody can use it. Only with `gridsettle serve --demo`.

import { post } from "./talk.js";

const account = () => Number(document.getElementById("demo-account")?.value ?? 0);
const methods = {
  eth_requestAccounts: async () => [(await post("/demo/account", { account: account() })).address],
  eth_chainId: async () => "0x1",
  personal_sign: async ([message]) =>
    (await post("/demo/sign", { account: account(), message: message.slice(2) })).signature,
};

const provider = {
  async request({ method, params }) {
    if (!methods[method]) throw Object.assign(new Error(`The demo wallet has no ${method}.`), { code: 4200 });
    return methods[method](params ?? []);
  },
};
const info = Object.freeze({
  uuid: "00000000-0000-4000-8000-000000000001",
  name: "Demo wallet – anybody can use it",
  icon: "",
  rdns: "demo.gridsettle",
});

function announce() {
  const detail = Object.freeze({ info, provider });
  window.dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail }));
}

window.addEventListener("eip6963:requestProvider", announce);
announce();
