// Opened from disk, a page may not read other files: show search results without excerpts.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// Paper is white, whatever the screen shows.
const page = document.documentElement.dataset;
let onScreen;
addEventListener("beforeprint", () => ([onScreen, page.theme] = [page.theme, "light"]));
addEventListener("afterprint", () => (page.theme = onScreen));
