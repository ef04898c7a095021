// The theme decides between light and dark when all is read; by then the page has been painted.
const page = document.documentElement.dataset;
if (page.theme === "auto")
  page.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";

// Paper is white, whatever the screen shows.
let onScreen;
addEventListener("beforeprint", () => ([onScreen, page.theme] = [page.theme, "light"]));
addEventListener("afterprint", () => (page.theme = onScreen));

// What is folded away on a screen is there on paper; hints and solutions stay closed.
const folds = "details.fold, details.hide";
addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll(folds)) fold.open = true;
});

// A formula that is copied becomes the TeX that it was made from.
addEventListener("copy", (event) => {
  const part = getSelection().rangeCount ? getSelection().getRangeAt(0).cloneContents() : null;
  const formulas = part?.querySelectorAll("mjx-container") ?? [];
  if (!formulas.length) return;
  for (const formula of formulas) {
    const fence = formula.hasAttribute("display") ? "$$" : "$";
    formula.replaceWith(fence + formula.dataset.tex + fence);
  }
  event.clipboardData.setData("text/plain", part.textContent);
  event.preventDefault();
});

// A figure opens large above the page instead of leaving it; Escape, the button or a tap closes it.
addEventListener("click", (event) => {
  const link = event.target.closest("a.image-reference");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const shown = [...link.querySelectorAll("img")].find((image) => image.checkVisibility());
  const box = Object.assign(document.createElement("dialog"), { className: "lightbox" });
  box.setAttribute("aria-label", shown.alt);
  const close = Object.assign(document.createElement("button"), { textContent: "Close" });
  const picture = Object.assign(new Image(), { src: shown.src, alt: shown.alt });
  picture.width = shown.getAttribute("width") || shown.naturalWidth;
  box.append(close, picture);
  box.addEventListener("click", () => box.close());
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
});

const scrolls = (box) => box.scrollWidth > box.clientWidth + 1;
function settle() {
  // Only what scrolls is a stop of the Tab key.
  const wide = ".highlight pre, .cell_output pre, div.math, div.math mjx-container";
  for (const box of document.querySelectorAll(wide))
    if (scrolls(box)) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  for (const { shadowRoot } of document.querySelectorAll("[data-state]"))
    for (const table of shadowRoot?.querySelectorAll(".scroll") ?? [])
      table.classList.toggle("cut", scrolls(table));
}
for (const change of ["load", "resize"]) addEventListener(change, settle);
addEventListener("toggle", settle, true); // what was folded away has no width
