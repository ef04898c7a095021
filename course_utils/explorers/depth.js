// Recorded training losses of networks of many depths: the curves of one depth, and all depths at
// the step of the scrub line, side by side on one scale.
courseExplorers.define("course-depth", ({ Explorer, h, drawing, range, clamp, onPoint }) => {
  const [HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [230, 34, 12, 10, 36]; // of a chart, in pixels
  const HIGH = HEIGHT - TOP - BOTTOM;
  const PENS = [["blue", "7 3"], ["orange", "none"]]; // colour is never the only sign
  const STYLE = ".seed { stroke-width: 1; opacity: 0.5 } .mean { stroke-width: 3 } .slide { flex: 1 1 100% }";

  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  function spread(values) {
    const middle = mean(values);
    const squares = values.reduce((sum, value) => sum + (value - middle) ** 2, 0);
    return Math.sqrt(squares / (values.length - 1));
  }
  const line = (points) => "M" + points.map((point) => point.map((x) => x.toFixed(1))).join("L");

  return class extends Explorer {
    // at: the place of the depth in `depths`; step: that of the scrub line in `ends`
    static start = { depths: [], ends: [], losses: {}, at: 0, step: null, hidden: [] };

    build() {
      const { depths, ends, losses } = this.state;
      this.kinds = Object.keys(losses);
      this.top = Math.max(...Object.values(losses).flat(3));
      this.state.step ??= ends.length - 1;
      const step = (step) => this.update({ step: clamp(step, 0, ends.length - 1) });
      const go = (at) => this.update({ at: clamp(at, 0, depths.length - 1) });
      this.curves = this.stage("losses by step: left and right move the line, up and down the depth", {
        ArrowLeft: () => step(this.state.step - 1), ArrowRight: () => step(this.state.step + 1),
        Home: () => step(0), End: () => step(Infinity),
        ArrowUp: () => go(this.state.at + 1), ArrowDown: () => go(this.state.at - 1),
      });
      this.byDepth = h("div");
      const nearest = (places, value) => places.reduce((best, place, i) =>
        (Math.abs(place - value) < Math.abs(places[best] - value) ? i : best), 0);
      const share = (event, chart) =>
        (event.clientX - chart.getBoundingClientRect().left - LEFT) / this.plot();
      onPoint(this.curves, (event) => step(nearest(ends, share(event, this.curves) * ends.at(-1))));
      onPoint(this.byDepth, (event) =>
        go(nearest(depths, this.least + share(event, this.byDepth) * (this.most - this.least))));
      [this.least, this.most] = [depths[0] - 4, depths.at(-1) + 4]; // of the axis of depths
      const figure = (chart) => h("figure", { class: "chart" }, h("figcaption"), chart);
      this.says = h("p", { "aria-live": "polite", style: "margin: 0 0 0.5rem" });
      this.add(
        h("style", {}, STYLE),
        h("div", { class: "controls" },
          this.slider("layers with weights", [0, depths.length - 1],
            () => this.state.at, go, () => depths[this.state.at]),
          this.kinds.map((kind, i) => this.toggle(kind, i))),
        this.says,
        h("div", { class: "row" }, figure(this.curves), figure(this.byDepth)),
        h("p", { class: "hint" }, "Thin: each seed; thick: their mean; bars: ± standard deviation. Drag in "
          + "the curves, or use the arrow keys there, to move the line; point at a depth beside them."));
      this.follow(this.curves);
    }

    toggle(kind, i) {
      const label = this.check(kind, () => !this.state.hidden.includes(kind), (shown) => {
        const others = this.state.hidden.filter((other) => other !== kind);
        this.update({ hidden: shown ? others : [...others, kind] });
      });
      const sample = h("path", { class: "mean", d: "M0 6H32", style: this.pen(i) });
      label.firstChild.after(drawing("2rem", [0, 0, 32, 12], sample, this.mark(i, 16, 6)));
      return label;
    }

    pen(i) {
      return `stroke: var(--${PENS[i][0]}); stroke-dasharray: ${PENS[i][1]}`;
    }

    // A disc for the first kind, a square for the second.
    mark(i, x, y) {
      const style = `fill: var(--${PENS[i][0]})`;
      return i
        ? h("rect", { x: x - 4, y: y - 4, width: 8, height: 8, style })
        : h("circle", { cx: x, cy: y, r: 4.5, style });
    }

    // Width of the part of a chart where something is drawn.
    plot() {
      return Math.max(this.width, 120) - LEFT - RIGHT;
    }

    y(loss) {
      return TOP + HIGH * (1 - loss / (1.04 * this.top));
    }

    draw() {
      const { depths, ends, at, step, losses, hidden } = this.state;
      this.width = this.curves.clientWidth;
      const shown = this.kinds.map((kind, i) => [kind, i]).filter(([kind]) => !hidden.includes(kind));
      const steps = `steps ${(ends[step - 1] ?? 0) + 1} to ${ends[step]}`;
      this.drawCurves(shown);
      this.drawDepths(shown);
      const caption = (chart, words) => (chart.previousSibling.textContent = words);
      caption(this.curves, `training loss, ${depths[at]} layers`);
      caption(this.byDepth, `training loss in ${steps}`);
      const values = shown.map(([kind]) => {
        const runs = losses[kind][at].map((curve) => curve[step]);
        return `${kind} ${mean(runs).toFixed(3)} ± ${spread(runs).toFixed(3)}`;
      });
      const seeds = losses[this.kinds[0]][at].length;
      this.says.textContent = values.length
        ? `${depths[at]} layers, ${steps}: ${values.join(", ")} (mean ± standard deviation of `
          + `${seeds} seeds).`
        : "Tick at least one kind of network.";
    }

    drawCurves(shown) {
      const { ends, at, step, losses } = this.state;
      const x = (end) => LEFT + (this.plot() * end) / ends.at(-1);
      const path = (curve, i, kind) => h("path", {
        class: kind, d: line(curve.map((loss, j) => [x(ends[j]), this.y(loss)])), style: this.pen(i),
      });
      const curves = shown.map(([kind, i]) => {
        const runs = losses[kind][at];
        const middle = ends.map((_, j) => mean(runs.map((curve) => curve[j])));
        return [runs.map((curve) => path(curve, i, "seed")), path(middle, i, "mean"),
          this.mark(i, x(ends[step]), this.y(middle[step]))];
      });
      const ticks = range(4).map((i) => (i * ends.at(-1)) / 3);
      this.frame(this.curves, ticks, x, "step", x(ends[step]), curves);
    }

    drawDepths(shown) {
      const { depths, at, step, losses } = this.state;
      const x = (depth) => LEFT + (this.plot() * (depth - this.least)) / (this.most - this.least);
      const points = shown.map(([kind, i]) => {
        const runs = losses[kind].map((curves) => curves.map((curve) => curve[step]));
        const bar = (values, j) => {
          const [middle, sd] = [mean(values), spread(values)];
          const cap = (loss) => `M${x(depths[j]) - 5} ${this.y(loss)}h10m-5 0`;
          const d = `${cap(middle + sd)}V${this.y(middle - sd)}${cap(middle - sd)}`;
          return [h("path", { d, style: `stroke: var(--${PENS[i][0]})` }),
            this.mark(i, x(depths[j]), this.y(middle))];
        };
        const middles = runs.map((values, j) => [x(depths[j]), this.y(mean(values))]);
        return [h("path", { d: line(middles), style: this.pen(i) }), runs.map(bar)];
      });
      this.frame(this.byDepth, depths, x, "layers with weights", x(depths[at]), points);
    }

    // Axes, the line of what is chosen, and `parts`.
    frame(chart, ticks, x, label, chosen, parts) {
      const text = (x, y, words, kind) => h("text", { x, y, class: kind }, words);
      const end = LEFT + this.plot();
      const level = (loss) => [
        h("line", { class: "grey", x1: LEFT, x2: end, y1: this.y(loss), y2: this.y(loss) }),
        text(LEFT - 6, this.y(loss) + 4, loss.toFixed(1), "right")];
      chart.replaceChildren(drawing("100%", [0, 0, end + RIGHT, HEIGHT],
        range(Math.floor(2 * this.top) + 1).map((i) => level(i / 2)),
        ticks.map((tick) => text(x(tick), HEIGHT - 20, tick)),
        text(LEFT + this.plot() / 2, HEIGHT - 3, label),
        h("line", { class: "cursor", x1: chosen, x2: chosen, y1: TOP, y2: TOP + HIGH }), parts));
    }
  };
});
