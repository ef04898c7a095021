// What all explorers share. An explorer is a custom element, <course-window data-state='{…}'>.
// Its inside is a shadow tree, so that the styles of the page around it do not reach in. All that
// it shows follows from `state`: controls and keys change the state, `draw` shows it.
window.courseExplorers ??= (() => {
  const SVG = new Set("svg g rect path polygon circle line text".split(" "));

  // An element: h("button", { class: "big", onclick: act }, "Play"). null and false set nothing.
  function h(tag, attributes = {}, ...children) {
    const node = SVG.has(tag)
      ? document.createElementNS("http://www.w3.org/2000/svg", tag)
      : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value != null && value !== false) node.setAttribute(name, value);
    }
    node.append(...children.flat(Infinity).filter((child) => child != null));
    return node;
  }

  // A picture, `width` wide on the page. What it shows is said in words beside it.
  const drawing = (width, viewBox, ...parts) =>
    h("svg", { width, viewBox: viewBox.join(" "), "aria-hidden": "true" }, parts);

  // A table that scrolls in itself where the page is narrow.
  const table = (label, words, body) =>
    h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": label },
      h("table", {}, h("thead", {}, h("tr", {}, words.map((word) => h("th", {}, word)))), body));

  const range = (n, start = 0) => Array.from({ length: Math.max(0, n) }, (_, i) => start + i);
  const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
  const fromKeys = (keys, value) => Object.fromEntries(keys.map((key) => [key, value(key)]));

  // 1 -> "1", -0.25 -> "−0.25", 1/3 -> "0.3333", -Infinity -> "−∞"
  function show(value, digits = 4) {
    const text = Number.isFinite(value) ? String(Number(value.toFixed(digits))) : String(value);
    return text.replace("-", "−").replace("Infinity", "∞");
  }

  const count = (value) => value.toLocaleString("en"); // 1234 -> "1,234"

  // Outputs along one axis of n pixels, as `out_size` in chapter 01.
  const outSize = (n, k, stride, padding, dilation = 1) =>
    Math.floor((n + 2 * padding - dilation * (k - 1) - 1) / stride) + 1;

  // keys: what each key does. Such a key goes no further: the page would scroll by it.
  function onKeys(node, keys) {
    node.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
      event.preventDefault();
      event.stopPropagation();
      keys[event.key]();
    });
  }

  // act() when something was typed: at the end, or with Enter, which JupyterLab would take away.
  function onTyped(input, act) {
    input.addEventListener("change", act);
    onKeys(input, { Enter: act });
  }

  // act(event) when a mouse or a finger comes down on `node`, and while it moves there; hover: a
  // mouse need not be pressed.
  function onPoint(node, act, hover = false) {
    node.addEventListener("pointerdown", (event) => {
      node.setPointerCapture(event.pointerId);
      act(event);
    });
    node.addEventListener("pointermove", (event) => (hover || event.buttons) && act(event));
  }

  class Explorer extends HTMLElement {
    static observedAttributes = ["data-state"];
    static start = {}; // the state where data-state says nothing

    connectedCallback() {
      if (this.shadowRoot) return; // only moved: JupyterLab does so when it scrolls
      this.dataset.lmSuppressShortcuts = "true"; // JupyterLab's own keys stay out of here
      this.syncs = []; // each brings one control up to date with the state
      this.attachShadow({ mode: "open" });
      this.add(h("style", {}, window.courseExplorers.style));
      this.state = structuredClone(this.constructor.start);
      Object.assign(this.state, JSON.parse(this.dataset.state ?? "{}"));
      this.build();
      this.update();
    }

    attributeChangedCallback(name, before, after) {
      if (this.shadowRoot && before !== after) this.update(JSON.parse(after));
    }

    // Change the state and show it. `build` and `draw` are each explorer's own.
    update(changes = {}) {
      Object.assign(this.state, changes);
      this.draw();
      for (const sync of this.syncs) sync();
    }

    add(...nodes) {
      this.shadowRoot.append(...nodes);
    }

    // Fill `node` anew; the controls that were in it are forgotten.
    refill(node, make) {
      this.syncs = this.syncs.filter((sync) => sync.of !== node);
      const before = this.syncs.length;
      node.replaceChildren(...make());
      for (const sync of this.syncs.slice(before)) sync.of = node;
    }

    // Draw again whenever `node` gets another width; `this.width` is the one that is drawn for.
    follow(node) {
      new ResizeObserver(() => node.clientWidth !== this.width && this.update()).observe(node);
    }

    // What a person points at, or moves in by keys.
    stage(label, keys, ...parts) {
      const named = { tabindex: 0, role: "application", "aria-label": label };
      const node = h("div", { class: "row", ...named }, parts);
      onKeys(node, keys);
      return node;
    }

    // Bring what lies from left to right, in pixels, of a stage that scrolls into sight.
    reveal(stage, left, right) {
      stage.scrollLeft = clamp(stage.scrollLeft, right - stage.clientWidth, left);
    }

    button(label, onclick, attributes = {}) {
      return h("button", { type: "button", onclick, ...attributes }, label);
    }

    // A whole number from min to max, which get() reads and set(number) changes.
    input(name, [min, max], get, set) {
      const input = h("input", { type: "number", min, max, "aria-label": name });
      const value = () => clamp(Math.round(Number(input.value)) || 0, min, max);
      onTyped(input, () => set(value()));
      this.syncs.push(() => (input.value = get()));
      return input;
    }

    // The same with its name before it, and with buttons for fingers; Tab passes them by, since
    // the input has the arrow keys.
    number(name, limits, get, set) {
      const button = (sign, by) =>
        this.button(sign, () => set(clamp(get() + by, ...limits)), {
          tabindex: -1, "aria-label": `${name} ${sign}1`,
        });
      const input = this.input(name, limits, get, set);
      const buttons = h("span", { class: "number" }, button("−", -1), input, button("+", 1));
      return h("span", { class: "control" }, name, buttons);
    }

    // The number state[key].
    whole(name, key, limits) {
      const set = (value) => this.update({ [key]: value });
      return this.number(name, limits, () => this.state[key], set);
    }

    // A slider: get() is its place, set(place) changes the state, words() says what is chosen.
    slider(name, [min, max, step = 1], get, set, words) {
      const input = h("input", { type: "range", min, max, step, "aria-label": name });
      input.addEventListener("input", () => set(Number(input.value)));
      const said = h("span");
      this.syncs.push(() => {
        input.value = get();
        said.textContent = words();
        input.setAttribute("aria-valuetext", said.textContent);
      });
      return h("span", { class: "control slide" }, name, input, said);
    }

    // options() is { value: words }; get() is the value chosen, set(value) changes the state.
    choice(label, options, get, set) {
      const select = h("select", { "aria-label": label, onchange: () => set(select.value) });
      this.syncs.push(() => {
        const option = ([value, words]) => h("option", { value }, words);
        select.replaceChildren(...Object.entries(options()).map(option));
        select.value = get();
      });
      return h("span", { class: "control" }, label, select);
    }

    // A choice among the values of table(); any other is "own". update gets changes(value).
    preset(label, table, get, changes) {
      const same = (name) => JSON.stringify(table()[name]) === JSON.stringify(get());
      const options = () => fromKeys([...Object.keys(table()), "own"], (name) => name);
      const set = (name) =>
        this.update(name === "own" ? {} : changes(structuredClone(table()[name])));
      return this.choice(label, options, () => Object.keys(table()).find(same) ?? "own", set);
    }

    check(label, get, set) {
      const input = h("input", { type: "checkbox" });
      input.addEventListener("change", () => set(input.checked));
      this.syncs.push(() => (input.checked = get()));
      return h("label", { class: "control check" }, input, label);
    }
  }

  // make(kit) returns the class. Every output brings its script: the first to come defines it.
  function define(name, make) {
    if (!customElements.get(name)) customElements.define(name, make(window.courseExplorers));
  }

  const kit = { Explorer, define, h, drawing, table, onKeys, onTyped, onPoint };
  return { ...kit, range, clamp, fromKeys, show, count, outSize, style: "" };
})();
