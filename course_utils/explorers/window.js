// A window over an input: convolution (cross-correlation), max pooling, average pooling.
courseExplorers.define("course-window", (kit) => {
  const { Explorer, h, drawing, range, clamp, show, outSize, onTyped, onPoint } = kit;
  const CELL = 40; // side of a cell, in units of the drawing
  const MOST = 16; // rows and columns of an input
  const MODES = { corr: "convolution", max: "max pooling", avg: "average pooling" };

  const filled = (rows, columns, value) =>
    range(rows).map((i) => range(columns).map((j) => value(i, j)));
  const shirt = `..77..77.. .88866888. 8888888888 88.8888.88 8..8888..8
                 ...8888... ...8888... ...8888... ...6666... ..........`;
  const INPUTS = {
    counting: filled(6, 6, (i, j) => 6 * i + j),
    "an edge": filled(6, 6, (i, j) => (j < 3 ? 0 : 1)),
    "a diagonal": filled(6, 6, (i, j) => (i === j ? 1 : 0)),
    "one bright pixel": filled(5, 5, (i, j) => (i === 2 && j === 2 ? 1 : 0)),
    "a shirt": shirt.split(/\s+/).map((row) => [...row].map((grey) => (Number(grey) || 0) / 8)),
  };
  const KERNELS = {
    "vertical edges": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    "horizontal edges": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    Laplacian: [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    blur: filled(3, 3, () => 1 / 9),
    sharpen: [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
  };

  // "1 2\n1/9 -1" -> [[1, 2], [0.111…, -1]]; null if it is no matrix of numbers.
  function parse(text) {
    const number = (word) => word.split("/").map(Number).reduce((a, b) => a / b);
    const lines = text.replaceAll("−", "-").trim().split("\n");
    const rows = lines.map((line) => line.trim().split(/[\s,;]+/).map(number));
    const good = rows.every((row) => row.length === rows[0].length && row.every(Number.isFinite));
    return good && rows.length <= MOST && rows[0].length <= MOST ? rows : null;
  }

  return class extends Explorer {
    static start = {
      x: INPUTS.counting, kernel: KERNELS["vertical edges"], mode: "corr",
      stride: 1, padding: 0, dilation: 1, at: 0,
    };

    build() {
      const choose = (label, table, key) =>
        this.preset(label, () => table, () => this.state[key], (value) => ({ [key]: value }));
      const rows = () => this.state.kernel.length;
      const columns = () => this.state.kernel[0].length;
      this.kernels = choose("kernel", KERNELS, "kernel");
      this.dilation = this.whole("dilation", "dilation", [1, 4]);
      this.play = this.button("▶ play", () => this.toggle());
      this.source = h("figure");
      this.result = h("figure");
      this.matrix = h("div", { class: "matrix", role: "group", "aria-label": "kernel" });
      this.kernel = h("figure", {}, h("figcaption", {}, "kernel"), this.matrix);
      const keys = {
        ArrowLeft: () => this.move(0, -1), ArrowRight: () => this.move(0, 1),
        ArrowUp: () => this.move(-1, 0), ArrowDown: () => this.move(1, 0),
        Home: () => this.step(-Infinity), End: () => this.step(Infinity),
        " ": () => this.toggle(),
      };
      const says = "window over the input: arrow keys move it, space plays";
      const stage = this.stage(says, keys, this.source, this.result);
      onPoint(stage, (event) => this.point(event));
      this.sum = h("p", { class: "sum", "aria-live": "polite" });
      this.size = h("p", { class: "sum size" });
      this.own = h("textarea", { rows: 6, "aria-label": "the input's numbers, row by row" });
      this.own.addEventListener("change", () => {
        const x = parse(this.own.value);
        this.own.setAttribute("aria-invalid", !x);
        if (x) this.update({ x });
      });
      this.add(
        h("div", { class: "controls" },
          this.choice("mode", () => MODES, () => this.state.mode, (mode) => this.update({ mode })),
          choose("input", INPUTS, "x"),
          this.kernels,
          this.number("window rows", [1, 5], rows, (value) => this.resize(value, columns())),
          this.number("columns", [1, 5], columns, (value) => this.resize(rows(), value)),
          this.whole("stride", "stride", [1, 5]),
          this.whole("padding", "padding", [0, 4]),
          this.dilation),
        h("div", { class: "controls" },
          this.button("◀", () => this.step(-1), { "aria-label": "one step back" }),
          this.play,
          this.button("▶", () => this.step(1), { "aria-label": "one step on" }),
          h("span", { class: "hint" }, "or click a cell; with the keyboard: arrow keys, space")),
        h("div", { class: "row" }, stage, this.kernel),
        this.sum, this.size,
        h("details", {}, h("summary", {}, "The input's numbers, to edit"), this.own),
      );
    }

    disconnectedCallback() {
      this.halt();
    }

    // Give the kernel another size; entries that it had before stay.
    resize(rows, columns) {
      this.update({ kernel: filled(rows, columns, (i, j) => this.state.kernel[i]?.[j] ?? 0) });
    }

    // The sizes that follow from the settings; `problem` is a sentence if there is no output.
    plan() {
      const { x, kernel, mode, stride, padding } = this.state;
      const dilation = mode === "avg" ? 1 : this.state.dilation; // PyTorch's average has none
      const [H, W, k_h, k_w] = [x.length, x[0].length, kernel.length, kernel[0].length];
      const rows = outSize(H, k_h, stride, padding, dilation);
      const columns = outSize(W, k_w, stride, padding, dilation);
      let problem = null;
      if (mode !== "corr" && 2 * padding > Math.min(k_h, k_w))
        problem = `Padding ${padding} is more than half of the window: PyTorch refuses.`;
      else if (Math.min(rows, columns) < 1)
        problem = "No window fits: it spans more pixels than the padded input has.";
      return { H, W, k_h, k_w, stride, padding, dilation, rows, columns, problem };
    }

    // What the window of output [i, j] reads: rows of pixels with their weights.
    taps(i, j) {
      const { H, W, k_h, k_w, stride, padding, dilation } = this.plan();
      const { x, kernel, mode } = this.state;
      return filled(k_h, k_w, (a, b) => {
        const row = i * stride - padding + a * dilation;
        const column = j * stride - padding + b * dilation;
        const inside = row >= 0 && row < H && column >= 0 && column < W;
        const value = inside ? x[row][column] : mode === "max" ? -Infinity : 0;
        return { row, column, value, weight: kernel[a][b] };
      });
    }

    answer(i, j) {
      const taps = this.taps(i, j).flat();
      const total = (value) => taps.reduce((sum, tap) => sum + value(tap), 0);
      if (this.state.mode === "max") return Math.max(...taps.map((tap) => tap.value));
      if (this.state.mode === "avg") return total((tap) => tap.value) / taps.length;
      return total((tap) => tap.value * tap.weight);
    }

    draw() {
      const plan = this.plan();
      const { mode, x } = this.state;
      this.kernels.hidden = this.kernel.hidden = mode !== "corr";
      this.dilation.hidden = mode === "avg";
      this.own.value = x.map((row) => row.map((value) => show(value)).join(" ")).join("\n");
      this.drawKernel();
      this.size.classList.toggle("warn", Boolean(plan.problem));
      this.size.textContent = plan.problem ?? this.formula(plan);
      const places = plan.problem ? 1 : plan.rows * plan.columns;
      this.state.at = clamp(this.state.at, 0, places - 1);
      const [i, j] = [Math.floor(this.state.at / plan.columns), this.state.at % plan.columns];
      const read = plan.problem ? [] : this.taps(i, j).flat();
      const grid = this.grid(x, plan.padding, mode === "max" ? "−∞" : "0", read, plan);
      this.source.replaceChildren(h("figcaption", {}, `input ${plan.H}×${plan.W}`), grid);
      this.result.replaceChildren();
      this.sum.replaceChildren();
      if (plan.problem) return;
      const values = filled(plan.rows, plan.columns, (a, b) => this.answer(a, b));
      const one = { k_h: 1, k_w: 1, dilation: 1 };
      this.result.append(
        h("figcaption", {}, `output ${plan.rows}×${plan.columns}`),
        this.grid(values, 0, "", [{ row: i, column: j }], one));
      this.sum.append(this.arithmetic(i, j), h("strong", {}, show(values[i][j])));
    }

    drawKernel() {
      const { kernel } = this.state;
      const shape = `${kernel.length}×${kernel[0].length}`;
      if (this.matrix.dataset.shape !== shape) {
        this.matrix.dataset.shape = shape;
        this.matrix.style.gridTemplateColumns = `repeat(${kernel[0].length}, auto)`;
        const entry = (a, b) => {
          const label = `kernel, row ${a}, column ${b}`;
          const input = h("input", { inputmode: "decimal", "aria-label": label });
          onTyped(input, () => {
            const changed = structuredClone(this.state.kernel);
            changed[a][b] = parse(input.value)?.[0][0] ?? 0;
            this.update({ kernel: changed });
          });
          return input;
        };
        this.matrix.replaceChildren(...filled(kernel.length, kernel[0].length, entry).flat());
      }
      kernel.flat().forEach((value, i) => (this.matrix.children[i].value = show(value, 3)));
    }

    // A matrix as cells, tinted by sign and size; `read` cells are outlined, and their window.
    grid(matrix, pad, fill, read, { k_h, k_w, dilation }) {
      const [rows, columns] = [matrix.length + 2 * pad, matrix[0].length + 2 * pad];
      const most = Math.max(...matrix.flat().map(Math.abs)) || 1;
      const rect = (row, column, kind, [width, height] = [1, 1], strength = null) =>
        h("rect", {
          class: kind, x: (column + pad) * CELL, y: (row + pad) * CELL,
          width: width * CELL, height: height * CELL, "fill-opacity": strength,
        });
      const cell = (row, column) => {
        const value = matrix[row]?.[column];
        const padding = value === undefined;
        const kind = padding ? "pad" : value < 0 ? "minus" : "plus";
        const text = padding ? fill : show(value, 2);
        const [x, y] = [(column + pad + 0.5) * CELL, (row + pad + 0.5) * CELL];
        const style = text.length > 4 ? "font-size: 11px" : null;
        return h("g", { "data-row": row, "data-column": column },
          rect(row, column, kind, [1, 1], padding ? null : (0.6 * Math.abs(value)) / most),
          columns > 12 ? null : h("text", { x, y, dy: "0.35em", style }, text));
      };
      const span = [dilation * (k_w - 1) + 1, dilation * (k_h - 1) + 1];
      const svg = drawing(`${Math.min(columns, 12) * 2.2}rem`,
        [-2, -2, columns * CELL + 4, rows * CELL + 4],
        filled(rows, columns, (i, j) => cell(i - pad, j - pad)),
        read.map(({ row, column }) => rect(row, column, "read")),
        read.length ? rect(read[0].row, read[0].column, "frame", span) : null);
      svg.classList.add("grid");
      return svg;
    }

    // "Y[0, 1] = 1·2 + …", a line for each row of the window.
    arithmetic(i, j) {
      const signed = (value) => (value < 0 ? `(${show(value)})` : show(value));
      const terms = {
        corr: ["", (tap) => `${signed(tap.value)}·${signed(tap.weight)}`, " + ", () => ""],
        max: ["max(", (tap) => show(tap.value), ", ", () => ")"],
        avg: ["(", (tap) => signed(tap.value), " + ", (n) => `) / ${n}`],
      };
      const [before, term, between, after] = terms[this.state.mode];
      const taps = this.taps(i, j);
      const newLine = `${between.trimEnd()}\n  ${" ".repeat(before.length)}`;
      const lines = taps.map((row) => row.map(term).join(between)).join(newLine);
      return `Y[${i}, ${j}] =\n  ${before}${lines}${after(taps.flat().length)}\n  = `;
    }

    formula({ H, W, k_h, k_w, stride, padding, dilation, rows, columns }) {
      const line = (name, n, k, result) => {
        const rest = n + 2 * padding - dilation * (k - 1) - 1;
        const over = `(${n} + 2·${padding} − ${dilation}·(${k} − 1) − 1) / ${stride}`;
        return `${name}:\n  ⌊${over}⌋ + 1\n  = ⌊${rest} / ${stride}⌋ + 1 = ${result}`;
      };
      if (H === W && k_h === k_w) return line("rows and columns", H, k_h, rows);
      return `${line("rows", H, k_h, rows)}\n${line("columns", W, k_w, columns)}`;
    }

    step(by) {
      const { rows, columns, problem } = this.plan();
      if (!problem) this.update({ at: clamp(this.state.at + by, 0, rows * columns - 1) });
    }

    move(down, right) {
      const { columns } = this.plan();
      this.go(Math.floor(this.state.at / columns) + down, (this.state.at % columns) + right);
    }

    // To the output [i, j], or the nearest there is.
    go(i, j) {
      const { rows, columns, problem } = this.plan();
      if (problem) return;
      this.update({ at: clamp(i, 0, rows - 1) * columns + clamp(j, 0, columns - 1) });
    }

    // A pointer on an output goes there; on a pixel, the window goes where that is in the middle.
    point({ clientX, clientY }) {
      const cell = this.shadowRoot.elementFromPoint(clientX, clientY)?.closest("[data-row]");
      if (!cell) return;
      this.halt();
      const { k_h, k_w, stride, padding, dilation } = this.plan();
      const [row, column] = [Number(cell.dataset.row), Number(cell.dataset.column)];
      const place = (pixel, k) => Math.round((pixel + padding - (dilation * (k - 1)) / 2) / stride);
      if (this.source.contains(cell)) this.go(place(row, k_h), place(column, k_w));
      else this.go(row, column);
    }

    toggle() {
      if (this.timer) return this.halt();
      const { rows, columns } = this.plan();
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
