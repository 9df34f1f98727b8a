// Enhances the status page, which works without a script: selecting a theme, automatic
// refresh, and tooltips with local times.
"use strict";

(() => {
  const REFRESH_INTERVAL_MS = 30000;

  // A browser may deny access to its storage.
  const load = (key) => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  };
  const save = (key, value) => {
    try {
      localStorage.setItem(key, value);
    } catch {
      // Without storage, the setting lasts until the reader leaves the page.
    }
  };

  const applyTheme = (theme) => {
    if (theme === "light" || theme === "dark") {
      document.documentElement.dataset.theme = theme;
    } else {
      delete document.documentElement.dataset.theme;
    }
  };
  applyTheme(load("theme"));

  document.addEventListener("DOMContentLoaded", () => {
    const theme = document.getElementById("theme");
    theme.value = document.documentElement.dataset.theme ?? "auto";
    theme.addEventListener("change", () => {
      applyTheme(theme.value);
      save("theme", theme.value);
    });

    const refresh = document.getElementById("refresh");
    refresh.checked = load("refresh") === "on";
    refresh.addEventListener("change", () => save("refresh", refresh.checked ? "on" : "off"));
    setInterval(() => {
      // Do not reload while the filter is being edited, details are open, or the tab is hidden.
      const busy = document.activeElement?.closest("form") || document.querySelector("details[open]");
      if (refresh.checked && !busy && !document.hidden) {
        location.reload();
      }
    }, REFRESH_INTERVAL_MS);

    for (const time of document.querySelectorAll("time[datetime]")) {
      const local = new Date(time.dateTime);
      if (!Number.isNaN(local.getTime())) {
        time.title = local.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
      }
    }

    document.getElementById("settings").hidden = false;
  });
})();

// Buttons that copy a command or a document. Without a script they are not shown.
(() => {
  const FEEDBACK_MS = 2000;

  // The clipboard API exists only over HTTPS and on localhost. Elsewhere, the text is selected and
  // copied like a reader would.
  const copy = async (source) => {
    try {
      await navigator.clipboard.writeText(source.textContent);
      return true;
    } catch {
      const selection = getSelection();
      selection.selectAllChildren(source);
      return document.execCommand("copy");
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    for (const button of document.querySelectorAll(".to-copy > .copy")) {
      button.hidden = false;
      button.setAttribute("aria-live", "polite");
      button.addEventListener("click", async () => {
        const copied = await copy(button.parentElement.querySelector("code"));
        button.textContent = copied ? "Copied" : "Press Ctrl-C";
        setTimeout(() => {
          button.textContent = "Copy";
        }, FEEDBACK_MS);
      });
    }
  });
})();
