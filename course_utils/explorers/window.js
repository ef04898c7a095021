// A window over an input: convolution (cross-correlation), max pooling, average pooling.
courseExplorers.define("course-window", ({ Explorer, h, range, clamp, show, outSize, onKeys }) => {
  const CELL = 40; // units of the drawing
  const MOST = 16; // rows and columns of an input
  const filled = (rows, columns, value) => range(rows).map((i) => range(columns).map((j) => value(i, j)));
  const picture = [
    "..77..77..", ".88866888.", "8888888888", "88.8888.88", "8..8888..8",
    "...8888...", "...8888...", "...8888...", "...6666...", "..........",
  ];
  const INPUTS = {
    counting: filled(6, 6, (i, j) => 6 * i + j),
    "an edge": filled(6, 6, (i, j) => (j < 3 ? 0 : 1)),
    "a diagonal": filled(6, 6, (i, j) => (i === j ? 1 : 0)),
    "one bright pixel": filled(5, 5, (i, j) => (i === 2 && j === 2 ? 1 : 0)),
    "a shirt, 10×10": picture.map((row) => [...row].map((grey) => (grey === "." ? 0 : Number(grey) / 8))),
  };
  const KERNELS = {
    "vertical edges": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    "horizontal edges": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    Laplacian: [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    blur: filled(3, 3, () => 1 / 9),
    sharpen: [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
  };
  const MODES = { corr: "convolution", max: "max pooling", avg: "average pooling" };

  // "1 2\n1/9 -1" -> [[1, 2], [0.111…, -1]]; null if it is no matrix of numbers.
  function parse(text) {
    const number = (word) => word.replace("−", "-").split("/").map(Number).reduce((a, b) => a / b);
    const rows = text.trim().split("\n").map((line) => line.trim().split(/[\s,;]+/).map(number));
    const good = rows.length <= MOST && rows[0].length <= MOST
      && rows.every((row) => row.length === rows[0].length && row.every(Number.isFinite));
    return good ? rows : null;
  }

  return class extends Explorer {
    static start = {
      x: INPUTS.counting, kernel: KERNELS["vertical edges"], mode: "corr",
      stride: 1, padding: 0, dilation: 1, at: 0,
    };

    build() {
      this.own = h("textarea", { rows: 6, "aria-label": "the input's numbers, a line for each row" });
      this.own.addEventListener("change", () => {
        const x = parse(this.own.value);
        this.own.setAttribute("aria-invalid", !x);
        if (x) this.update({ x });
      });
      this.matrix = h("div", { class: "matrix", role: "group", "aria-label": "kernel" });
      this.source = h("figure");
      this.result = h("figure");
      this.kernel = h("figure", {}, h("figcaption", {}, "kernel"), this.matrix);
      this.stage = h(
        "div",
        { class: "stage", tabindex: 0, role: "application", "aria-label": "window over the input: arrow keys move it, space plays" },
        this.source, this.result,
      );
      this.play = this.button("▶ play", () => this.toggle());
      this.sum = h("p", { class: "sum", "aria-live": "polite" });
      this.size = h("p", { class: "sum size" });
      const choose = (label, table, key) =>
        this.preset(label, () => table, () => this.state[key], (value) => ({ [key]: value }));
      this.kernels = choose("kernel", KERNELS, "kernel");
      this.dilation = this.whole("dilation", "dilation", 1, 4);
      this.add(
        h("div", { class: "controls" },
          this.choice("mode", () => MODES, () => this.state.mode, (mode) => this.update({ mode })),
          choose("input", INPUTS, "x"),
          this.kernels,
          this.number("window rows", 1, 5, () => this.state.kernel.length, (rows) => this.resize(rows, this.state.kernel[0].length)),
          this.number("columns", 1, 5, () => this.state.kernel[0].length, (columns) => this.resize(this.state.kernel.length, columns)),
          this.whole("stride", "stride", 1, 5),
          this.whole("padding", "padding", 0, 4),
          this.dilation),
        h("div", { class: "controls" },
          this.button("◀", () => this.step(-1), { "aria-label": "one step back" }),
          this.play,
          this.button("▶", () => this.step(1), { "aria-label": "one step on" }),
          h("span", { class: "hint" }, "or click a cell; with the keyboard: arrow keys, space")),
        h("div", { class: "stage" }, this.stage, this.kernel),
        this.sum, this.size,
        h("details", {}, h("summary", {}, "The input's numbers, to edit"), this.own),
      );
      onKeys(this.stage, {
        ArrowLeft: () => this.move(0, -1), ArrowRight: () => this.move(0, 1),
        ArrowUp: () => this.move(-1, 0), ArrowDown: () => this.move(1, 0),
        Home: () => this.step(-Infinity), End: () => this.step(Infinity),
        " ": () => this.toggle(),
      });
      this.stage.addEventListener("pointerdown", (event) => {
        this.stage.setPointerCapture(event.pointerId);
        this.point(event);
      });
      this.stage.addEventListener("pointermove", (event) => event.buttons && this.point(event));
    }

    disconnectedCallback() {
      this.halt();
    }

    // Give the kernel another size; entries that it had before stay.
    resize(rows, columns) {
      this.update({ kernel: filled(rows, columns, (i, j) => this.state.kernel[i]?.[j] ?? 0) });
    }

    // Everything that follows from the settings; `problem` is a sentence if there is no output.
    layout() {
      const { x, kernel, mode, stride, padding } = this.state;
      const dilation = mode === "avg" ? 1 : this.state.dilation; // PyTorch's average has none
      const [H, W, k_h, k_w] = [x.length, x[0].length, kernel.length, kernel[0].length];
      const [rows, columns] = [outSize(H, k_h, stride, padding, dilation), outSize(W, k_w, stride, padding, dilation)];
      const problem =
        mode !== "corr" && 2 * padding > Math.min(k_h, k_w)
          ? `Padding ${padding} is more than half of the window: PyTorch refuses, since a window could see nothing else.`
          : Math.min(rows, columns) < 1
            ? "No window fits: it spans more pixels than the padded input has."
            : null;
      return { H, W, k_h, k_w, stride, padding, dilation, rows, columns, problem };
    }

    // What the window of output [i, j] reads, in order: pixels, their weights, and which are padding.
    taps(i, j) {
      const { H, W, k_h, k_w, stride, padding, dilation } = this.layout();
      const { x, kernel, mode } = this.state;
      return filled(k_h, k_w, (a, b) => {
        const [row, column] = [i * stride - padding + a * dilation, j * stride - padding + b * dilation];
        const padded = row < 0 || row >= H || column < 0 || column >= W;
        return { row, column, padded, weight: kernel[a][b], value: padded ? (mode === "max" ? -Infinity : 0) : x[row][column] };
      });
    }

    answer(i, j) {
      const taps = this.taps(i, j).flat();
      if (this.state.mode === "max") return Math.max(...taps.map((tap) => tap.value));
      if (this.state.mode === "avg") return taps.reduce((sum, tap) => sum + tap.value, 0) / taps.length;
      return taps.reduce((sum, tap) => sum + tap.value * tap.weight, 0);
    }

    draw() {
      const plan = this.layout();
      const { mode, x, kernel } = this.state;
      this.kernels.hidden = this.kernel.hidden = mode !== "corr";
      this.dilation.hidden = mode === "avg";
      if (this.shadowRoot.activeElement !== this.own)
        this.own.value = x.map((row) => row.map((value) => show(value)).join(" ")).join("\n");
      this.drawKernel(kernel);
      const cells = plan.problem ? 0 : plan.rows * plan.columns;
      this.state.at = clamp(this.state.at, 0, Math.max(0, cells - 1));
      const [i, j] = [Math.floor(this.state.at / plan.columns), this.state.at % plan.columns];
      const taps = plan.problem ? [] : this.taps(i, j).flat();
      this.source.replaceChildren(
        h("figcaption", {}, `input ${plan.H}×${plan.W}`),
        this.grid(x, plan.padding, mode === "max" ? "−∞" : "0", taps, plan));
      const values = plan.problem ? [] : filled(plan.rows, plan.columns, (a, b) => this.answer(a, b));
      this.result.replaceChildren(...(plan.problem ? [] : [
        h("figcaption", {}, `output ${plan.rows}×${plan.columns}`),
        this.grid(values, 0, "", [{ row: i, column: j }], { k_h: 1, k_w: 1, dilation: 1 }),
      ]));
      this.sum.replaceChildren(...(plan.problem ? [] : this.arithmetic(i, j)));
      this.size.textContent = plan.problem ?? this.formula(plan);
      this.size.classList.toggle("warn", Boolean(plan.problem));
    }

    drawKernel(kernel) {
      if (this.matrix.children.length !== kernel.flat().length || this.matrix.columns !== kernel[0].length) {
        this.matrix.columns = kernel[0].length;
        this.matrix.style.gridTemplateColumns = `repeat(${kernel[0].length}, auto)`;
        this.matrix.replaceChildren(...kernel.flatMap((row, a) => row.map((_, b) => {
          const input = h("input", { inputmode: "decimal", "aria-label": `kernel, row ${a}, column ${b}` });
          input.addEventListener("change", () => {
            const value = parse(input.value)?.[0][0] ?? 0;
            this.update({ kernel: this.state.kernel.map((row, i) => row.map((old, j) => (i === a && j === b ? value : old))) });
          });
          return input;
        })));
      }
      kernel.flat().forEach((value, index) => (this.matrix.children[index].value = show(value, 3)));
    }

    // A matrix as cells, tinted by sign and size; `read` cells are outlined, and their window.
    grid(matrix, pad, fill, read, { k_h, k_w, dilation }) {
      const [rows, columns] = [matrix.length + 2 * pad, matrix[0].length + 2 * pad];
      const most = Math.max(...matrix.flat().map(Math.abs)) || 1;
      const rect = (row, column, kind, more = {}) =>
        h("rect", { class: kind, x: (column + pad) * CELL, y: (row + pad) * CELL, width: CELL, height: CELL, ...more });
      const cells = range(rows, -pad).flatMap((row) => range(columns, -pad).map((column) => {
        const value = matrix[row]?.[column];
        const kind = value === undefined ? "pad" : value < 0 ? "minus" : "plus";
        const strength = value === undefined ? null : (0.6 * Math.abs(value)) / most;
        const text = value === undefined ? fill : show(value, 2);
        const middle = { x: (column + pad + 0.5) * CELL, y: (row + pad + 0.5) * CELL, dy: "0.35em", "text-anchor": "middle" };
        return h("g", { "data-row": row, "data-column": column },
          rect(row, column, kind, { "fill-opacity": strength }),
          columns > 12 ? null : h("text", { ...middle, "font-size": text.length > 4 ? "11px" : null }, text));
      }));
      const marks = read.map(({ row, column }) => rect(row, column, "read"));
      const first = read[0];
      const frame = first && rect(first.row, first.column, "frame", {
        width: (dilation * (k_w - 1) + 1) * CELL, height: (dilation * (k_h - 1) + 1) * CELL,
      });
      return h("svg", {
        class: "grid", viewBox: `-2 -2 ${columns * CELL + 4} ${rows * CELL + 4}`,
        width: `${Math.min(columns, 12) * 2.2}rem`, "aria-hidden": "true",
      }, cells, marks, frame);
    }

    // "Y[0, 1] = 1·2 + …", a line for each row of the window.
    arithmetic(i, j) {
      const { mode } = this.state;
      const signed = (value) => (value < 0 ? `(${show(value)})` : show(value));
      const term = (tap) => (mode === "corr" ? `${signed(tap.value)}·${signed(tap.weight)}` : mode === "max" ? show(tap.value) : signed(tap.value));
      const between = mode === "max" ? ", " : " + ";
      const taps = this.taps(i, j);
      const [before, after] = { corr: ["", ""], max: ["max(", ")"], avg: ["(", `) / ${taps.flat().length}`] }[mode];
      const indent = `${between.trimEnd()}\n  ${" ".repeat(before.length)}`;
      const whole = before + taps.map((row) => row.map(term).join(between)).join(indent) + after;
      return [`Y[${i}, ${j}] =\n  ${whole}\n  = `, h("strong", {}, show(this.answer(i, j)))];
    }

    formula({ H, W, k_h, k_w, stride, padding, dilation, rows, columns }) {
      const line = (name, n, k, result) =>
        `${name}: ⌊(${n} + 2·${padding} − ${dilation}·(${k} − 1) − 1) / ${stride}⌋ + 1 = ` +
        `⌊${n + 2 * padding - dilation * (k - 1) - 1} / ${stride}⌋ + 1 = ${result}`;
      return H === W && k_h === k_w
        ? line("rows and columns", H, k_h, rows)
        : `${line("rows", H, k_h, rows)}\n${line("columns", W, k_w, columns)}`;
    }

    step(by) {
      const { rows, columns, problem } = this.layout();
      if (!problem) this.update({ at: clamp(this.state.at + by, 0, rows * columns - 1) });
    }

    move(down, right) {
      const { rows, columns } = this.layout();
      const [i, j] = [Math.floor(this.state.at / columns), this.state.at % columns];
      this.update({ at: clamp(i + down, 0, rows - 1) * columns + clamp(j + right, 0, columns - 1) });
    }

    // A pointer on an output goes there; on a pixel, the window goes where that is in the middle.
    point(event) {
      const cell = this.shadowRoot.elementFromPoint(event.clientX, event.clientY)?.closest("[data-row]");
      const { rows, columns, k_h, k_w, stride, padding, dilation, problem } = this.layout();
      if (!cell || problem) return;
      this.halt();
      let [i, j] = [Number(cell.dataset.row), Number(cell.dataset.column)];
      if (this.source.contains(cell)) {
        i = Math.round((i + padding - (dilation * (k_h - 1)) / 2) / stride);
        j = Math.round((j + padding - (dilation * (k_w - 1)) / 2) / stride);
      }
      this.update({ at: clamp(i, 0, rows - 1) * columns + clamp(j, 0, columns - 1) });
    }

    toggle() {
      if (this.timer) return this.halt();
      const { rows, columns, problem } = this.layout();
      if (problem) return;
      if (this.state.at === rows * columns - 1) this.update({ at: 0 });
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      this.timer = setInterval(() => {
        const before = this.state.at;
        this.step(1);
        if (this.state.at === before) this.halt();
      }, calm ? 2000 : 700);
      this.play.textContent = "⏸ pause";
      this.sum.setAttribute("aria-live", "off"); // a voice could not keep up
    }

    halt() {
      clearInterval(this.timer);
      this.timer = null;
      this.play.textContent = "▶ play";
      this.sum.setAttribute("aria-live", "polite");
    }
  };
});
