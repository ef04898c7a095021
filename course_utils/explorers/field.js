// The receptive field: which pixels one unit sees through a stack of convolutions and poolings.
courseExplorers.define("course-field", ({ Explorer, h, range, clamp, show, outSize, onKeys }) => {
  const ROW = 38; // height of a layer in the drawing, in pixels
  const layer = (name, k, s = 1, p = 0, d = 1) => ({ name, k, s, p, d });
  const conv3 = (name) => layer(name, 3, 1, 1);
  const half = (name) => layer(name, 2, 2);
  const STACKS = {
    LeNet: { size: 28, layers: [layer("conv1", 5, 1, 2), half("pool1"), layer("conv2", 5), half("pool2")] },
    "three 3×3": { size: 15, layers: [layer("conv1", 3), layer("conv2", 3), layer("conv3", 3)] },
    "one 7×7": { size: 15, layers: [layer("conv1", 7)] },
    "dilations 1, 2, 4": { size: 31, layers: [layer("conv1", 3), layer("conv2", 3, 1, 0, 2), layer("conv3", 3, 1, 0, 4)] },
    AlexNet: { size: 224, layers: [
      layer("conv1", 11, 4, 1), layer("pool1", 3, 2), layer("conv2", 5, 1, 2), layer("pool2", 3, 2),
      conv3("conv3"), conv3("conv4"), conv3("conv5"), layer("pool3", 3, 2),
    ] },
    "VGG-11": { size: 224, layers: [
      conv3("conv1"), half("pool1"), conv3("conv2"), half("pool2"), conv3("conv3"), conv3("conv4"), half("pool3"),
      conv3("conv5"), conv3("conv6"), half("pool4"), conv3("conv7"), conv3("conv8"), half("pool5"),
    ] },
    "ResNet-18, stem and stage 1": { size: 64, layers: [
      layer("conv1", 7, 2, 3), layer("pool", 3, 2, 1), conv3("1.0.conv1"), conv3("1.0.conv2"), conv3("1.1.conv1"), conv3("1.1.conv2"),
    ] },
  };

  // [0, 1, 2, 5] -> [[0, 2], [5, 5]]
  function runs(sorted) {
    const found = [];
    for (const i of sorted) {
      if (found.length && found.at(-1)[1] === i - 1) found.at(-1)[1] = i;
      else found.push([i, i]);
    }
    return found;
  }

  return class extends Explorer {
    static start = { ...STACKS.LeNet, look: null, unit: null };

    build() {
      this.stage = h("div", {
        tabindex: 0, role: "application",
        "aria-label": "layers, the image at the bottom: left and right choose the unit, up and down the layer",
      });
      this.image = h("figure");
      this.says = h("p", { "aria-live": "polite" });
      this.rule = h("p", { class: "sum" });
      this.body = h("tbody");
      this.add(
        h("div", { class: "controls" },
          this.preset("network", () => STACKS, () => ({ size: this.state.size, layers: this.state.layers }),
            (stack) => ({ ...stack, look: null, unit: null })),
          this.whole("image side", "size", 1, 512),
          this.choice("layer", () => Object.fromEntries(this.levels.map((level, i) => [i, level.name]).slice(1)),
            () => this.state.look, (look) => this.update({ look: Number(look), unit: null })),
          this.whole("unit", "unit", 0, 511)),
        this.stage, this.says, this.rule,
        h("div", { class: "stage" },
          h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "the layers, to edit" },
            h("table", {},
              h("thead", {}, h("tr", {}, ["layer", "kernel", "stride", "padding", "dilation", "units", "size", "jump", ""].map((word) => h("th", {}, word)))),
              this.body),
            h("p", {}, this.button("+ layer", () => {
              this.state.layers.push(layer(`layer ${this.state.layers.length + 1}`, 3));
              this.update({ look: null, unit: null });
            }))),
          this.image),
      );
      onKeys(this.stage, {
        ArrowLeft: () => this.go(0, -1), ArrowRight: () => this.go(0, 1),
        ArrowUp: () => this.go(1, 0), ArrowDown: () => this.go(-1, 0),
      });
      this.stage.addEventListener("pointerdown", (event) => {
        this.stage.setPointerCapture(event.pointerId);
        this.point(event);
      });
      this.stage.addEventListener("pointermove", (event) => event.buttons && this.point(event));
      this.follow(this.stage);
    }

    // For the image and each layer: how many units, and size, jump and start of their field, as
    // `receptive_field` in chapter 01 follows them. Ends before a layer whose window does not fit.
    measure() {
      const levels = [{ name: "image", units: this.state.size, size: 1, jump: 1, start: 0 }];
      for (const { name, k, s, p, d } of this.state.layers) {
        const below = levels.at(-1);
        const units = outSize(below.units, k, s, p, d);
        if (units < 1) break;
        const { size, jump, start } = below;
        levels.push({ name, units, size: size + d * (k - 1) * jump, jump: s * jump, start: start - p * jump });
      }
      return levels;
    }

    // The units of every level that the chosen unit sees; what lies in the padding is nothing.
    seen() {
      const { layers, look, unit } = this.state;
      const sets = [];
      sets[look] = [unit];
      for (let i = look; i > 0; i--) {
        const { k, s, p, d } = layers[i - 1];
        const below = new Set(sets[i].flatMap((u) => range(k).map((a) => u * s - p + a * d)));
        sets[i - 1] = [...below].filter((u) => u >= 0 && u < this.levels[i - 1].units).sort((a, b) => a - b);
      }
      return sets;
    }

    draw() {
      this.levels = this.measure();
      const { layers } = this.state;
      const last = this.levels.length - 1;
      this.state.look = clamp(this.state.look ?? last, Math.min(1, last), last);
      const { units } = this.levels[this.state.look];
      this.state.unit = clamp(this.state.unit ?? units >> 1, 0, units - 1);
      this.sets = this.seen();
      this.drawTable();
      this.drawLayers();
      this.drawImage();
      this.says.textContent = this.sentence();
      this.says.classList.toggle("warn", last < layers.length);
      this.rule.textContent = this.formula();
    }

    sentence() {
      const { look, unit, size, layers } = this.state;
      if (this.levels.length <= layers.length)
        return `The window of ${layers[this.levels.length - 1].name} does not fit: only ${this.levels.at(-1).units} of what it reads are left.`;
      const pixels = this.sets[0];
      const { size: field, start, jump, name } = this.levels[look];
      const parts = runs(pixels).map(([a, b]) => (a === b ? a : `${a} to ${b}`)).join(", ") || "none";
      const begin = show(start + unit * jump);
      return `Unit ${unit} of ${name} reads ${pixels.length} of ${size} pixels along each axis: ${parts}. ` +
        `Its receptive field is ${field} pixels wide and begins at pixel ${begin}.`;
    }

    formula() {
      const { look, layers } = this.state;
      if (!look) return "";
      const { k, s, p, d } = layers[look - 1];
      const [below, here] = [this.levels[look - 1], this.levels[look]];
      return `size ${below.size} + ${d}·(${k} − 1)·${below.jump} = ${here.size}\n` +
        `jump ${s}·${below.jump} = ${here.jump}\nstart ${show(below.start)} − ${p}·${below.jump} = ${show(here.start)}`;
    }

    // The layers as rows of units, each in the middle of its field; the image lies at the bottom.
    drawLayers() {
      this.width = this.stage.clientWidth;
      const width = Math.max(this.width, 200);
      const { look } = this.state;
      // where a unit begins: half a step before the middle of its field
      const begin = ({ start, size, jump }, unit) => start + (size - 1) / 2 + (unit - 0.5) * jump;
      this.left = Math.min(...this.levels.map((level) => begin(level, 0)));
      const right = Math.max(...this.levels.map((level) => begin(level, level.units)));
      this.scale = width / (right - this.left);
      const x = (level, unit) => (begin(level, unit) - this.left) * this.scale;
      const y = (i) => (this.levels.length - 1 - i) * ROW + 18;
      const block = (i, [a, b], kind) => {
        const level = this.levels[i];
        const gap = Math.min(2, 0.2 * level.jump * this.scale);
        return h("rect", { class: `units ${kind}`, x: x(level, a) + gap / 2, y: y(i), width: x(level, b + 1) - x(level, a) - gap, height: 14 });
      };
      const parts = this.levels.flatMap((level, i) => {
        const shown = this.sets[i] ?? [];
        const each = level.jump * this.scale >= 4; // else they would only be a grey mist
        const spans = (units) => (each ? units.map((unit) => [unit, unit]) : runs(units));
        const others = spans(range(level.units)).map((span) => block(i, span, ""));
        const lit = spans(shown).map((span) => block(i, span, i === look ? "chosen" : "seen"));
        const label = h("text", { x: 0, y: y(i) - 4 }, `${level.name}: ${level.units}`);
        return [...others, ...lit, label];
      });
      const cones = range(look).map((i) => {
        const [low, high] = [this.sets[i], this.sets[i + 1]];
        if (!low.length || !high.length) return null;
        const edge = (level, units, row) => [[x(level, units[0]), row], [x(level, units.at(-1) + 1), row]];
        const [a, b] = edge(this.levels[i + 1], high, y(i + 1) + 14);
        const [c, d] = edge(this.levels[i], low, y(i));
        return h("polygon", { class: "cone", points: [a, b, d, c].join(" ") });
      });
      this.stage.replaceChildren(h("svg", { width: "100%", viewBox: `0 0 ${width} ${ROW * this.levels.length}`, "aria-hidden": "true" }, cones, parts));
    }

    drawImage() {
      const { size } = this.state;
      const spans = runs(this.sets[0]);
      this.image.replaceChildren(
        h("figcaption", {}, `seen of the ${size}×${size} image`),
        h("svg", { viewBox: `0 0 ${size} ${size}`, width: "9rem", "aria-hidden": "true" },
          h("rect", { class: "outline", width: size, height: size, "stroke-width": size / 90 }),
          spans.flatMap(([top, bottom]) => spans.map(([left, right]) =>
            h("rect", { class: "units seen", x: left, y: top, width: right - left + 1, height: bottom - top + 1 })))));
    }

    drawTable() {
      const { layers, look } = this.state;
      const field = (i, key, word, min, max) => {
        const set = (value) => {
          this.state.layers[i][key] = value;
          this.update();
        };
        return h("td", {}, this.input(`${word} of layer ${i + 1}`, min, max, () => this.state.layers[i][key], set));
      };
      const remove = (i) => {
        this.state.layers.splice(i, 1);
        this.update({ look: null, unit: null });
      };
      if (this.body.children.length !== layers.length)
        this.refill(this.body, () => layers.map((_, i) => h("tr", {}, h("th"),
          field(i, "k", "kernel", 1, 15), field(i, "s", "stride", 1, 8), field(i, "p", "padding", 0, 8), field(i, "d", "dilation", 1, 8),
          h("td"), h("td"), h("td"),
          h("td", {}, this.button("✕", () => remove(i), { "aria-label": `remove layer ${i + 1}`, disabled: layers.length === 1 })))));
      [...this.body.children].forEach((row, i) => {
        const { units = "–", size = "–", jump = "–" } = this.levels[i + 1] ?? {};
        row.classList.toggle("chosen", i + 1 === look);
        row.children[0].textContent = layers[i].name;
        [units, size, jump].forEach((value, j) => (row.children[5 + j].textContent = value));
      });
    }

    go(up, right) {
      const look = clamp(this.state.look + up, 1, this.levels.length - 1);
      this.update({ look, unit: up ? null : this.state.unit + right });
    }

    point(event) {
      const box = this.stage.getBoundingClientRect();
      const row = this.levels.length - 1 - Math.floor((event.clientY - box.top) / ROW);
      const look = clamp(row, 1, this.levels.length - 1);
      const { start, size, jump } = this.levels[look];
      const pixel = (event.clientX - box.left) / this.scale + this.left;
      this.update({ look, unit: Math.max(0, Math.floor((pixel - start - (size - 1) / 2) / jump + 0.5)) });
    }
  };
});
