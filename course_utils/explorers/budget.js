// Networks by accuracy and price: what a budget buys, the Pareto front in it, and whether the first
// two can be told apart.
courseExplorers.define("course-budget", (kit) => {
  const { Explorer, h, drawing, table, range, clamp, count, show, onPoint } = kit;
  const [HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [270, 44, 30, 12, 36]; // of the picture, in pixels
  const AIR = 0.04; // share of the axis before the cheapest network and beyond the dearest
  const NOTCHES = 300; // of the slider
  const STYLE = `.net { stroke: var(--blue) } .faded { opacity: 0.4 } td { white-space: nowrap }
    .controls .control { grid-column: 1 / -1 }
    .controls .slide { display: flex !important; flex: 1 1 20rem }`;
  const mean4 = ({ mean, sd }) => `${mean.toFixed(4)} ± ${sd.toFixed(4)}`;
  const short = (x) => x.toLocaleString("en", { notation: "compact" }); // 10000 -> "10K"

  // Round places on a logarithmic axis: powers of ten, or 1, 2 and 5 times them on a short one.
  function ticks(low, high) {
    const powers = range(Math.ceil(Math.log10(high)) - Math.floor(Math.log10(low)) + 1,
      Math.floor(Math.log10(low)));
    const digits = high / low > 300 ? [1] : [1, 2, 5];
    return powers.flatMap((power) => digits.map((digit) => Number(`${digit}e${power}`)))
      .filter((x) => x >= low && x <= high);
  }

  // Rounded up to three digits, so that what costs just that is within.
  function roundUp(x) {
    const unit = 10 ** (Math.floor(Math.log10(x)) - 2);
    return Number((Math.ceil(x / unit - 1e-9) * unit).toPrecision(3));
  }

  return class extends Explorer {
    static start = { nets: [], prices: {}, price: "", budget: null, recorded: "" }; // null: no limit

    build() {
      const { nets, prices } = this.state;
      const next = (way) => {
        const there = nets.map((net) => this.cost(net)).sort((a, b) => way * (a - b));
        const beyond = there.find((cost) => way * (cost - this.state.budget) > 1e-9);
        this.update({ budget: beyond ?? there.at(-1) });
      };
      this.chart = this.stage("accuracy against price: arrow keys move the budget to the next network", {
        ArrowLeft: () => next(-1), ArrowRight: () => next(1),
        Home: () => this.update({ budget: this.low }), End: () => this.update({ budget: this.high }),
      });
      onPoint(this.chart, (event) => {
        const x = event.clientX - this.chart.getBoundingClientRect().left;
        this.pay(this.priceAt((x - LEFT) / this.plot()));
      });
      this.says = h("p", { "aria-live": "polite" });
      this.body = h("tbody");
      this.priced = h("span");
      this.add(
        h("style", {}, STYLE),
        h("div", { class: "controls" },
          this.choice("price", () => prices, () => this.state.price,
            (price) => this.update({ price, budget: null })),
          this.slider("budget", [0, NOTCHES],
            () => Math.round(NOTCHES * this.share(this.state.budget)),
            (notch) => this.pay(this.worth(notch / NOTCHES)),
            () => this.words(this.state.budget))),
        h("figure", {}, h("figcaption", {}, "test accuracy (bars: ± standard deviation over seeds)"), this.chart),
        this.says,
        table("networks within the budget", ["network (● on the front)", "test accuracy", this.priced], this.body),
        h("p", { class: "hint" }, `Recorded: ${this.state.recorded}.`));
      this.follow(this.chart);
    }

    // How far a price is from the lowest to the highest, on a logarithmic scale.
    share(price) {
      return Math.log(price / this.low) / Math.log(this.high / this.low);
    }

    // The price that is so far.
    worth(share) {
      return this.low * (this.high / this.low) ** share;
    }

    pay(price) {
      this.update({ budget: clamp(roundUp(price), this.low, this.high) });
    }

    cost(net) {
      return net[this.state.price];
    }

    // 61706 -> "61,706 parameters"
    words(price) {
      return `${price < 100 ? price.toFixed(2) : count(price)} ${this.state.prices[this.state.price]}`;
    }

    // Width of the part of the picture where networks are.
    plot() {
      return Math.max(this.width, 160) - LEFT - RIGHT;
    }

    x(price) {
      return LEFT + this.plot() * (AIR + this.share(price) * (1 - 2 * AIR));
    }

    // The price at a share of the axis.
    priceAt(share) {
      return this.worth((share - AIR) / (1 - 2 * AIR));
    }

    draw() {
      const { state } = this;
      const costs = state.nets.map((net) => this.cost(net));
      [this.low, this.high] = [Math.min(...costs), Math.max(...costs)];
      state.budget = clamp(state.budget ?? this.high, this.low, this.high);
      this.width = this.chart.clientWidth;
      const within = state.nets.filter((net) => this.cost(net) <= state.budget);
      within.sort((a, b) => b.mean - a.mean);
      const beats = (b, a) => this.cost(b) <= this.cost(a) && b.mean >= a.mean
        && (this.cost(b) < this.cost(a) || b.mean > a.mean);
      const front = within.filter((a) => !within.some((b) => beats(b, a)));
      this.drawChart(within, front);
      this.says.textContent = `For ${this.words(state.budget)} you can have ${within.length} of `
        + `${state.nets.length} networks; the Pareto front has ${front.length} of these. `
        + this.verdict(within);
      this.priced.textContent = state.prices[state.price];
      this.body.replaceChildren(...within.map((net, i) => h("tr", { class: i ? null : "chosen" },
        h("th", {}, `${front.includes(net) ? "●" : "○"} ${i + 1}. ${net.name}${i ? "" : " ★"}`),
        h("td", {}, mean4(net)), h("td", {}, this.words(this.cost(net)).split(" ")[0]))));
    }

    // The first two: told apart by their seeds or not? As chapter 09 has it, by 1.96 standard errors
    // of their difference.
    verdict([first, second]) {
      if (!second) return `It is “${first.name}”.`;
      const difference = first.mean - second.mean;
      const margin = 1.96 * Math.sqrt(first.sd ** 2 / first.seeds + second.sd ** 2 / second.seeds);
      const errors = `than 1.96 standard errors of the difference (${margin.toFixed(4)})`;
      if (difference > margin)
        return `The best is “${first.name}”: it is ahead of “${second.name}” by `
          + `${difference.toFixed(4)}, more ${errors}.`;
      const [cheaper, other] = [first, second].sort((a, b) => this.cost(a) - this.cost(b));
      const bargain = this.cost(other) < 1.05 * this.cost(cheaper) // times are no more exact
        ? "They cost about the same." : `“${cheaper.name}” is the cheaper one.`;
      return `The first two, “${first.name}” and “${second.name}”, cannot be told apart by these seeds: `
        + `they differ by ${difference.toFixed(4)}, not more ${errors}. ${bargain}`;
    }

    drawChart(within, front) {
      const { nets, budget } = this.state;
      const lowest = Math.min(...nets.map((net) => net.mean - net.sd)) - 0.004;
      const highest = Math.max(...nets.map((net) => net.mean + net.sd)) + 0.004;
      const high = HEIGHT - TOP - BOTTOM;
      const y = (accuracy) => TOP + (high * (highest - accuracy)) / (highest - lowest);
      const text = (x, y, words, kind) => h("text", { x, y, class: kind }, words);
      const end = LEFT + this.plot();
      const levels = range(Math.floor(50 * highest) - Math.ceil(50 * lowest) + 1, Math.ceil(50 * lowest));
      const level = (level) => [
        h("line", { class: "grey", x1: LEFT, x2: end, y1: y(level / 50), y2: y(level / 50) }),
        text(LEFT - 6, y(level / 50) + 4, show(level / 50, 2), "right")];
      const mark = (net) => {
        const [cx, cy] = [this.x(this.cost(net)), y(net.mean)];
        const d = `M${cx} ${y(net.mean - net.sd)}V${y(net.mean + net.sd)}`;
        const style = `fill: ${front.includes(net) ? "var(--blue)" : "none"}`;
        return h("g", { class: within.includes(net) ? "net" : "net faded" },
          h("path", { d }), h("circle", { cx, cy, r: 4.5, style }));
      };
      const stairs = [...front].reverse().map((net, i) =>
        `${i ? "H" : "M"}${this.x(this.cost(net))}${i ? "V" : " "}${y(net.mean)}`);
      const at = this.x(budget);
      this.chart.replaceChildren(drawing("100%", [0, 0, end + RIGHT, HEIGHT],
        levels.map(level),
        ticks(this.priceAt(0), this.priceAt(1)).map((x) => text(this.x(x), HEIGHT - 20, short(x))),
        text(LEFT + this.plot() / 2, HEIGHT - 3, this.state.prices[this.state.price]),
        h("rect", { class: "band", x: at, y: TOP, width: end - at, height: high, style: "stroke: none" }),
        h("path", { class: "net", d: `${stairs.join("")}H${at}`, style: "stroke-width: 1" }),
        nets.map(mark), this.ranks(within, (net) => y(net.mean)),
        h("line", { class: "cursor", x1: at, x2: at, y1: TOP, y2: TOP + high })));
    }

    // Beside each mark its rank, on the left where another mark is near on the right; where two
    // numbers would meet, the later one gives way downwards.
    ranks(within, y) {
      const placed = [];
      const crowded = (net) => within.some((other) => {
        const right = this.x(this.cost(other)) - this.x(this.cost(net));
        return right > 3 && right < 24 && Math.abs(y(other) - y(net)) < 20;
      });
      return within.map((net, i) => {
        const [by, kind] = crowded(net) ? [-8, "right"] : [8, "left"];
        const x = this.x(this.cost(net)) + by;
        const near = placed.filter((other) => Math.abs(other.x - x) < 22).map((other) => other.y + 13);
        placed.push({ x, y: Math.max(y(net) - 7, ...near) });
        return h("text", { class: kind, x, y: placed[i].y + 4 }, i ? i + 1 : "1 ★");
      });
    }
  };
});
