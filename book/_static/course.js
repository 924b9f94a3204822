// Small helps for readers. Without this file every page can still be read.
"use strict";

// What is wider than its box scrolls inside it. Its edge fades while there is more to the right, and the keyboard
// reaches it. Print uses the width of a formula to make it fit.
const COURSE_BOXES = ".bd-article mjx-container[display], .bd-article span.math, .bd-article pre, " +
  ".bd-article .cell_output, .bd-article .cell_output .output, .bd-article .pst-scrollable-table-container";

function markBox(box) {
  const hidden = box.scrollWidth - box.clientWidth;
  // Up to 3 pixels may be the hat of a letter.
  box.classList.toggle("scrolls-on", hidden > 3 && box.scrollLeft < hidden - 1);
  if (hidden > 3 && !box.hasAttribute("tabindex")) box.tabIndex = 0;
}

// Where there is room, a number and its spread stay on one line; a table that scrolls anyway has room for the names of
// its rows.
function markTable(table) {
  const fits = () => table.offsetWidth <= table.parentElement.clientWidth;
  table.classList.remove("gc-wide");
  table.classList.add("gc-whole");
  if (!fits()) table.classList.remove("gc-whole");
  table.classList.toggle("gc-wide", !fits());
}

function markBoxes() {
  for (const table of document.querySelectorAll(".bd-article table.gc-table")) markTable(table);
  for (const box of document.querySelectorAll(COURSE_BOXES)) {
    if (box.localName === "mjx-container") {
      const formula = box.querySelector("mjx-math");
      const size = parseFloat(getComputedStyle(box).fontSize);
      if (formula && size) box.style.setProperty("--ems", (formula.scrollWidth / size).toFixed(2));
    }
    markBox(box);
  }
}

// A line may end after a formula, and a point or a comma would begin the next one: they are held together.
document.addEventListener("DOMContentLoaded", () => {
  for (const math of document.querySelectorAll(".bd-article span.math")) {
    const before = math.previousSibling?.data?.match(/[([“‘]+$/)?.[0] ?? "";
    const after = math.nextSibling?.data?.match(/^[.,;:!?)\]”’]+/)?.[0] ?? "";
    if (!before && !after) continue;
    const together = document.createElement("span");
    together.className = "gc-together";
    if (before) math.previousSibling.data = math.previousSibling.data.slice(0, -before.length);
    if (after) math.nextSibling.data = math.nextSibling.data.slice(after.length);
    math.before(together);
    together.append(before, math, after);
  }
});

// The style sheet gives room on a phone to cells that hold more than a number or a name.
document.addEventListener("DOMContentLoaded", () => {
  for (const cell of document.querySelectorAll(".bd-article table.gc-table td")) {
    const {length} = cell.textContent;
    cell.classList.toggle("gc-long", length > 30);
    cell.classList.toggle("gc-sentence", length > 60);
  }
});

// An option of a command, such as -m, stays whole.
document.addEventListener("DOMContentLoaded", () => {
  for (const part of document.querySelectorAll(".bd-article code .pre")) {
    part.classList.toggle("gc-option", /^--?[a-z][\w-]{0,12}$/.test(part.textContent));
  }
});

document.addEventListener("scroll", ({target}) => {
  if (target instanceof Element && target.matches(COURSE_BOXES)) markBox(target);
}, {capture: true, passive: true});

window.addEventListener("resize", markBoxes);
document.addEventListener("toggle", markBoxes, true); // what was folded away has its width now
window.addEventListener("load", async () => {
  markBoxes();
  await window.MathJax?.startup?.promise;
  await document.fonts.ready;
  markBoxes();
});

// On paper nothing stays folded away, and a dark page is printed dark on white.
let courseFolded = [];
let courseTheme = null;
window.addEventListener("beforeprint", () => {
  courseFolded = [...document.querySelectorAll(".bd-article details:not([open])")];
  for (const details of courseFolded) details.open = true;
  courseTheme = document.documentElement.dataset.theme;
  if (courseTheme) document.documentElement.dataset.theme = "light";
});
window.addEventListener("afterprint", () => {
  for (const details of courseFolded) details.open = false;
  if (courseTheme) document.documentElement.dataset.theme = courseTheme;
});

// The search compares words without their accents; what it shows around a word must find the word too.
document.addEventListener("DOMContentLoaded", () => {
  if (typeof Search === "undefined") return;
  const plain = (text) => text.toLowerCase().replace(/\p{L}/gu, (letter) => letter.normalize("NFD")[0]);
  const summary = Search.makeSearchSummary;
  Search.makeSearchSummary = (html, words, anchor) => {
    const text = Search.htmlToText(html, anchor), plainText = plain(text);
    const written = [...words].map((word) => {
      const start = plainText.indexOf(plain(word));
      return start < 0 ? word : text.slice(start, start + word.length);
    });
    return summary(html, written, anchor);
  };
});
