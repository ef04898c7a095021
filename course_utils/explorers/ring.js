// An all-reduce round a ring of workers, step by step, and its time beside that of a boss.
courseExplorers.define("course-ring", ({ Explorer, h, drawing, range, clamp, fromKeys, count }) => {
  const [WIDTH, WIDE, TALL, GAP, NAME] = [330, 28, 15, 26, 20]; // NAME: above or below a stack
  const FLIGHT = 900; // milliseconds
  const ROUND = [1, 1.25, 1.6, 2, 2.5, 3.15, 4, 5, 6.3, 8]; // ten steps to a factor of ten
  const scale = (from) => range(41).map((i) =>
    Number((from * ROUND[i % 10] * 10 ** Math.floor(i / 10)).toPrecision(3)));

  const digits = (value, n) => Number(value.toPrecision(n));

  // 0.0564 -> "56.4 ms"
  function unit(value, of) {
    const prefixes = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"]];
    const [size, prefix] = prefixes.find(([size]) => value >= 0.9995 * size) ?? prefixes.at(-1);
    return `${digits(value / size, 3)}\u00a0${prefix}${of}`;
  }

  return class extends Explorer {
    static start = { at: 0 };
    flies = false; // whether the next drawing begins with what is sent on its way

    build() {
      const names = fromKeys(Object.keys(this.state.networks), (name) => name);
      this.play = this.button("▶ play", () => this.toggle());
      this.ring = this.stage("ring of workers: arrow keys go from step to step, space plays", {
        ArrowLeft: () => this.step(-1), ArrowRight: () => this.step(1),
        Home: () => this.step(-Infinity), End: () => this.step(Infinity), " ": () => this.toggle(),
      });
      this.films = h("figure");
      this.said = h("p", { "aria-live": "polite", style: "min-height: 6em" });
      this.times = h("div");
      this.add(
        h("style", {}, ".slide span { min-width: 4.5em }"),
        h("div", { class: "controls" },
          this.among("workers", "n", range(7, 2), String),
          h("span", { class: "control" },
            this.button("◀", () => this.step(-1), { "aria-label": "one step back" }),
            this.play,
            this.button("▶", () => this.step(1), { "aria-label": "one step on" }))),
        h("div", { class: "row" }, this.ring, h("div", { class: "chart" }, this.films, this.said)),
        h("div", { class: "controls" },
          this.choice("gradients of", () => names, () => this.state.network,
            (network) => this.update({ network }))),
        h("div", { class: "controls" },
          this.among("latency", "latency", scale(1e-6), (value) => unit(value, "s")),
          this.among("bandwidth", "bandwidth", scale(1e7), (value) => unit(value, "B/s"))),
        this.times);
    }

    disconnectedCallback() {
      this.halt();
    }

    // A slider for the number state[key], one of `values`; words(value) says it.
    among(name, key, values, words) {
      return this.slider(name, [0, values.length - 1],
        () => values.filter((value) => value < 0.999 * this.state[key]).length,
        (place) => this.update({ [key]: values[place] }), () => words(this.state[key]));
    }

    last() {
      return 2 * this.state.n - 2;
    }

    step(by) {
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      this.flies = by === 1 && !calm && this.state.at < this.last();
      this.update({ at: clamp(this.state.at + by, 0, this.last()) });
    }

    toggle() {
      if (this.timer) return this.halt();
      if (this.state.at === this.last()) this.update({ at: 0 });
      const next = () => {
        this.step(1);
        if (this.state.at === this.last()) this.halt();
      };
      this.timer = setInterval(next, 2 * FLIGHT);
      this.play.textContent = "⏸ pause";
      this.said.setAttribute("aria-live", "off"); // a voice could not keep up
      next();
    }

    halt() {
      clearInterval(this.timer);
      this.timer = null;
      this.play.textContent = "▶ play";
      this.said.setAttribute("aria-live", "polite");
    }

    // How many workers' numbers are in a chunk after step `at`, as Python counted.
    held(at, worker, chunk) {
      const { n, counts } = this.state;
      return Number(counts[n][(at * n + worker) * n + chunk]);
    }

    // The chunk that each worker sends in step `at`: the one that changes on its right.
    sent(at) {
      const { n } = this.state;
      const both = (worker, chunk) => [at - 1, at].map((step) => this.held(step, worker, chunk));
      const changes = ([before, after]) => before !== after;
      return range(at && n).map((worker) =>
        range(n).find((chunk) => changes(both((worker + 1) % n, chunk))));
    }

    draw() {
      const { flies } = this;
      this.flies = false;
      this.state.at = Math.min(this.state.at, this.last()); // there were more workers
      this.drawRing(flies);
      this.drawFilms();
      this.said.textContent = this.story();
      this.drawTimes();
    }

    story() {
      const { n, at } = this.state;
      if (!at) return `Before step 1 of ${this.last()}: a chunk holds only its own worker's numbers.`;
      const which = at === 1 ? "a chunk" : at === n ? "its complete chunk" : "the chunk that it got last";
      const what = at < n ? "adds" : "copies";
      const now = at === this.last() ? "Now all have the whole sum."
        : at < n - 1 ? `The fullest chunks have the numbers of ${at + 1} workers.`
        : `Each worker has ${at - n + 2} of ${n} chunks complete.`;
      return `Step ${at} of ${this.last()}: every worker sends its right neighbour ${which}, `
        + `and ${what} what comes from the left (framed). `
        + `Worker 0 sends chunk ${this.sent(at)[0]} to worker 1. ${now}`;
    }

    // In flight, what is sent is on its way and not yet in its new place.
    drawRing(flies) {
      const { n, at } = this.state;
      const [half, sent] = [(n * TALL) / 2, this.sent(at)];
      const places = range(n).map((worker) => { // middles of the stacks, clockwise
        const angle = (2 * Math.PI * (worker - 0.5)) / n - Math.PI / 2;
        return [(WIDTH / 2 - 30) * Math.cos(angle),
          ((half + GAP / 2) / Math.sin(Math.PI / n)) * Math.sin(angle)];
      });
      const right = (worker) => places[(worker + 1) % n];
      const text = (x, y, words, more) =>
        h("text", { x, y, dy: "0.35em", style: "font-size: 12px", ...more }, words);
      const box = ([x, y], chunk, more) => h("rect",
        { x: x - WIDE / 2, y: y - half + chunk * TALL, width: WIDE, height: TALL, ...more });
      const cell = ([x, y], chunk, held, colours, more) => h("g", {}, box([x, y], chunk, colours),
        text(x, y - half + (chunk + 0.5) * TALL, held, more));
      const stack = ([x, y], worker) => [
        range(n).map((chunk) => {
          const late = flies && sent[(worker + n - 1) % n] === chunk;
          const held = this.held(at - late, worker, chunk);
          return cell([x, y], chunk, held, { class: "plus", "fill-opacity": (0.6 * held) / n });
        }),
        range(worker ? 0 : n).map((chunk) =>
          text(x - WIDE / 2 - 5, y - half + (chunk + 0.5) * TALL, chunk, { class: "right" })),
        text(x, y > 1 ? y + half + NAME / 2 : y - half - NAME / 2, `worker ${worker}`)];
      const parcels = range(flies && n).map((worker) => h("g", { class: "parcel" },
        cell(places[worker], sent[worker], this.held(at - 1, worker, sent[worker]),
          { style: "fill: #a84a00" }, { style: "font-size: 12px; fill: white" })));
      const frames = sent.map((chunk, worker) => box(right(worker), chunk, { class: "read" }));
      const [low, high] = [-1, 1].map((side) =>
        side * (half + NAME + Math.max(...places.map(([, y]) => side * y))));
      const picture = drawing(WIDTH, [-WIDTH / 2, low, WIDTH, high - low],
        places.map((place, worker) => this.arrow(place, right(worker), worker === n - 1 ? 13 : 0)), places.map(stack),
        flies ? parcels : frames);
      picture.classList.add("grid");
      this.ring.replaceChildren(picture);
      parcels.forEach((parcel, worker) => {
        const by = places[worker].map((from, i) => `${right(worker)[i] - from}px`);
        const flight = parcel.animate({ transform: ["none", `translate(${by})`] },
          { duration: FLIGHT, easing: "ease-in-out", fill: "forwards" });
        flight.onfinish = () => parcel.isConnected && this.drawRing(false);
      });
    }

    // From the edge of one stack to that of the next, before which may be `more` pixels of numbers.
    arrow([x1, y1], [x2, y2], more) {
      const length = Math.hypot(x2 - x1, y2 - y1);
      const [u, v] = [(x2 - x1) / length, (y2 - y1) / length];
      const [start, end] = [0, more].map((more) =>
        Math.min((WIDE / 2 + 5 + more) / Math.abs(u), ((this.state.n * TALL) / 2 + 4) / Math.abs(v)));
      const [x, y] = [x2 - end * u, y2 - end * v];
      const corner = (side) => [x - 8 * u + 4 * side * v, y - 8 * v - 4 * side * u];
      return [
        h("line", { x1: x1 + start * u, y1: y1 + start * v, x2: x, y2: y, stroke: "currentColor" }),
        h("polygon", { points: [[x, y], corner(1), corner(-1)].join(" "), fill: "currentColor" })];
    }

    // All steps, small: those that add above those that copy. A click goes to one.
    drawFilms() {
      const { n, at } = this.state;
      const wide = Math.min(60, WIDTH / n);
      const side = Math.min(9, (wide - 8) / n);
      const tall = 24 + n * side;
      const film = (step) => {
        const [x, y] = [wide * (step % n), step < n ? 1 : tall + 5];
        const cell = (worker, chunk) => h("rect", {
          x: x + (wide - n * side) / 2 + worker * side, y: y + 19 + chunk * side,
          width: side - 0.5, height: side - 0.5,
          style: "fill: var(--blue)", "fill-opacity": this.held(step, worker, chunk) / n,
        });
        return h("g", { onclick: () => this.update({ at: step }), style: "cursor: pointer" },
          h("rect", { x: x + 1, y, width: wide - 2, height: tall, rx: 3, fill: "transparent",
            stroke: step === at ? "var(--orange)" : "none", "stroke-width": 2 }),
          h("text", { x: x + wide / 2, y: y + 14, style: "font-size: 12px" }, step || "start"),
          range(n).map((worker) => range(n).map((chunk) => cell(worker, chunk))));
      };
      this.films.replaceChildren(
        h("figcaption", { class: "hint" }, "All steps, the stacks side by side: first add, then copy"),
        drawing(WIDTH, [0, 0, WIDTH, 2 * tall + 6], range(2 * n - 1).map(film)));
    }

    // The others send to the boss at the same time, but on its line one after another.
    drawTimes() {
      const { n, network, networks, latency, bandwidth } = this.state;
      const bytes = 4 * networks[network];
      const [start, line, all] = [unit(latency, "s"), unit(bandwidth, "B/s"), unit(bytes, "B")];
      const ways = [
        ["ring", 2 * (n - 1), bytes / n, `2·${n - 1}·(${start} + ${unit(bytes / n, "B")} / ${line})`],
        ["boss", 2, (n - 1) * bytes, `2·(${start} + ${n - 1}·${all} / ${line})`],
      ];
      const seconds = ([, steps, sent]) => steps * (latency + sent / bandwidth);
      const most = Math.max(...ways.map(seconds));
      const part = (length, colour) => h("span", {
        class: "bar", style: `width: ${(100 * length) / most}%; background: var(--${colour})`,
      });
      const [ring] = ways.map(seconds);
      this.times.replaceChildren(...ways.flatMap((way) => [
        h("p", { class: "sum" }, `${way[0]} ${way[3]} = `, h("strong", {}, unit(seconds(way), "s"))),
        h("div", { style: "display: flex" }, part(way[1] * latency, "orange"),
          part(seconds(way) - way[1] * latency, "blue"))]),
        h("p", {}, `${count(networks[network])} parameters are ${all}. Latency (orange), the start of `
          + `every message, is ${digits((200 * (n - 1) * latency) / ring, 3)}\u00a0% of the ring's time. `
          + "All send to the boss at once, but through its one line, and it sends as many back."));
    }
  };
});
