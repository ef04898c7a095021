// A stack of windows: by how many ways each pixel reaches one output, and what the stack costs.
courseExplorers.define("course-stack", (kit) => {
  const { Explorer, h, drawing, table, range, clamp, show, count, onPoint } = kit;
  const CELL = 42; // side of a cell in pixels, where there is room
  const LETTER = 7; // as wide as a digit of 11 pixels may be
  const STYLE = `.sliders { display: grid; }
    .sliders { grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); }
    .slide input { flex-basis: 3rem; max-width: 7rem; }`;

  const sum = (values) => values.reduce((total, value) => total + value, 0);

  // Ways to each place along one axis: every layer adds up the k neighbours of the one before.
  const waysAlong = (windows) => windows.reduce((line, k) =>
    range(line.length + k - 1).map((i) => sum(line.slice(Math.max(0, i - k + 1), i + 1))), [1]);

  // The odd number nearest to a third of r.
  const third = (r) => 2 * Math.round((r / 3 - 1) / 2) + 1;

  const percent = (part) =>
    `${100 * part < 0.01 ? "<0.01" : Number((100 * part).toPrecision(2))}\u00a0%`;

  // [-2, 1] -> "2 up and 1 right of the middle"
  function place([down, right]) {
    const vertical = down ? `${Math.abs(down)} ${down < 0 ? "up" : "down"}` : "";
    const level = right ? `${Math.abs(right)} ${right < 0 ? "left" : "right"}` : "";
    const way = [vertical, level].filter(Boolean).join(" and ");
    return way ? `${way} of the middle` : "in the middle";
  }

  return class extends Explorer {
    static start = { windows: [3, 3, 3], channels: 64, share: false, pixel: [0, 0] };

    build() {
      const deep = (n) => range(n).map((i) => this.state.windows[i] ?? this.state.windows.at(-1));
      const go = (down, right) => () => {
        const { pixel } = this.state;
        this.update({ pixel: [pixel[0] + down, pixel[1] + right] });
      };
      this.map = this.stage("pixels that one output sees: arrow keys choose one", {
        ArrowLeft: go(0, -1), ArrowRight: go(0, 1), ArrowUp: go(-1, 0), ArrowDown: go(1, 0),
        Home: () => this.update({ pixel: [0, 0] }),
      });
      onPoint(this.map, (event) => this.point(event), true);
      this.layers = h("div", { class: "controls sliders" });
      this.sees = h("p");
      this.says = h("p", { "aria-live": "polite", style: "min-height: 3em" });
      this.one = h("span");
      this.body = h("tbody");
      this.add(
        h("style", {}, STYLE),
        h("div", { class: "controls sliders" },
          this.slider("layers", [1, 6], () => this.state.windows.length,
            (n) => this.update({ windows: deep(n) }), () => this.state.windows.length),
          this.slider("channels", [16, 512, 16], () => this.state.channels,
            (channels) => this.update({ channels }), () => this.state.channels)),
        this.layers,
        h("div", { class: "controls" },
          this.check("share of all ways, in %", () => this.state.share,
            (share) => this.update({ share })),
          h("span", { class: "hint" }, "point at a pixel, or use the arrow keys")),
        this.sees, this.map, this.says,
        table("what it costs", ["cost", "stack", this.one, "ratio"], this.body));
      this.follow(this.map);
    }

    // A slider for the window of each layer.
    windows(n) {
      const set = (i) => (k) =>
        this.update({ windows: this.state.windows.map((old, j) => (j === i ? k : old)) });
      const window = (i) => this.slider(`layer ${i + 1}`, [3, 7, 2],
        () => this.state.windows[i], set(i), () => `${this.state.windows[i]}×${this.state.windows[i]}`);
      return range(n).map(window);
    }

    draw() {
      const { windows, channels, pixel } = this.state;
      if (this.layers.children.length !== windows.length)
        this.refill(this.layers, () => this.windows(windows.length));
      this.line = waysAlong(windows);
      this.all = sum(this.line) ** 2;
      const r = this.line.length;
      const half = (r - 1) / 2;
      this.state.pixel = pixel.map((offset) => clamp(offset, -half, half));
      this.sees.textContent = `One output sees ${r}×${r} pixels, by ${count(this.all)} ways:`;
      this.one.textContent = `one ${r}×${r}`;
      this.drawMap(r, half);
      this.says.textContent = this.words(r, half);
      const row = (name, stack, one) => h("tr", {}, h("th", {}, name),
        [count(stack), count(one), show(stack / one, 2)].map((text) => h("td", {}, text)));
      const weights = channels ** 2 * sum(windows.map((k) => k * k));
      const one = channels ** 2 * r * r;
      this.body.replaceChildren(row("weights", weights, one),
        row("multiply-adds per place", weights, one), row("ReLUs", windows.length, 1));
    }

    words(r, half) {
      const [row, column] = this.state.pixel.map((offset) => offset + half);
      const ways = this.line[row] * this.line[column];
      const m = third(r);
      const inner = sum(this.line.slice(half - (m - 1) / 2, half + (m + 1) / 2)) ** 2;
      const middle = m > 1 ? `The middle ${m}×${m} are` : "The one in the middle is";
      return `The pixel ${place(this.state.pixel)} has ${count(ways)} of them, `
        + `${percent(ways / this.all)}. ${middle} ${percent((m / r) ** 2)} of the pixels `
        + `and ${m > 1 ? "have" : "has"} ${percent(inner / this.all)} of the ways.`;
    }

    // Tinted by ways, with the numbers where they fit; the middle third is outlined.
    drawMap(r, half) {
      const { share, pixel } = this.state;
      this.width = this.map.clientWidth;
      const cell = Math.min(CELL, Math.floor(((this.width || 320) - 4) / r));
      const most = this.line[half] ** 2;
      const text = (ways) => {
        const part = (100 * ways) / this.all;
        return share ? (part < 0.05 ? "<0.1" : part.toFixed(1)) : count(ways);
      };
      const longest = share ? 4 : text(most).length;
      const fits = cell >= LETTER * longest + 2;
      const square = (kind, row, column, side = 1, more = {}) => h("rect", {
        class: kind, x: column * cell, y: row * cell,
        width: side * cell, height: side * cell, ...more,
      });
      const one = (row, column) => {
        const ways = this.line[row] * this.line[column];
        const [x, y] = [(column + 0.5) * cell, (row + 0.5) * cell];
        return h("g", {}, square("plus", row, column, 1, { "fill-opacity": (0.6 * ways) / most }),
          fits ? h("text", { x, y, dy: "0.35em", style: "font-size: 11px" }, text(ways)) : null);
      };
      const m = third(r);
      const dashed = { "stroke-dasharray": "4 3", style: "stroke: currentColor; stroke-width: 2" };
      const corner = half - (m - 1) / 2;
      const side = r * cell + 4;
      this.picture = drawing(`${side}px`, [-2, -2, side, side],
        range(r).map((row) => range(r).map((column) => one(row, column))),
        square("middle", corner, corner, m, dashed),
        square("frame", pixel[0] + half, pixel[1] + half));
      this.picture.classList.add("grid");
      this.map.replaceChildren(this.picture);
    }

    point({ clientX, clientY }) {
      const box = this.picture.getBoundingClientRect();
      const r = this.line.length;
      const [down, right] = [clientY - box.top, clientX - box.left].map((at) =>
        Math.floor((at / box.width) * r) - (r - 1) / 2);
      const beside = Math.max(Math.abs(down), Math.abs(right)) > r / 2;
      if (beside || String([down, right]) === String(this.state.pixel)) return;
      this.update({ pixel: [down, right] });
    }
  };
});
