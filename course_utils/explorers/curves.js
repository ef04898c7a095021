// Training curves: the loss by step beside the accuracies by epoch, with one zoom for both.
courseExplorers.define("course-curves", (kit) => {
  const { Explorer, h, drawing, table, range, clamp, show } = kit;
  const [HEIGHT, LEFT, RIGHT, BOTTOM, TOP] = [210, 46, 8, 34, 10]; // of a chart, in pixels
  const COLOURS = ["blue", "orange", "green", "pink"];
  const DASHES = ["none", "7 3", "2 3", "9 3 2 3"]; // colour is never the only sign

  // Round numbers between low and high, about five of them.
  function ticks(low, high) {
    const rough = (high - low) / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
    const first = Math.ceil(low / step);
    return range(Math.floor(high / step) - first + 1, first).map((i) => i * step);
  }

  // A path through points [x, y]; where y is null, a gap.
  function line(points) {
    let pen = "M";
    return points.map(([x, y]) => {
      const part = y === null ? "" : `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
      pen = y === null ? "M" : "L";
      return part;
    }).join("");
  }

  // The points [epoch, value] of a run: its losses, or its accuracies under `key`.
  function points(run, key) {
    if (key !== "loss") return run[key].map((value, i) => [i + 1, value]);
    const epoch = (i) => Math.min((i + 1) * run.every, run.steps) / run.per_epoch;
    return run.loss.map((value, i) => [epoch(i), value]);
  }

  return class extends Explorer {
    static start = { runs: [], from: 0, to: null, at: null };

    build() {
      const { runs } = this.state;
      this.end = Math.max(...runs.map((run) => run.steps / run.per_epoch));
      this.pointers = new Map(); // those that are down, each with the epoch where it came down
      this.charts = ["loss", "accuracy"].map((name) => this.chart(name));
      this.range = h("p", { "aria-live": "polite" });
      const row = (run, i) => {
        run.shown = true;
        const label = this.check(run.name, () => run.shown, (shown) => {
          run.shown = shown;
          this.update();
        });
        const sample = h("path", { d: "M0 6H32", style: this.pen(i), "stroke-width": 3 });
        label.firstChild.after(drawing("2rem", [0, 0, 32, 12], sample));
        return h("tr", {}, h("th", {}, label), range(3).map(() => h("td")));
      };
      this.body = h("tbody", {}, runs.map(row));
      this.add(
        h("div", { class: "controls" },
          this.button("+", () => this.zoom(0.5), { "aria-label": "zoom in" }),
          this.button("−", () => this.zoom(2), { "aria-label": "zoom out" }),
          this.button("all", () => this.view(0, this.end)),
          h("span", { class: "hint" }, "drag or pinch to zoom; keys: arrows, + and −, 0 for all")),
        h("div", { class: "row" }, this.charts.map((chart) => chart.parentElement)),
        this.range,
        table("values at the mark", ["run", "loss", "train", "test"], this.body),
      );
      this.follow(this.charts[0]);
    }

    pen(i) {
      return `stroke: var(--${COLOURS[i % 4]}); stroke-dasharray: ${DASHES[i % 4]}`;
    }

    // An empty chart, in a figure with its title.
    chart(name) {
      const by = (share) => this.mark(this.state.at + share * (this.state.to - this.state.from));
      const all = () => this.view(0, this.end);
      const chart = this.stage(`${name} by epoch: arrow keys move the mark, plus and minus zoom`, {
        ArrowLeft: () => by(-0.02), ArrowRight: () => by(0.02),
        PageUp: () => by(-0.5), PageDown: () => by(0.5),
        Home: () => this.mark(0), End: () => this.mark(this.end),
        "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), 0: all,
      });
      chart.addEventListener("pointerdown", (event) => this.press(event, chart));
      chart.addEventListener("pointermove", (event) => this.drag(event, chart));
      chart.addEventListener("pointerup", (event) => this.release(event));
      chart.addEventListener("pointercancel", (event) => this.release(event));
      chart.addEventListener("dblclick", all);
      const every = Math.max(...this.state.runs.map((run) => run.every));
      const loss = every > 1 ? `loss, means of ${every} steps` : "loss";
      const title = name === "loss" ? loss : "accuracy (○ train, ● test)";
      h("figure", { class: "chart" }, h("figcaption", {}, title), chart);
      return chart;
    }

    // Show the epochs from `from` to `to`, as far as there are any, and not too few.
    view(from, to) {
      const width = clamp(to - from, this.end / 200, this.end);
      const start = clamp(from, 0, this.end - width);
      const at = clamp(this.state.at, start, start + width);
      this.update({ from: start, to: start + width, at });
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
      const share = (event.clientX - chart.getBoundingClientRect().left - LEFT) / this.plot();
      return this.state.from + share * (this.state.to - this.state.from);
    }

    press(event, chart) {
      chart.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, this.epoch(event, chart));
      this.drag(event, chart);
    }

    drag(event, chart) {
      const here = this.epoch(event, chart);
      const start = this.pointers.get(event.pointerId);
      const { from, to } = this.state;
      if (this.pointers.size === 2 && start !== undefined) {
        // two fingers: the epoch under each stays under it
        const [, fixed] = [...this.pointers].find(([id]) => id !== event.pointerId);
        const factor = (start - fixed) / (here - fixed);
        if (factor > 0.05 && factor < 20)
          this.view(fixed - (fixed - from) * factor, fixed + (to - fixed) * factor);
        return;
      }
      const held = start !== undefined && event.pointerType === "mouse";
      this.band = held ? [Math.min(start, here), Math.max(start, here)] : null;
      this.update({ at: clamp(here, from, to) });
    }

    release(event) {
      this.pointers.delete(event.pointerId);
      const { band, state } = this;
      this.band = null;
      if (band && band[1] - band[0] > 0.03 * (state.to - state.from)) this.view(...band);
      else this.update();
    }

    // Width of the part of a chart where curves are.
    plot() {
      return Math.max(this.width, 120) - LEFT - RIGHT;
    }

    draw() {
      const { state } = this;
      state.to ??= this.end;
      state.at ??= this.end;
      this.width = this.charts[0].clientWidth;
      this.drawChart(this.charts[0], ["loss"]);
      this.drawChart(this.charts[1], ["train", "test"]);
      const [from, to, at] = [state.from, state.to, state.at].map((epoch) => show(epoch, 2));
      this.range.textContent = `Epochs ${from} to ${to}; the mark is at ${at}.`;
      [...this.body.children].forEach((row, i) => ["loss", "train", "test"].forEach((key, j) => {
        const before = points(state.runs[i], key).filter(([x]) => x <= state.at + 1e-9);
        row.children[j + 1].textContent = before.at(-1)?.[1]?.toFixed(3) ?? "–";
      }));
    }

    drawChart(chart, keys) {
      const { from, to, at, runs } = this.state;
      const [width, height] = [this.plot(), HEIGHT - BOTTOM - TOP];
      const lines = runs.flatMap((run, i) =>
        run.shown ? keys.map((key) => ({ i, key, points: points(run, key) })) : []);
      const seen = lines.flatMap((line) => line.points)
        .filter(([x, y]) => y !== null && x >= from && x <= to).map(([, y]) => y);
      const [lowest, highest] = seen.length ? [Math.min(...seen), Math.max(...seen)] : [0, 1];
      const air = 0.06 * (highest - lowest) || 0.05;
      const [low, high] = [lowest - air, highest + air];
      const X = (x) => ((x - from) / (to - from)) * width;
      const Y = (y) => (y === null ? null : ((high - y) / (high - low)) * height);
      const curve = ({ i, key, points }) => {
        const drawn = points.map(([x, y]) => [X(x), Y(y)]);
        const fill = `fill: ${key === "test" ? `var(--${COLOURS[i % 4]})` : "none"}`;
        const style = `stroke: var(--${COLOURS[i % 4]}); ${fill}`;
        const dots = key === "loss" ? [] : drawn;
        const path = h("path", { d: line(drawn), style: this.pen(i) });
        return [path, dots.map(([cx, cy]) => h("circle", { cx, cy, r: 4, style }))];
      };
      const rule = (x1, x2, y1, y2, kind) => h("line", { class: kind, x1, x2, y1, y2 });
      const text = (x, y, words, kind) => h("text", { x, y, class: kind }, words);
      const [start, end] = this.band?.map(X) ?? [];
      chart.replaceChildren(drawing("100%", [0, 0, width + LEFT + RIGHT, HEIGHT],
        ticks(low, high).map((y) => [
          rule(LEFT, LEFT + width, Y(y) + TOP, Y(y) + TOP, "grey"),
          text(LEFT - 6, Y(y) + TOP + 4, show(y), "right")]),
        ticks(from, to).map((x) => text(X(x) + LEFT, HEIGHT - 16, show(x))),
        text(LEFT + width / 2, HEIGHT - 1, "epoch"),
        h("svg", { class: "plot", x: LEFT, y: TOP, width: width + RIGHT, height },
          this.band && h("rect", { class: "band", x: start, width: end - start, height }),
          lines.map(curve), rule(X(at), X(at), 0, height, "cursor"))));
    }
  };
});
