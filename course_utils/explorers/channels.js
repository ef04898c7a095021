// Filters over an image with channels: what each channel adds to one output, and the bias.
courseExplorers.define("course-channels", (kit) => {
  const { Explorer, h, drawing, range, clamp, fromKeys, show, onTyped, onPoint } = kit;
  const CELL = 34; // side of a cell, in units of the drawing

  return class extends Explorer {
    static start = { x: [[[0]]], w: [[[[0]]]], bias: [0], names: [""], filter: 0, at: 0 };

    build() {
      const filters = () => fromKeys(range(this.state.w.length), (o) => `filter ${o}`);
      const keys = {
        ArrowLeft: () => this.move(0, -1), ArrowRight: () => this.move(0, 1),
        ArrowUp: () => this.move(-1, 0), ArrowDown: () => this.move(1, 0),
        " ": () => this.update({ filter: (this.state.filter + 1) % this.state.w.length }),
      };
      this.inputs = h("div", { class: "row" });
      this.outputs = h("div", { class: "row" });
      this.kernels = h("div", { class: "row" });
      this.sum = h("p", { class: "sum", "aria-live": "polite" });
      const says = "window over all channels: arrow keys move it, space takes the next filter";
      const stage = this.stage(says, keys, this.inputs, this.outputs);
      onPoint(stage, (event) => this.point(event));
      this.add(
        h("div", { class: "controls" },
          this.choice("weights of", filters, () => this.state.filter,
            (filter) => this.update({ filter: Number(filter) })),
          h("span", { class: "hint" }, "click a cell; with the keyboard: arrow keys, space")),
        stage, this.kernels, this.sum);
    }

    // Fields for the weights of the chosen filter, a matrix for each channel, and for its bias.
    fields() {
      const { w, names } = this.state;
      const field = (label, get, set) => {
        const input = h("input", { inputmode: "decimal", "aria-label": label });
        onTyped(input, () => {
          set(Number(input.value.replace("−", "-")) || 0);
          this.update();
        });
        this.syncs.push(() => (input.value = show(get(), 3)));
        return input;
      };
      const matrix = (name, c) => {
        const style = `grid-template-columns: repeat(${w[0][c][0].length}, auto)`;
        const entry = (a, b) => field(`${name}, row ${a}, column ${b}`,
          () => this.state.w[this.state.filter][c][a][b],
          (value) => (this.state.w[this.state.filter][c][a][b] = value));
        const fields = w[0][c].map((row, a) => row.map((_, b) => entry(a, b)));
        return h("figure", {}, h("figcaption", {}, `weights, ${name}`),
          h("div", { class: "matrix", style }, fields));
      };
      const bias = field("bias", () => this.state.bias[this.state.filter],
        (value) => (this.state.bias[this.state.filter] = value));
      return [...names.map(matrix),
        h("figure", {}, h("figcaption", {}, "bias"), h("div", { class: "matrix" }, bias))];
    }

    // Sizes of the window and of the output: [k_h, k_w, rows, columns].
    sizes() {
      const { x, w } = this.state;
      const [k_h, k_w] = [w[0][0].length, w[0][0][0].length];
      return [k_h, k_w, x[0].length - k_h + 1, x[0][0].length - k_w + 1];
    }

    // What each channel adds to output [o, i, j]: lists of [pixel, weight].
    terms(o, i, j) {
      const { x, w } = this.state;
      return x.map((channel, c) => w[o][c].flatMap((row, a) =>
        row.map((weight, b) => [channel[i + a][j + b], weight])));
    }

    answer(o, i, j) {
      const products = this.terms(o, i, j).flat().map(([pixel, weight]) => pixel * weight);
      return products.reduce((sum, product) => sum + product, this.state.bias[o]);
    }

    draw() {
      const { x, w, names, filter } = this.state;
      const [k_h, k_w, rows, columns] = this.sizes();
      this.state.at = clamp(this.state.at, 0, rows * columns - 1);
      const [i, j] = [Math.floor(this.state.at / columns), this.state.at % columns];
      const shape = [...names, k_h, k_w].join();
      if (this.built !== shape) this.refill(this.kernels, () => this.fields());
      this.built = shape;
      const map = (values, caption, data, frame) =>
        h("figure", data, h("figcaption", {}, caption), this.grid(values, frame));
      this.inputs.replaceChildren(...x.map((values, c) =>
        map(values, names[c], { "data-input": c }, [i, j, k_h, k_w])));
      this.outputs.replaceChildren(...w.map((_, o) => {
        const values = range(rows).map((a) => range(columns).map((b) => this.answer(o, a, b)));
        const frame = o === filter ? [i, j, 1, 1] : null;
        return map(values, `output ${o}`, { "data-output": o }, frame);
      }));
      this.sum.textContent = this.arithmetic(filter, i, j);
    }

    // A matrix as cells, tinted by sign and size; `frame` is [row, column, rows, columns].
    grid(matrix, frame) {
      const [rows, columns] = [matrix.length, matrix[0].length];
      const most = Math.max(...matrix.flat().map(Math.abs)) || 1;
      const place = (row, column, high, wide) => ({
        x: column * CELL, y: row * CELL, width: wide * CELL, height: high * CELL,
      });
      const cell = (value, row, column) => h("g", { "data-row": row, "data-column": column },
        h("rect", {
          class: value < 0 ? "minus" : "plus", "fill-opacity": (0.6 * Math.abs(value)) / most,
          ...place(row, column, 1, 1),
        }),
        h("text", { x: (column + 0.5) * CELL, y: (row + 0.5) * CELL, dy: "0.35em" },
          show(value, 1)));
      const svg = drawing(`${columns * 1.9}rem`, [-2, -2, columns * CELL + 4, rows * CELL + 4],
        matrix.map((values, row) => values.map((value, column) => cell(value, row, column))),
        frame ? h("rect", { class: "frame", ...place(...frame) }) : null);
      svg.classList.add("grid");
      return svg;
    }

    // A line for each channel, and their sum with the bias.
    arithmetic(o, i, j) {
      const { names, bias } = this.state;
      const signed = (value) => (value < 0 ? `(${show(value)})` : show(value));
      const wide = Math.max(...names.map((name) => name.length));
      const parts = this.terms(o, i, j).map((terms) =>
        [terms, terms.reduce((sum, [pixel, weight]) => sum + pixel * weight, 0)]);
      const lines = parts.map(([terms, part], c) => {
        const products = terms.filter(([, weight]) => weight).map((term) => term.map(signed).join("·"));
        return `  ${names[c].padEnd(wide)}  ${products.join(" + ") || "no weight"} = ${show(part)}\n`;
      });
      const together = [...parts.map(([, part]) => part), bias[o]].map(signed).join(" + ");
      return `Y[${o}, ${i}, ${j}] =\n${lines.join("")}  ${together} (bias)\n  = ${show(this.answer(o, i, j))}`;
    }

    move(down, right) {
      const columns = this.sizes()[3];
      this.go(Math.floor(this.state.at / columns) + down, (this.state.at % columns) + right);
    }

    // To the output [i, j], or the nearest there is; of another filter, if one is given.
    go(i, j, filter = this.state.filter) {
      const [, , rows, columns] = this.sizes();
      this.update({ at: clamp(i, 0, rows - 1) * columns + clamp(j, 0, columns - 1), filter });
    }

    // A pointer on an output goes there; on a pixel, the window goes where that is in the middle.
    point({ clientX, clientY }) {
      const cell = this.shadowRoot.elementFromPoint(clientX, clientY)?.closest("[data-row]");
      if (!cell) return;
      const [row, column] = [Number(cell.dataset.row), Number(cell.dataset.column)];
      const output = cell.closest("[data-output]");
      const [k_h, k_w] = this.sizes();
      if (output) this.go(row, column, Number(output.dataset.output));
      else this.go(row - (k_h >> 1), column - (k_w >> 1));
    }
  };
});
