// What styles alone can't do: say that the page is no longer live, and keep the theme that somebody chose.
"use strict";

const root = document.documentElement;
const THEMES = ["", "light", "dark"]; // "" follows the system

function show(theme) {
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
  const button = document.getElementById("theme");
  if (button) button.textContent = "Theme: " + (theme || "as the system");
}

function kept() {
  try {
    const theme = localStorage.getItem("theme") || "";
    return THEMES.includes(theme) ? theme : "";
  } catch {
    return "";
  }
}

show(kept()); // before the first paint, so that nothing flashes

document.addEventListener("DOMContentLoaded", () => {
  show(kept());
  const live = document.getElementById("live");
  document.body.addEventListener("htmx:sseError", () => {
    if (live.hidden) live.querySelector("time").textContent = new Date().toISOString().slice(11, 19);
    live.hidden = false;
  });
  document.body.addEventListener("htmx:sseOpen", () => {
    live.hidden = true;
  });
  document.getElementById("theme").addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(kept()) + 1) % THEMES.length];
    try {
      localStorage.setItem("theme", next);
    } catch {
      // chosen for this page only
    }
    show(next);
  });
});
