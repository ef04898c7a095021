// Opened from disk, a page may not read other files: show search results without excerpts.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// Paper is white, whatever the screen shows.
const page = document.documentElement.dataset;
let onScreen;
addEventListener("beforeprint", () => ([onScreen, page.theme] = [page.theme, "light"]));
addEventListener("afterprint", () => (page.theme = onScreen));

// What is folded away on a screen is there on paper; hints and solutions stay closed.
const folds = "details.fold, details.hide";
addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll(folds)) fold.open = true;
});
