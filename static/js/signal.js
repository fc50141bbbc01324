// Tells the authenticator which passkeys of this account are still good and what the account is called now, so that it
// stops offering deleted ones (WebAuthn Level 3, signal methods). Browsers that lack them lose nothing.
"use strict";
{
  const { rpId, userId, allAcceptedCredentialIds, name, displayName } = JSON.parse(document.querySelector("[data-signal]").dataset.signal);
  const browser = window.PublicKeyCredential;
  browser?.signalAllAcceptedCredentials?.({ rpId, userId, allAcceptedCredentialIds }).catch(() => {});
  browser?.signalCurrentUserDetails?.({ rpId, userId, name, displayName }).catch(() => {});
}
