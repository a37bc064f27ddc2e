"use strict";
// Served pages ask every two seconds whether the site has a newer state, and load themselves again.
(() => {
  const shown = document.currentScript.dataset.state;
  const ask = async () => {
    try {
      const answer = await fetch("/state", { cache: "no-store" });
      if (answer.ok && (await answer.text()).trim() !== shown) location.reload();
    } catch {
      // the server went away: the page stays as it is
    }
  };
  setInterval(ask, 2000);
})();
