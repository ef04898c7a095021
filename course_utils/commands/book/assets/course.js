// Paper is white, whatever the screen shows.
const page = document.documentElement.dataset;
let onScreen;
addEventListener("beforeprint", () => ([onScreen, page.theme] = [page.theme, "light"]));
addEventListener("afterprint", () => (page.theme = onScreen));

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
