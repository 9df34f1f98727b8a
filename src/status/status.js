// What the status page can do on top of what it does without a script: a theme
// that is chosen, refreshing, and times as they are here.
"use strict";

(() => {
  const REFRESH_MS = 30000;

  // A browser may have no storage for us, or refuse it.
  const recall = (key) => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  };
  const keep = (key, value) => {
    try {
      localStorage.setItem(key, value);
    } catch {
      // It is in force until the page is left.
    }
  };

  const wear = (theme) => {
    if (theme === "light" || theme === "dark") {
      document.documentElement.dataset.theme = theme;
    } else {
      delete document.documentElement.dataset.theme;
    }
  };
  wear(recall("theme"));

  document.addEventListener("DOMContentLoaded", () => {
    const theme = document.getElementById("theme");
    theme.value = document.documentElement.dataset.theme ?? "auto";
    theme.addEventListener("change", () => {
      wear(theme.value);
      keep("theme", theme.value);
    });

    const refresh = document.getElementById("refresh");
    refresh.checked = recall("refresh") === "on";
    refresh.addEventListener("change", () => keep("refresh", refresh.checked ? "on" : "off"));
    setInterval(() => {
      // Not while somebody types, reads what they opened, or looks elsewhere.
      const busy = document.activeElement?.closest("form") || document.querySelector("details[open]");
      if (refresh.checked && !busy && !document.hidden) {
        location.reload();
      }
    }, REFRESH_MS);

    for (const time of document.querySelectorAll("time[datetime]")) {
      const here = new Date(time.dateTime);
      if (!Number.isNaN(here.getTime())) {
        time.title = here.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
      }
    }

    document.getElementById("settings").hidden = false;
  });
})();
