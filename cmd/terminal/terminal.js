// Draws the page again when a waiting terminal has changed. Without script the page reloads itself instead.
const drawn = document.body.dataset.version;
if (document.body.dataset.waiting) {
  setInterval(async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch("/state", { cache: "no-store" });
      if (answer.ok && (await answer.text()) !== drawn) location.reload();
    } catch {
      // the simulator is away for a moment; the next look will tell
    }
  }, 2000);
}
