// im2col: each window of an image as a column, so that a convolution is row × columns.
courseExplorers.define("course-columns", (kit) => {
  const { Explorer, h, drawing, range, clamp, show, outSize, onPoint } = kit;
  const [CELL, HEAD] = [32, 18]; // pixels: side of a cell; height of the numbers over the columns
  // The columns stay beside the image, their output beside the kernel, and scroll.
  const STYLE = `.columns { flex: 1 1 18rem; min-width: 0; } .long { font-size: 11px; }
    .beside { display: flex; flex-direction: column; justify-content: space-between; gap: 0.4rem; }`;

  const largest = (values) => Math.max(...values.map(Math.abs)) || 1;

  // `across` cells wide, `height` pixels high.
  function grid(across, height, ...parts) {
    const svg = drawing(`${across * CELL + 4}px`, [-2, -2, across * CELL + 4, height + 4], parts);
    svg.classList.add("grid");
    return svg;
  }

  const square = (x, y, attributes, across = 1, down = 1) =>
    h("rect", { x, y, width: across * CELL, height: down * CELL, ...attributes });
  const frame = (x, y, ...size) => square(x, y, { class: "frame" }, ...size);

  // A number at (x, y), tinted by its size among numbers up to `most`; none: it is padding.
  // `spot` says what a pointer chooses there: a column, or a pixel "row,column".
  function cell(value, x, y, most, spot) {
    const [text, pad] = [show(value ?? 0, 1), value === undefined];
    const kind = pad ? "pad" : value < 0 ? "minus" : "plus";
    const tint = pad ? null : (0.6 * Math.abs(value)) / most;
    const place = { x: x + CELL / 2, y: y + CELL / 2, dy: "0.35em" };
    return h("g", { "data-spot": spot },
      square(x, y, { class: kind, "fill-opacity": tint }),
      h("text", { class: text.length > 3 ? "long" : null, ...place }, text));
  }

  return class extends Explorer {
    static start = { x: [[0]], kernel: [[1]], stride: 1, padding: 0, at: 0, pixel: null };

    build() {
      const { x } = this.state;
      const pixel = (down, right) => () => this.toPixel(down, right);
      const column = (by) => () => this.toColumn(this.state.at + by);
      this.image = this.stage("image: arrow keys choose a pixel and mark its copies", {
        ArrowLeft: pixel(0, -1), ArrowRight: pixel(0, 1),
        ArrowUp: pixel(-1, 0), ArrowDown: pixel(1, 0),
      });
      this.columns = this.stage("columns: left and right choose one and mark its window", {
        ArrowLeft: column(-1), ArrowRight: column(1),
        Home: column(-Infinity), End: column(Infinity),
      });
      this.columns.classList.replace("row", "scroll");
      for (const stage of [this.image, this.columns])
        onPoint(stage, (event) => this.point(event), true);
      this.row = h("figure");
      this.wide = h("figcaption");
      this.sum = h("p", { class: "sum", "aria-live": "polite", style: "min-height: 4.5em" });
      this.price = h("p");
      this.add(
        h("style", {}, STYLE),
        h("div", { class: "controls" },
          this.number("window", [1, Math.min(3, x.length, x[0].length)],
            () => this.state.kernel.length, (k) => this.resize(k)),
          this.whole("stride", "stride", [1, 3]),
          this.whole("padding", "padding", [0, 2]),
          h("span", { class: "hint" }, "point at a column or a pixel, or use the arrow keys")),
        h("div", { class: "row" },
          h("div", { class: "beside" }, this.image, this.row),
          h("figure", { class: "columns" }, this.wide, this.columns)),
        this.sum, this.price);
    }

    // Give the kernel another size; entries that it had before stay, new ones are 1.
    resize(k) {
      const { kernel } = this.state;
      this.update({ kernel: range(k).map((a) => range(k).map((b) => kernel[a]?.[b] ?? 1)) });
    }

    // Follow the settings: the weights, the pixels [row, column] of each column, the output.
    measure() {
      const { x, kernel, stride, padding } = this.state;
      const size = (n) => outSize(n, kernel.length, stride, padding);
      const windows = (n) => range(size(n)).map((i) => i * stride - padding);
      this.weights = kernel.flat();
      this.across = size(x[0].length);
      this.matrix = windows(x.length).flatMap((top) => windows(x[0].length).map((left) =>
        kernel.flatMap((entries, a) => entries.map((_, b) => [top + a, left + b]))));
      this.outputs = this.matrix.map((pixels) =>
        pixels.reduce((sum, pixel, i) => sum + this.weights[i] * (this.value(pixel) ?? 0), 0));
    }

    // undefined in the padding
    value([row, column]) {
      return this.state.x[row]?.[column];
    }

    draw() {
      const { state } = this;
      this.measure();
      state.at = clamp(state.at, 0, this.matrix.length - 1);
      const sizes = [state.x.length, state.x[0].length];
      const within = (i, axis) => clamp(i, -state.padding, sizes[axis] - 1 + state.padding);
      state.pixel &&= state.pixel.map(within);
      const chosen = String(state.pixel);
      const copies = this.matrix.flatMap((pixels, column) => pixels.flatMap((pixel, row) =>
        (String(pixel) === chosen ? [[row, column]] : [])));
      this.drawImage();
      this.drawColumns(copies);
      this.sum.textContent = state.pixel ? this.found(copies) : this.product();
      const [down, wide, whole] = [this.weights.length, this.matrix.length, state.x.flat().length];
      const ratio = (down * wide) / whole;
      this.price.textContent = `The columns hold ${down} × ${wide} = ${down * wide} numbers, `
        + `the image ${whole}: ${ratio === 1 ? "as many" : `${show(ratio, 2)} times as many`}.`;
    }

    drawImage() {
      const { x, kernel, padding, pixel, at } = this.state;
      const [rows, columns] = [x.length, x[0].length].map((n) => range(n + 2 * padding, -padding));
      const place = (i) => (i + padding) * CELL;
      const one = (row, column) => cell(this.value([row, column]), place(column), place(row),
        largest(x.flat()), `${row},${column}`);
      const [row, column] = pixel ?? this.matrix[at][0];
      const side = pixel ? 1 : kernel.length;
      this.image.replaceChildren(h("figure", {},
        h("figcaption", {}, `image ${x.length}×${x[0].length}`),
        grid(columns.length, rows.length * CELL,
          rows.map((i) => columns.map((j) => one(i, j))),
          frame(place(column), place(row), side, side))));
      this.row.replaceChildren(
        h("figcaption", {}, "kernel, as a row"),
        grid(this.weights.length, CELL,
          this.weights.map((weight, i) => cell(weight, i * CELL, 0, largest(this.weights)))));
    }

    // The columns, and below each its number of the output; the column or the copies are marked.
    drawColumns(copies) {
      const { x, at, pixel } = this.state;
      const [down, across] = [this.weights.length, this.matrix.length];
      const top = (i) => HEAD + i * CELL;
      const below = top(down) + CELL / 2;
      const column = (pixels, j) => [
        h("text", { class: "long", x: (j + 0.5) * CELL, y: HEAD - 5 }, j),
        pixels.map((p, i) => cell(this.value(p), j * CELL, top(i), largest(x.flat()), j)),
        cell(this.outputs[j], j * CELL, below, largest(this.outputs), j),
      ];
      this.wide.textContent = `columns ${down}×${across}; below each, row × column`;
      this.columns.replaceChildren(grid(across, below + CELL, this.matrix.map(column),
        pixel ? copies.map(([i, j]) => frame(j * CELL, top(i)))
          : [frame(at * CELL, HEAD, 1, down), frame(at * CELL, below)]));
    }

    // "Y[0, 1] = row × column 1 = …"
    product() {
      const { at } = this.state;
      const signed = (value) => (value < 0 ? `(${show(value)})` : show(value));
      const terms = this.matrix[at].map((pixel, i) =>
        `${signed(this.weights[i])}·${signed(this.value(pixel) ?? 0)}`);
      return `Y[${Math.floor(at / this.across)}, ${at % this.across}] = row × column ${at}\n`
        + `  = ${terms.join(" + ")}\n  = ${show(this.outputs[at])}`;
    }

    // How often the chosen pixel was copied, and where to.
    found(copies) {
      const value = this.value(this.state.pixel);
      const name = value === undefined ? "This zero of the padding"
        : `Pixel X[${this.state.pixel.join(", ")}] = ${show(value)}`;
      const times = ["nowhere", "once"][copies.length] ?? `${copies.length} times`;
      const where = copies.map(([, column]) => column).join(", ");
      return `${name} stands ${times} in the columns${where && ` (${where})`}.`;
    }

    // Choose a column by key, and bring it into sight.
    toColumn(to) {
      const at = clamp(to, 0, this.matrix.length - 1);
      this.update({ at, pixel: null });
      this.reveal(this.columns, (at - 1) * CELL, (at + 2) * CELL);
    }

    toPixel(down, right) {
      const [row, column] = this.state.pixel ?? this.matrix[this.state.at][0];
      this.update({ pixel: [row + down, column + right] });
    }

    point({ clientX, clientY }) {
      const cell = this.shadowRoot.elementFromPoint(clientX, clientY)?.closest("[data-spot]");
      const { at, pixel } = this.state;
      if (!cell || cell.dataset.spot === String(pixel ?? at)) return;
      const spot = cell.dataset.spot.split(",").map(Number);
      this.update(spot.length > 1 ? { pixel: spot } : { at: spot[0], pixel: null });
    }
  };
});
