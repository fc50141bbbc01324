// While a new password is typed, the server says which rules it meets and how strong it is, by the very check that it must
// pass when it is saved. Without script the page lists the rules, and each one's state once the form was refused.
"use strict";

for (const place of document.querySelectorAll("[data-rules]")) {
  const field = document.getElementById("password");
  const voice = document.getElementById("rules-say");
  let timer, saying, latest = 0;

  const ask = async () => {
    const turn = ++latest;
    const reply = await fetch(place.dataset.rules, { method: "POST", body: new URLSearchParams({ password: field.value }), credentials: "same-origin" }).catch(() => null);
    if (turn !== latest || !reply) return;
    if (reply.status === 429) timer = setTimeout(ask, 1500);
    if (!reply.ok) return;
    const drawn = new DOMParser().parseFromString(await reply.text(), "text/html");
    if (turn !== latest) return;
    place.replaceChildren(...drawn.body.childNodes);
    clearTimeout(saying);
    saying = setTimeout(() => { voice.textContent = place.querySelector("[data-says]")?.dataset.says ?? ""; }, 1000);
  };

  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, 300);
  });
}
