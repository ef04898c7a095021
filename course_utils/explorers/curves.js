// Training curves: loss by step above the accuracies by epoch, on one axis that zooms for both.
courseExplorers.define("course-curves", ({ Explorer, h, range, clamp, show, onKeys }) => {
  const [HEIGHT, LEFT, RIGHT, BOTTOM, TOP] = [210, 46, 8, 34, 10]; // of a chart, in pixels
  const COLOURS = ["blue", "orange", "green", "pink"];
  const DASHES = ["", "7 3", "2 3", "9 3 2 3"]; // colour is never the only sign

  // Round numbers between low and high, about five of them.
  function ticks(low, high) {
    const rough = (high - low) / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
    const first = Math.ceil(low / step);
    return range(Math.floor(high / step) - first + 1, first).map((i) => i * step);
  }

  // A path through points; a point without a value is a gap.
  const line = (points) =>
    points.map(([x, y], i) => (y === null ? "" : `${i && points[i - 1][1] !== null ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`)).join("");

  return class extends Explorer {
    static start = { runs: [], from: 0, to: null, at: null };

    build() {
      this.state.runs.forEach((run) => (run.shown = true));
      this.end = Math.max(...this.state.runs.map((run) => run.steps / run.per_epoch));
      this.pointers = new Map();
      this.charts = ["loss", "accuracy"].map((name) => this.chart(name));
      this.range = h("p", { "aria-live": "polite" });
      this.body = h("tbody");
      this.add(
        h("div", { class: "controls" },
          this.button("+", () => this.zoom(0.5), { "aria-label": "zoom in" }),
          this.button("−", () => this.zoom(2), { "aria-label": "zoom out" }),
          this.button("all", () => this.view(0, this.end)),
          h("span", { class: "hint" }, "drag or pinch to zoom; with the keyboard: arrows, + and −, 0 for all")),
        h("div", { class: "stage" }, this.charts),
        this.range,
        h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "values at the marked place" },
          h("table", {}, h("thead", {}, h("tr", {}, ["run", "loss", "train", "test"].map((word) => h("th", {}, word)))), this.body)),
      );
      this.body.append(...this.state.runs.map((run, i) => {
        const box = h("input", { type: "checkbox", checked: "" });
        box.addEventListener("change", () => {
          run.shown = box.checked;
          this.update();
        });
        const swatch = h("svg", { class: "swatch", viewBox: "0 0 32 12", "aria-hidden": "true" },
          h("path", { d: "M0 6H32", style: this.stroke(i), "stroke-width": 3 }));
        return h("tr", {}, h("th", {}, h("label", { class: "control check" }, box, swatch, run.name)), range(3).map(() => h("td")));
      }));
      this.follow(this.charts[0]);
    }

    stroke(i) {
      return `stroke: var(--${COLOURS[i % 4]}); stroke-dasharray: ${DASHES[i % 4] || "none"}`;
    }

    chart(name) {
      const chart = h("figure", { class: "chart", tabindex: 0, role: "application", "aria-label": `${name} by epoch: arrow keys move the mark, plus and minus zoom` });
      const away = (event) => this.release(event);
      chart.addEventListener("pointerdown", (event) => this.press(event, chart));
      chart.addEventListener("pointermove", (event) => this.drag(event, chart));
      chart.addEventListener("pointerup", away);
      chart.addEventListener("pointercancel", away);
      chart.addEventListener("dblclick", () => this.view(0, this.end));
      const by = (share) => this.mark(this.state.at + share * (this.state.to - this.state.from));
      onKeys(chart, {
        ArrowLeft: () => by(-0.02), ArrowRight: () => by(0.02), PageUp: () => by(-0.5), PageDown: () => by(0.5),
        Home: () => this.mark(0), End: () => this.mark(this.end),
        "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), 0: () => this.view(0, this.end),
      });
      return chart;
    }

    // Show the epochs from `from` to `to`, as far as there are any; never less than a few steps.
    view(from, to) {
      const width = clamp(to - from, this.end / 200, this.end);
      const start = clamp(from, 0, this.end - width);
      this.update({ from: start, to: start + width, at: clamp(this.state.at, start, start + width) });
    }

    zoom(factor) {
      const { from, to, at } = this.state;
      this.view(at - (at - from) * factor, at + (to - at) * factor);
    }

    // Move the mark; what is shown follows it.
    mark(place) {
      const at = clamp(place, 0, this.end);
      const { from, to } = this.state;
      const shift = Math.min(0, at - from) + Math.max(0, at - to);
      this.update({ at, from: from + shift, to: to + shift });
    }

    // The epoch under a pointer.
    epoch(event, chart) {
      const box = chart.getBoundingClientRect();
      const share = (event.clientX - box.left - LEFT) / (this.width - LEFT - RIGHT);
      return this.state.from + share * (this.state.to - this.state.from);
    }

    press(event, chart) {
      chart.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, this.epoch(event, chart));
      this.drag(event, chart);
    }

    drag(event, chart) {
      const here = this.epoch(event, chart);
      const held = [...this.pointers];
      if (held.length === 2 && this.pointers.has(event.pointerId)) {
        // the epoch under each finger stays under it
        const fixed = held.find(([id]) => id !== event.pointerId)[1];
        const mine = this.pointers.get(event.pointerId);
        const factor = (mine - fixed) / (here - fixed);
        if (factor > 0.05 && factor < 20)
          this.view(fixed - (fixed - this.state.from) * factor, fixed + (this.state.to - fixed) * factor);
      } else {
        const drags = held.length === 1 && event.pointerType === "mouse";
        this.band = drags ? [this.pointers.get(event.pointerId), here].sort((a, b) => a - b) : null;
        this.update({ at: clamp(here, this.state.from, this.state.to) });
      }
    }

    release(event) {
      this.pointers.delete(event.pointerId);
      const band = this.band;
      this.band = null;
      const { from, to } = this.state;
      if (band && band[1] - band[0] > 0.03 * (to - from)) this.view(...band);
      else this.update();
    }

    // The points (epoch, value) of a run: its losses, or its accuracies under `key`.
    points(run, key) {
      return key === "loss"
        ? run.loss.map((value, i) => [Math.min((i + 1) * run.every, run.steps) / run.per_epoch, value])
        : run[key].map((value, i) => [i + 1, value]);
    }

    draw() {
      this.state.to ??= this.end;
      this.state.at ??= this.end;
      this.width = this.charts[0].clientWidth;
      this.drawChart(this.charts[0], ["loss"], "loss");
      this.drawChart(this.charts[1], ["train", "test"], "accuracy (○ train, ● test)");
      const { from, to, at, runs } = this.state;
      this.range.textContent = `Epochs ${show(from, 2)} to ${show(to, 2)}; the mark is at ${show(at, 2)}.`;
      [...this.body.children].forEach((row, i) => {
        const last = (key) => this.points(runs[i], key).filter(([x]) => x <= at + 1e-9).at(-1)?.[1] ?? null;
        ["loss", "train", "test"].forEach((key, j) => {
          const value = last(key);
          row.children[j + 1].textContent = value === null ? "–" : value.toFixed(3);
        });
      });
    }

    drawChart(chart, keys, title) {
      const { from, to, at, runs } = this.state;
      const [width, height] = [Math.max(this.width, 120) - LEFT - RIGHT, HEIGHT - BOTTOM - TOP];
      const lines = runs.flatMap((run, i) => (run.shown ? keys.map((key) => ({ i, key, points: this.points(run, key) })) : []));
      const seen = lines.flatMap(({ points }) => points.filter(([x, y]) => y !== null && x >= from && x <= to).map(([, y]) => y));
      let [low, high] = seen.length ? [Math.min(...seen), Math.max(...seen)] : [0, 1];
      const air = 0.06 * (high - low) || 0.05;
      [low, high] = [low - air, high + air];
      const X = (x) => ((x - from) / (to - from)) * width;
      const Y = (y) => (y === null ? null : ((high - y) / (high - low)) * height);
      const curve = ({ i, key, points }) => {
        const drawn = points.map(([x, y]) => [X(x), Y(y)]);
        const dots = key === "loss" ? [] : drawn.map(([cx, cy]) =>
          h("circle", { cx, cy, r: 4, style: `stroke: var(--${COLOURS[i % 4]}); fill: ${key === "test" ? `var(--${COLOURS[i % 4]})` : "none"}` }));
        return [h("path", { d: line(drawn), style: this.stroke(i) }), ...dots];
      };
      const band = this.band && h("rect", { class: "band", x: X(this.band[0]), width: X(this.band[1]) - X(this.band[0]), height });
      const label = (x, y, anchor, text) => h("text", { x, y, "text-anchor": anchor }, text);
      chart.replaceChildren(
        h("figcaption", {}, title),
        h("svg", { width: "100%", viewBox: `0 0 ${width + LEFT + RIGHT} ${HEIGHT}`, "aria-hidden": "true" },
          ticks(low, high).flatMap((y) => [
            h("line", { class: "grey", x1: LEFT, x2: LEFT + width, y1: Y(y) + TOP, y2: Y(y) + TOP }),
            label(LEFT - 6, Y(y) + TOP + 4, "end", show(y))]),
          ticks(from, to).map((x) => label(X(x) + LEFT, HEIGHT - 16, "middle", show(x))),
          label(LEFT + width / 2, HEIGHT - 1, "middle", "epoch"),
          h("svg", { class: "plot", x: LEFT, y: TOP, width: width + RIGHT, height },
            band, lines.map(curve), h("line", { class: "cursor", x1: X(at), x2: X(at), y1: 0, y2: height }))));
    }
  };
});
