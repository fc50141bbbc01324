// Asks the browser for a passkey and sends its answer in the page's own form, so that the server redirects or refuses as
// with any form. Whatever the browser's prompt ends with leads back to the page, in words that the page brings along.
"use strict";
{
  const form = document.querySelector("form[data-passkey]");
  const creates = form.dataset.passkey === "create";
  const answer = form.elements[creates ? "attestation" : "assertion"];
  const says = form.querySelector("[role=alert]");
  const browser = window.PublicKeyCredential;
  let autofill; // ends the request that waits in the autofill of the name
  let asking = false;
  let fetching; // the request for options that is under way

  const decode = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const encode = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");

  // Browsers read options from JSON since 2023; before, their bytes are unpacked by hand.
  function parse(json) {
    if (creates && browser.parseCreationOptionsFromJSON) return browser.parseCreationOptionsFromJSON(json);
    if (!creates && browser.parseRequestOptionsFromJSON) return browser.parseRequestOptionsFromJSON(json);
    const unpacked = (list) => list?.map((credential) => ({ ...credential, id: decode(credential.id) }));
    const options = { ...json, challenge: decode(json.challenge) };
    if (json.user) options.user = { ...json.user, id: decode(json.user.id) };
    if (json.allowCredentials) options.allowCredentials = unpacked(json.allowCredentials);
    if (json.excludeCredentials) options.excludeCredentials = unpacked(json.excludeCredentials);
    return options;
  }

  function pack(credential) {
    if (credential.toJSON) return credential.toJSON();
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[name]) response[name] = encode(credential.response[name]);
    }
    if (credential.response.getTransports) response.transports = credential.response.getTransports();
    return {
      id: credential.id, rawId: encode(credential.rawId), type: credential.type, response,
      authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
      clientExtensionResults: credential.getClientExtensionResults(),
    };
  }

  async function options(signal) {
    await fetching?.catch(() => {});
    fetching = fetch(form.dataset.options, { method: "POST", headers: { Accept: "application/json" }, credentials: "same-origin", signal });
    const reply = await fetching.finally(() => { fetching = null; });
    if (!reply.ok || reply.redirected) throw reply;
    return parse((await reply.json()).publicKey);
  }

  function send(credential, rpId) {
    answer.value = JSON.stringify(pack(credential));
    // What was typed or ticked beside it goes along; a password never does.
    for (const other of document.querySelectorAll("input[name=identifier], input[name=trust]:checked")) {
      if (other.form === form) continue;
      const copy = document.createElement("input");
      Object.assign(copy, { type: "hidden", name: other.name, value: other.value });
      form.append(copy);
    }
    // If the server does not know it, the next page tells the authenticator.
    if (!creates) sessionStorage.setItem("passkey", JSON.stringify({ rpId, credentialId: credential.id }));
    if (form.requestSubmit) form.requestSubmit();
    else form.submit();
  }

  const words = {
    NotAllowedError: "cancelled", AbortError: "cancelled", InvalidStateError: "known", SecurityError: "site",
    NotSupportedError: "unsupported", ConstraintError: "unsupported",
  };

  function say(word) {
    says.querySelector("p").textContent = says.dataset[word] ?? says.dataset.failed;
    says.hidden = false;
  }

  async function ask() {
    if (asking) return;
    asking = true;
    says.hidden = true;
    try {
      if (!browser) throw new DOMException("", "NotSupportedError");
      const publicKey = await options();
      autofill?.abort();
      const credential = await navigator.credentials[creates ? "create" : "get"]({ publicKey });
      send(credential, publicKey.rpId);
    } catch (trouble) {
      // The flow went on elsewhere, is over or has to wait: the server's page says so. A reload might post again.
      if (trouble.redirected || [409, 410, 429].includes(trouble.status)) return location.replace(location.pathname + location.search);
      say(words[trouble.name]);
      says.focus();
      offer();
    }
    asking = false;
  }

  // The passkey in the autofill of the name. Nobody asked for it, so trouble is silent: the button is there.
  async function offer() {
    if (!("auto" in form.dataset) || !(await browser?.isConditionalMediationAvailable?.())) return;
    const mine = new AbortController();
    autofill = mine;
    try {
      const publicKey = await options(mine.signal);
      // The challenge does not live as long as the page may stand open.
      const renew = publicKey.timeout && setTimeout(() => { mine.abort(); offer(); }, publicKey.timeout * 0.9);
      mine.signal.addEventListener("abort", () => clearTimeout(renew));
      const credential = await navigator.credentials.get({ publicKey, mediation: "conditional", signal: mine.signal });
      clearTimeout(renew);
      send(credential, publicKey.rpId);
    } catch { /* silent */ }
  }

  // Before the form's own listeners: they see a form that is held back.
  document.addEventListener("submit", (event) => {
    // The server takes one request of a flow at a time: a form sent beside the autofill's own request would be lost.
    if (event.target !== form && fetching) {
      const { target, submitter } = event, send = () => (target.requestSubmit ? target.requestSubmit(submitter) : target.submit());
      event.preventDefault();
      fetching.then(send, send);
    }
    if (event.target !== form || answer.value) return;
    event.preventDefault();
    ask();
  }, true);
  // Coming back by the back button, the answer of before is used.
  addEventListener("pageshow", () => { answer.value = ""; asking = false; });

  if ("unknown" in form.dataset && sessionStorage.passkey) {
    browser?.signalUnknownCredential?.(JSON.parse(sessionStorage.passkey)).catch(() => {});
  }
  sessionStorage.removeItem("passkey");

  // What a browser cannot do is not offered, and where nothing else is on the page, it is said.
  if (browser) offer();
  else if ("alone" in form.dataset) say("unsupported");
  else form.closest("[data-script]").hidden = true;
}
