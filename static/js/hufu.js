// What the pages do better with script. Every page works without it: nothing here submits, moves or hides anything.
"use strict";

// A refused form draws its errors first: say them at once.
document.querySelector(".summary")?.focus();

// On a narrow screen the tabs scroll: show the one that this page belongs to.
document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// What needs script is in the page hidden.
for (const part of document.querySelectorAll("[data-script]")) part.hidden = false;

// Show the password, and say so in the button's own words.
for (const button of document.querySelectorAll("button[data-show]")) {
  const field = document.getElementById(button.dataset.show);
  button.addEventListener("click", () => {
    const shown = field.type === "text";
    field.type = shown ? "password" : "text";
    button.setAttribute("aria-pressed", String(!shown));
    field.focus();
  });
  // A browser must never keep a password as the text of an ordinary field.
  field.form.addEventListener("submit", () => { field.type = "password"; });
}

// Copy what stands in the page.
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.replace(/\s/g, ""));
    button.textContent = button.dataset.done;
  });
}

// Print the page: the style sheet knows what of it belongs on paper.
for (const button of document.querySelectorAll("button[data-print]")) button.addEventListener("click", () => print());

// The seconds that are left, beside the clock time that stands in the text. Not a live region: it would never be silent.
for (const place of document.querySelectorAll("[data-until]")) {
  const until = Date.parse(place.dataset.until);
  const tick = () => {
    const left = Math.max(0, Math.round((until - Date.now()) / 1000));
    place.textContent = Math.floor(left / 60) + ":" + String(left % 60).padStart(2, "0");
    if (left === 0) clearInterval(timer);
  };
  const timer = setInterval(tick, 1000);
  tick();
}

// The second click of a double click would send the form twice, and one would see the second answer only.
for (const form of document.forms) {
  form.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return; // held back by another script, which sends it itself
    if (Date.now() - (form.dataset.sent ?? 0) < 3000) event.preventDefault();
    else form.dataset.sent = Date.now();
  });
}
// Coming back by the back button, the form is new.
addEventListener("pageshow", () => { for (const form of document.forms) delete form.dataset.sent; });
