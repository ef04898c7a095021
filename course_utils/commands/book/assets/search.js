"use strict";
// The page of search results. SEARCH_INDEX (search.py): {pages: [{url, title, about, weight,
// sections: [[level, anchor, title, text]]}], terms: [{names, text, anchor, explained}]}.
{
  const ASIDES = /^(exercises|summary|further reading|what you will be able to do)$/;
  const STOP = new Set("a an and are as at be by can do does for from how i in into is it its my of on "
    .concat("or that the this to use was what when where which why will with you").split(" "));
  const HAN = /[\u3400-\u9fff]/;
  const MOST = 25, SECTIONS = 3, BEFORE = 60, AFTER = 170; // pages, sections of each; characters

  // The same text in one spelling, each character where it was: excerpts are cut from the original.
  const plain = (text) => text.toLowerCase().replace(/×/g, "x").replace(/[-‐-–/]/g, " ")
    .replace(/iz(?=(e|ed|er|es|ing|ation|ations)\b)/g, "is");
  const words = (text) => plain(text).match(/[\p{L}\p{N}_]+/gu) ?? [];
  const stem = (word) => (word.length > 3 ? word.replace(/([^s])s$/, "$1") : word);
  // A word counts from its beginning: "norm" finds "normalisation". Of one or two letters, whole.
  const pattern = (list) => new RegExp("(?<![\\p{L}\\p{N}_])" + list.map((word) =>
    stem(word) + (word.length > 2 ? "[\\p{L}\\p{N}_]*" : "(?![\\p{L}\\p{N}_])"))
    .join("[^\\p{L}\\p{N}_]{1,3}"), "gu");
  const count = (text, expression) => text.match(expression)?.length ?? 0;

  const pages = SEARCH_INDEX.pages.map((page) => {
    const title = page.title ?? page.sections[0][2];
    const known = plain(`${title} ${page.sections[0][2]} ${page.about}`);
    const sections = page.sections.map(([level, anchor, title, text]) => ({
      level, title, text, href: page.url + (anchor && `#${anchor}`), aside: ASIDES.test(plain(title)),
      inTitle: plain(title), inText: plain(`${level === 1 ? page.about : ""} ${text}`),
    }));
    return { ...page, title, known, sections };
  });
  // Every name of every term, as words, the longest first: "batch norm" is not a batch.
  const names = SEARCH_INDEX.terms.flatMap((term) => term.names.map((name) => ({
    term, name: plain(name), list: words(name), han: HAN.test(name) })))
    .sort((a, b) => b.name.length - a.name.length);

  // What is looked for: [the words of the query, and again with each term's other names in place of
  // the one used], and the terms that it names. Chinese is turned into English, as the book is.
  function readQuery(query) {
    const terms = new Set();
    let text = plain(query);
    for (const { term, name, han } of names)
      if (han && text.includes(name)) {
        terms.add(term);
        text = text.replaceAll(name, ` ${plain(term.names[0])} `);
      }
    if (terms.size) text = text.replace(/[\u3400-\u9fff，。？！]+/g, " ");
    const all = words(text), telling = all.filter((word) => !STOP.has(word));
    const said = telling.length ? telling : all;
    const phrases = new Map([[said.join(" "), said]]);
    const same = (list, at) => list.every((word, n) => stem(word) === stem(said[at + n] ?? ""));
    const taken = new Set();
    for (const { term, list, han } of names)
      for (let at = 0; !han && at + list.length <= said.length; at++) {
        if (list.some((_, n) => taken.has(at + n)) || !same(list, at)) continue;
        list.forEach((_, n) => taken.add(at + n));
        terms.add(term);
        for (const other of term.names.filter((name) => !HAN.test(name)).map(words)) {
          const swapped = said.toSpliced(at, list.length, ...other);
          phrases.set(swapped.join(" "), swapped);
        }
      }
    return { phrases: [...phrases.values()].filter((list) => list.length), terms: [...terms] };
  }

  // How well a section answers; 0 when a word of the phrase is neither there nor in its page's title.
  function score(section, page, { whole, each, length, built }) {
    const inTitle = count(section.inTitle, whole), inText = count(section.inText, whole);
    const parts = each.map((word) => count(section.inTitle, word) ? 14
      : count(section.inText, word) ? 4 : count(page.known, word) ? 3 : 0);
    if (parts.includes(0)) return 0;
    const share = length / Math.max(1, words(section.inTitle).length);
    const title = inTitle ? 45 + 35 * Math.min(1, share) : parts.reduce((a, b) => a + b) / length;
    const level = inTitle && section.level === 1 ? 15 : 0;
    const code = built.test(section.text) ? 40 : 0;
    return (title + level + code + 4 * Math.min(inText, 6)) * page.weight * (section.aside ? 0.5 : 1);
  }

  function find(query) {
    const { phrases, terms } = readQuery(query);
    const asked = phrases.map((list, n) => ({
      whole: pattern(list), each: list.map((word) => pattern([word])), length: list.length,
      built: RegExp(`\\b(def|class) ${list.join(" ")}\\b`, "i"), // what is looked for by its name in code
      worth: n ? 0.9 : 1, // what was typed before its other names
    }));
    const explained = new Set(phrases.some((list) => terms.some((term) => // nothing but a term
      term.names.some((name) => words(name).map(stem).join() === list.map(stem).join())))
      ? terms.map((term) => term.explained) : []);
    const named = plain(query).trim(); // a section by its very title
    const found = pages.map((page) => {
      const hits = page.sections.map((section) => ({ section, value: Math.max(0, ...asked.map(
        (phrase) => score(section, page, phrase) * phrase.worth))
        + (explained.has(section.href) ? 25 : 0) + (section.inTitle === named ? 60 : 0) })).filter((hit) => hit.value)
        .sort((a, b) => b.value - a.value);
      const rest = hits.slice(1).reduce((sum, hit) => sum + hit.value, 0);
      return { page, hits, value: hits.length ? hits[0].value + Math.min(40, 0.15 * rest) : 0 };
    }).filter((page) => page.value).sort((a, b) => b.value - a.value).slice(0, MOST);
    return { found, terms, words: asked.flatMap(({ whole, each }) => [whole, ...each]) };
  }

  // --- on the page ------------------------------------------------------------------------------

  function h(tag, attributes, ...children) {
    const node = Object.assign(document.createElement(tag), attributes);
    node.append(...children);
    return node;
  }

  // The text around the first thing found, with what was found marked.
  function excerpt(text, looked) {
    const same = plain(text);
    const first = looked.map((word) => same.search(word)).find((at) => at >= 0);
    if (first === undefined) return text.slice(0, AFTER) + (text.length > AFTER ? " …" : "");
    const cut = Math.max(0, first - BEFORE), end = Math.min(text.length, first + AFTER);
    const start = cut && Math.min(first, text.indexOf(" ", cut) + 1 || first);
    const last = end < text.length ? Math.max(text.lastIndexOf(" ", end), first) : end;
    const piece = same.slice(start, last), marks = [];
    for (const word of looked)
      for (const match of piece.matchAll(word))
        if (!marks.some(([a, b]) => match.index < b && match.index + match[0].length > a))
          marks.push([match.index, match.index + match[0].length]);
    marks.sort((a, b) => a[0] - b[0]);
    const parts = [start ? "… " : ""];
    let at = 0;
    for (const [a, b] of marks) {
      parts.push(text.slice(start + at, start + a), h("mark", {}, text.slice(start + a, start + b)));
      at = b;
    }
    return h("span", {}, ...parts, text.slice(start + at, last), last < text.length ? " …" : "");
  }

  function show(query) {
    const results = document.getElementById("search-results");
    results.replaceChildren();
    if (!query.trim()) return;
    const { found, terms, words: looked } = find(query);
    const said = found.length === 1 ? "One page." : `${found.length || "No"} pages.`;
    results.append(h("p", { className: "search-summary", role: "status" }, said));
    results.append(...terms.slice(0, 3).map(({ names, anchor, text }) => h("p", { className: "search-term" },
      h("a", { href: `glossary.html#${anchor}` }, names[0]),
      h("span", { lang: "zh-Hans" }, ` ${names.find((name) => HAN.test(name))} `), text)));
    results.append(h("ol", { className: "search" }, ...found.map(({ page, hits }) => h("li", {},
      h("p", { className: "search-page" }, h("a", { href: hits[0].section.href }, page.title)),
      ...hits.slice(0, SECTIONS).map(({ section }) => h("p", {},
        section.level > 1 ? h("a", { href: section.href }, section.title) : "", " ",
        excerpt(section.text || page.about, looked)))))));
    if (!found.length) results.append(h("p", {}, "Try one word less."));
  }

  const query = new URLSearchParams(location.search).get("q") ?? "";
  for (const input of document.querySelectorAll("form.bd-search input")) {
    input.value = query;
    input.addEventListener("input", () => show(input.value));
  }
  show(query);
}
