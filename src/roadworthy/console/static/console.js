// Makes pages quicker to use; every page works without it, but for what is live.  No page has a script of its own: what
// a page wants it says in data- attributes.
"use strict";

// The menu is open on a wide screen and folded on a phone.
addEventListener("DOMContentLoaded", () => {
  const menu = document.querySelector("details.menu");
  if (menu && matchMedia("(max-width: 46rem)").matches) menu.open = false;
  draw(document);
});

// A part that a person is typing in, or holding a button in, is not replaced under their hands.
addEventListener("htmx:beforeRequest", (event) => {
  const part = event.detail.elt, at = document.activeElement;
  const typing = at && part.contains(at) && at.matches("input:not([type=checkbox]):not([type=radio]), textarea, select");
  if (typing || part.querySelector(".holding, details.fold[open]")) event.preventDefault();
});
// A stream that comes back after a break (control was restarted) may have missed something: every live part is fetched.
let opened = 0;
addEventListener("htmx:sseOpen", () => {
  if (opened++ === 0) return;
  for (const part of document.querySelectorAll("[hx-trigger*='sse:']")) htmx.trigger(part, part.getAttribute("hx-trigger").match(/sse:[a-z_-]+/)[0]);
});
// What came instead of a part (signed out, refused, control away) does not take its place; what a page waited for does.
addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, target } = event.detail;
  if (new URL(xhr.responseURL, location.href).pathname === "/login") { event.detail.shouldSwap = false; location.reload(); return; }
  if (target.id === "main") event.detail.shouldSwap = true, event.detail.isError = false;
  else if (target.id && !xhr.responseText.includes(`id="${target.id}"`)) event.detail.shouldSwap = false;
});
addEventListener("htmx:afterSettle", (event) => draw(event.target));

// data-hold="1200": a button that acts when it has been held for so many milliseconds, by pointer or by key.
const holds = new WeakMap();
function hold(button) {
  if (holds.has(button) || button.disabled) return;
  const time = Number(button.dataset.hold);
  button.style.setProperty("--hold", `${time}ms`);
  button.classList.add("holding");
  holds.set(button, setTimeout(() => { release(button); button.dataset.held = "1"; const sure = button.form.elements.namedItem("sure"); if (sure) sure.value = "held"; button.form.requestSubmit(button); }, time));
}
function release(button) {
  clearTimeout(holds.get(button));
  holds.delete(button);
  button.classList.remove("holding");
}
const holder = (event) => event.target.closest && event.target.closest("button[data-hold]");
addEventListener("pointerdown", (event) => { const button = holder(event); if (button) hold(button); });
for (const kind of ["pointerup", "pointerleave", "pointercancel"])
  addEventListener(kind, (event) => { const button = holder(event); if (button) release(button); }, true);
addEventListener("keydown", (event) => {
  const button = holder(event);
  if (button && (event.key === " " || event.key === "Enter")) { event.preventDefault(); if (!event.repeat) hold(button); }
});
addEventListener("keyup", (event) => { const button = holder(event); if (button) release(button); });
addEventListener("click", (event) => {
  const button = holder(event);
  if (button && !button.dataset.held) event.preventDefault();
}, true);

// data-key="1 g": a button, link or choice that a key presses, while nobody types.  data-key="mod+Enter" also while
// typing.  Enter on a button or link stays its own.
addEventListener("keydown", (event) => {
  const mod = event.metaKey || event.ctrlKey;
  const typing = event.target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select");
  if (event.altKey || (typing && !mod)) return;
  if (event.key === "Enter" && !mod && event.target.closest("a, button, summary")) return;
  const name = (mod ? "mod+" : "") + (event.key === "Enter" ? "Enter" : event.key.toLowerCase());
  const meant = [...document.querySelectorAll("[data-key]")].find((each) => each.dataset.key.split(" ").includes(name) && !each.disabled);
  if (!meant) return;
  event.preventDefault();
  if (meant.matches("input, textarea, select")) meant.focus();
  if (!meant.matches("input:not([type=checkbox]):not([type=radio]), textarea, select")) meant.click();
});

// data-copy="#id": copies what stands there.
addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent.trim());
  button.textContent = "Copied";
});

// Charts: <div data-chart="its series as JSON">.
const units = {
  s: (value) => value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toPrecision(3)} s`,
  usd: (value) => `$${value < 1 ? value.toPrecision(2) : value.toFixed(2)}`,
  share: (value) => `${(value * 100).toPrecision(3)} %`,
  count: (value) => value >= 1e4 ? `${(value / 1e3).toPrecision(3)}k` : String(Math.round(value * 100) / 100),
};
function draw(root) {
  for (const place of root.querySelectorAll("[data-chart]")) {
    if (place.firstChild || !window.uPlot) continue;
    const told = JSON.parse(place.dataset.chart);
    if (!told.x.length) { place.textContent = "Nothing to draw yet."; continue; }
    const style = getComputedStyle(document.documentElement), colour = (name) => style.getPropertyValue(name).trim();
    const colours = ["--live", "--wait", "--bad", "--good", "--dim"].map(colour);
    const show = (unit) => (plot, values) => values.map((value) => value == null ? "" : (units[unit] || String)(value));
    const grid = { stroke: colour("--line"), width: 1 }, unit = told.lines[0].unit;
    const half = told.time === false ? 1 : 43200;  // around a single point, for which uPlot draws three years
    const chart = new uPlot({
      width: place.clientWidth || 600, height: 200,
      scales: { x: { time: told.time !== false, range: (plot, low, high) => told.x.length === 1 ? [told.x[0] - half, told.x[0] + half] : [low, high] } },
      axes: [{ stroke: colour("--dim"), grid }, { stroke: colour("--dim"), grid, values: show(unit), size: 70 }],
      series: [told.time === false ? { label: told.across || "at" } : {}, ...told.lines.map((line, place) => ({
        label: line.name, stroke: colours[place % colours.length], width: 2, spanGaps: false,
        value: (plot, value) => value == null ? "–" : (units[line.unit] || String)(value),
      }))],
    }, [told.x, ...told.lines.map((line) => line.values)], place);
    new ResizeObserver(() => chart.setSize({ width: place.clientWidth, height: 200 })).observe(place);
  }
}
