// Enhances the status page, which works without a script: a theme, automatic refresh, ages that
// keep growing, tooltips with local times, and a key for the search.
"use strict";

(() => {
  const REFRESH_INTERVAL_SECONDS = 30;

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

  // The same format as in duration.rs.
  const UNITS = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
  const WHOLE_DAYS_FROM_SECONDS = 10 * 86400;
  const formatDuration = (seconds) => {
    const found = UNITS.findIndex(([unit]) => seconds >= unit);
    const largest = found < 0 ? UNITS.length - 1 : found;
    const [unit, symbol] = UNITS[largest];
    const text = `${Math.floor(seconds / unit)}${symbol}`;
    const [nextUnit, nextSymbol] = UNITS[largest + 1] ?? [];
    const rest = nextUnit === undefined || seconds >= WHOLE_DAYS_FROM_SECONDS ? 0 : Math.floor((seconds % unit) / nextUnit);
    return rest > 0 ? `${text} ${rest}${nextSymbol}` : text;
  };
  const formatAge = (seconds) => {
    if (seconds < -60) return `in ${formatDuration(Math.floor(-seconds))}`;
    return seconds < 0 ? "just now" : `${formatDuration(Math.floor(seconds))} ago`;
  };

  const showTimes = (asOf, secondsOnPage) => {
    // Ages are relative to the clock of the server, because that of the browser may be wrong.
    const now = Date.parse(asOf.dateTime) / 1000 + secondsOnPage;
    for (const time of document.querySelectorAll("time[datetime]")) {
      const age = time.querySelector(".ago");
      const text = age && formatAge(now - Date.parse(time.dateTime) / 1000);
      if (age && age.textContent !== text) age.textContent = text;
    }
  };

  // Do not reload while the reader edits the filter, reads details or selects text.
  const busyWith = () => {
    if (document.activeElement?.closest("form")) return "the filter is being edited";
    if (document.querySelector("details[open]")) return "details are open";
    if (document.getSelection()?.isCollapsed === false) return "text is selected";
    return null;
  };

  document.addEventListener("DOMContentLoaded", () => {
    const loadedAt = Date.now();

    const theme = document.getElementById("theme");
    theme.value = document.documentElement.dataset.theme ?? "auto";
    theme.addEventListener("change", () => {
      applyTheme(theme.value);
      save("theme", theme.value);
    });

    for (const time of document.querySelectorAll("time[datetime]")) {
      const local = new Date(time.dateTime);
      if (!Number.isNaN(local.getTime())) {
        time.title = `${local.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" })}\n${time.title}`;
      }
    }

    const asOf = document.getElementById("as-of");
    const countdown = document.getElementById("countdown");
    const refresh = document.getElementById("refresh");
    document.getElementById("settings").hidden = false;
    // A page about something that does not exist is not refreshed.
    if (asOf === null) return;
    const tick = () => {
      const secondsOnPage = Math.max(0, Math.floor((Date.now() - loadedAt) / 1000));
      showTimes(asOf, secondsOnPage);
      const remaining = REFRESH_INTERVAL_SECONDS - secondsOnPage;
      let text = ` (${formatDuration(secondsOnPage)} ago)`;
      if (refresh.checked && remaining > 0) {
        text += `, refreshes in ${remaining}s`;
      } else if (refresh.checked) {
        const reason = busyWith();
        text += reason === null ? ", refreshing" : `, not refreshed while ${reason}`;
        if (reason === null && !document.hidden) {
          location.reload();
        }
      }
      countdown.textContent = text;
    };
    refresh.checked = load("refresh") !== "off";
    refresh.addEventListener("change", () => {
      save("refresh", refresh.checked ? "on" : "off");
      tick();
    });
    document.addEventListener("visibilitychange", tick);
    setInterval(tick, 1000);
    tick();

    document.addEventListener("keydown", (event) => {
      const isTyping = event.target.closest?.("input, select, textarea, [contenteditable]");
      if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !isTyping) {
        const search = document.getElementById("q");
        if (search === null) return;
        event.preventDefault();
        search.select();
        search.focus();
      }
    });

    document.getElementById("refresh-setting").hidden = false;
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
