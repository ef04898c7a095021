// A network as slabs, one per layer, and the facts of the one that is pointed at.
courseExplorers.define("course-network", ({ Explorer, h, drawing, clamp, count }) => {
  const [LANE, TALL, TOP, BOTTOM] = [140, 84, 46, 30]; // pixels
  const LETTER = 7; // as wide as one of 11 pixels may be
  const share = (part, all) => (all ? ` (${((100 * part) / all).toPrecision(2)}\u00a0%)` : "");
  const words = (n, word) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;

  return class extends Explorer {
    static start = { title: "", nodes: [], kinds: {}, at: 1 };

    build() {
      const { nodes, kinds, title } = this.state;
      const to = (at) => this.show(clamp(at, 0, nodes.length - 1));
      this.chart = this.stage(`${title}: arrow keys go from layer to layer`, {
        ArrowLeft: () => to(this.state.at - 1), ArrowRight: () => to(this.state.at + 1),
        Home: () => to(0), End: () => to(nodes.length - 1),
      });
      this.chart.classList.replace("row", "scroll");
      this.column = Math.max(60, 6 + LETTER * Math.max(...nodes.map((node) => node.shape.length)));
      const over = nodes.some((node) => node.from.some(([, skips]) => skips)) ? 34 : 0;
      this.y = (node) => TOP + over + TALL / 2 + LANE * node.lane;
      const columns = 1 + Math.max(...nodes.map((node) => node.column));
      const lowest = Math.max(...nodes.map(this.y));
      const [width, height] = [this.column * columns, lowest + TALL / 2 + BOTTOM];
      this.slabs = nodes.map((node, i) => this.slab(node, () => this.update({ at: i })));
      const arrows = nodes.map((node) => node.from.map((from) => this.arrow(node, ...from)));
      const picture = drawing(width, [0, 0, width, height], arrows, this.slabs);
      this.chart.append(picture);
      const sample = (kind) => h("span", { class: "control" },
        drawing("1rem", [0, 0, 10, 10], h("rect", { width: 10, height: 10, fill: kinds[kind] })),
        kind);
      this.name = h("strong");
      this.code = h("code", { style: "overflow-wrap: anywhere" });
      this.facts = h("span");
      this.add(
        h("strong", {}, title), this.chart,
        h("div", { class: "controls hint" }, Object.keys(kinds).map(sample)),
        h("p", { "aria-live": "polite", style: "min-height: 4.5em" },
          this.name, " ", this.code, h("br"), this.facts));
    }

    x(node) {
      return this.column * (node.column + 0.5);
    }

    half(node) {
      return node.tall ? 4 + 16 * node.wide : 5 + (LETTER / 2) * node.label[0].length;
    }

    slab(node, choose) {
      const [x, y, half] = [this.x(node), this.y(node), this.half(node)];
      const tall = Math.max(6, TALL * node.tall);
      const line = (words, y) => h("text", { x, y, style: "font-size: 11px" }, words);
      const body = node.tall
        ? [h("rect", { x: x - half, y: y - tall / 2, width: 2 * half, height: tall, rx: 2,
            fill: this.state.kinds[node.kind] }),
          node.label.map((words, i) => line(words, y - tall / 2 - 5 - 12 * (node.label.length - 1 - i))),
          line(node.shape, y + tall / 2 + 13)]
        : [h("rect", { x: x - half, y: y - 9, width: 2 * half, height: 18, rx: 9, fill: "transparent" }),
          line(node.label, y + 4)];
      const reach = { x: x - this.column / 2, y: y - TALL / 2 - TOP, width: this.column, fill: "transparent" };
      return h("g", { onclick: choose, onpointerenter: choose, style: "cursor: pointer" },
        h("rect", { ...reach, height: TALL + TOP + BOTTOM }), body);
    }

    // From one node to another; a shortcut leads over what lies between.
    arrow(node, start, skips) {
      const from = this.state.nodes[start];
      const [x1, y1, y2] = [this.x(from) + this.half(from) + 2, this.y(from), this.y(node)];
      const x2 = this.x(node) - this.half(node) - 3;
      const high = y1 - TALL / 2 - TOP;
      const d = skips
        ? `M${x1} ${y1 - 8}L${x1 + 8} ${high}H${x2 - 6}L${this.x(node)} ${y2 - 12}`
        : `M${x1} ${y1}${y1 === y2 ? "" : node.from.length > 1 ? `H${x2 - 14}` : `L${x1 + 14} ${y2}`}`
          + `L${x2} ${y2}`;
      const tip = skips ? [this.x(node), y2 - 10] : [x2 + 2, y2];
      const corners = skips
        ? [[tip[0] - 7, tip[1] - 6], [tip[0] + 1, tip[1] - 8]]
        : [[tip[0] - 6, tip[1] - 3.5], [tip[0] - 6, tip[1] + 3.5]];
      return [h("path", { d, stroke: "currentColor", style: "stroke-width: 1" }),
        h("polygon", { points: [tip, ...corners].join(" "), fill: "currentColor" })];
    }

    // Choose a layer by key, and bring it into sight.
    show(at) {
      this.update({ at });
      const x = this.x(this.state.nodes[at]);
      this.reveal(this.chart, x - this.column, x + this.column);
    }

    draw() {
      const { nodes, at, parameters, macs } = this.state;
      const node = nodes[at];
      this.slabs.forEach((slab, i) => {
        const shape = slab.querySelector("rect[rx]");
        shape.setAttribute("stroke", i === at || !nodes[i].tall ? "currentColor" : "none");
        shape.setAttribute("stroke-width", i === at ? 3 : 1);
      });
      this.name.textContent = node.name ?? node.label.join(" ");
      this.code.textContent = node.code ?? "";
      const sees = node.sees ? ` One number of it sees ${node.sees}×${node.sees} pixels.` : "";
      this.facts.textContent = `Puts out ${node.shape}.` + (node.code
        ? ` It has ${words(node.parameters, "parameter")}${share(node.parameters, parameters)} and takes `
          + `${words(node.macs, "MAC")}${share(node.macs, macs)}.${sees}`
        : "");
    }
  };
});
