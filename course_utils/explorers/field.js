// The receptive field: which pixels one unit sees through a stack of convolutions and poolings.
courseExplorers.define("course-field", (kit) => {
  const { Explorer, h, drawing, table, range, clamp, fromKeys, show, outSize, onPoint } = kit;
  const ROW = 38; // height of a layer in the drawing, in pixels

  // "conv1 5 1 2, pool1 2 2": name, kernel, stride, padding and dilation of each layer
  const stack = (size, text) => {
    const layer = (words) => {
      const [name, k, s = 1, p = 0, d = 1] = words.trim().split(" ");
      return { name, k: Number(k), s: Number(s), p: Number(p), d: Number(d) };
    };
    return { size, layers: text.split(",").map(layer) };
  };
  const STACKS = {
    LeNet: stack(28, "conv1 5 1 2, pool1 2 2, conv2 5, pool2 2 2"),
    "three 3×3": stack(15, "conv1 3, conv2 3, conv3 3"),
    "one 7×7": stack(15, "conv1 7"),
    "dilations 1, 2, 4": stack(31, "conv1 3, conv2 3 1 0 2, conv3 3 1 0 4"),
    AlexNet: stack(224, `conv1 11 4 1, pool1 3 2, conv2 5 1 2, pool2 3 2, conv3 3 1 1, conv4 3 1 1,
      conv5 3 1 1, pool3 3 2`),
    "VGG-11": stack(224, `conv1 3 1 1, pool1 2 2, conv2 3 1 1, pool2 2 2, conv3 3 1 1, conv4 3 1 1,
      pool3 2 2, conv5 3 1 1, conv6 3 1 1, pool4 2 2, conv7 3 1 1, conv8 3 1 1, pool5 2 2`),
    "ResNet-18, stem and stage 1": stack(64, `conv1 7 2 3, pool 3 2 1, 1.0.conv1 3 1 1,
      1.0.conv2 3 1 1, 1.1.conv1 3 1 1, 1.1.conv2 3 1 1`),
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
    static start = { ...STACKS.LeNet, look: null, unit: null }; // the unit in the middle at the top

    build() {
      const top = { look: null, unit: null };
      const own = () => ({ size: this.state.size, layers: this.state.layers });
      const names = () => fromKeys(range(this.levels.length - 1, 1), (i) => this.levels[i].name);
      const append = () => {
        const { layers } = this.state;
        layers.push({ name: `layer ${layers.length + 1}`, k: 3, s: 1, p: 0, d: 1 });
        this.update(top);
      };
      const says = "layers, the image below: left and right choose the unit, up and down the layer";
      this.picture = this.stage(says, {
        ArrowLeft: () => this.go(0, -1), ArrowRight: () => this.go(0, 1),
        ArrowUp: () => this.go(1, 0), ArrowDown: () => this.go(-1, 0),
      });
      onPoint(this.picture, (event) => this.point(event));
      this.image = h("figure");
      this.says = h("p", { "aria-live": "polite" });
      this.rule = h("p", { class: "sum" });
      this.body = h("tbody");
      const words = "layer,kernel,stride,padding,dilation,units,size,jump,remove".split(",");
      this.add(
        h("div", { class: "controls" },
          this.preset("network", () => STACKS, own, (stack) => ({ ...stack, ...top })),
          this.whole("image side", "size", [1, 512]),
          this.choice("layer", names, () => this.state.look,
            (look) => this.update({ look: Number(look), unit: null })),
          this.whole("unit", "unit", [0, 511])),
        this.picture, this.says, this.rule,
        h("div", { class: "row" },
          h("div", { class: "wide" },
            table("the layers, to edit", words, this.body),
            h("p", {}, this.button("+ layer", append))),
          this.image),
      );
      this.follow(this.picture);
    }

    // For the image and each layer: how many units, and size, jump and start of their field, as
    // `receptive_field` in chapter 01 follows them. Ends before a layer whose window does not fit.
    measure() {
      const levels = [{ name: "image", units: this.state.size, size: 1, jump: 1, start: 0 }];
      for (const { name, k, s, p, d } of this.state.layers) {
        const { units, size, jump, start } = levels.at(-1);
        const left = outSize(units, k, s, p, d);
        if (left < 1) break;
        const field = { size: size + d * (k - 1) * jump, jump: s * jump, start: start - p * jump };
        levels.push({ name, units: left, ...field });
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
        const inside = [...below].filter((u) => u >= 0 && u < this.levels[i - 1].units);
        sets[i - 1] = inside.sort((a, b) => a - b);
      }
      return sets;
    }

    draw() {
      const { state } = this;
      this.levels = this.measure();
      const last = this.levels.length - 1;
      state.look = clamp(state.look ?? last, Math.min(1, last), last);
      const { units } = this.levels[state.look];
      state.unit = clamp(state.unit ?? units >> 1, 0, units - 1);
      this.sets = this.seen();
      this.drawTable();
      this.drawLayers();
      this.drawImage();
      const stuck = state.layers[last]; // the first layer that does not fit
      this.says.classList.toggle("warn", Boolean(stuck));
      this.says.textContent = stuck
        ? `The window of ${stuck.name} does not fit: ${this.levels[last].units} are left for it.`
        : this.sentence();
      this.rule.textContent = state.look ? this.formula() : "";
    }

    sentence() {
      const { look, unit, size } = this.state;
      const { size: field, start, jump, name } = this.levels[look];
      const [pixels] = this.sets;
      const parts = runs(pixels).map(([a, b]) => (a === b ? a : `${a} to ${b}`));
      return `Unit ${unit} of ${name} reads ${pixels.length} of ${size} pixels along each axis: `
        + `${parts.join(", ") || "none"}. Its receptive field is ${field} pixels wide and begins `
        + `at pixel ${show(start + unit * jump)}.`;
    }

    formula() {
      const { k, s, p, d } = this.state.layers[this.state.look - 1];
      const [below, here] = this.levels.slice(this.state.look - 1);
      return `size ${below.size} + ${d}·(${k} − 1)·${below.jump} = ${here.size}\n`
        + `jump ${s}·${below.jump} = ${here.jump}\n`
        + `start ${show(below.start)} − ${p}·${below.jump} = ${show(here.start)}`;
    }

    // The layers as rows of units, each in the middle of its field; the image lies at the bottom.
    drawLayers() {
      this.width = this.picture.clientWidth;
      const width = Math.max(this.width, 200);
      const { look } = this.state;
      // where a unit begins: half a step before the middle of its field
      const begin = ({ start, size, jump }, unit) => start + (size - 1) / 2 + (unit - 0.5) * jump;
      this.left = Math.min(...this.levels.map((level) => begin(level, 0)));
      const right = Math.max(...this.levels.map((level) => begin(level, level.units)));
      this.scale = width / (right - this.left);
      const x = (level, unit) => (begin(level, unit) - this.left) * this.scale;
      const y = (i) => (this.levels.length - 1 - i) * ROW + 18;
      const rows = this.levels.map((level, i) => {
        const step = level.jump * this.scale;
        const gap = Math.min(2, 0.2 * step);
        const block = ([a, b], kind) => h("rect", {
          class: `units ${kind}`, x: x(level, a) + gap / 2, y: y(i),
          width: (b - a + 1) * step - gap, height: 14,
        });
        // units of less than four pixels would be a grey mist
        const spans = (units) => (step < 4 ? runs(units) : units.map((unit) => [unit, unit]));
        return [
          spans(range(level.units)).map((span) => block(span, "")),
          spans(this.sets[i] ?? []).map((span) => block(span, i === look ? "chosen" : "seen")),
          h("text", { class: "left", x: 0, y: y(i) - 4 }, `${level.name}: ${level.units}`),
        ];
      });
      const cones = range(look).map((i) => {
        const ends = (i, row) => [this.sets[i][0], this.sets[i].at(-1) + 1]
          .map((unit) => [x(this.levels[i], unit), row]);
        if (!this.sets[i].length) return null;
        const points = [...ends(i + 1, y(i + 1) + 14), ...ends(i, y(i)).reverse()];
        return h("polygon", { class: "cone", points: points.join(" ") });
      });
      const height = ROW * this.levels.length;
      this.picture.replaceChildren(drawing("100%", [0, 0, width, height], cones, rows));
    }

    drawImage() {
      const { size } = this.state;
      const spans = runs(this.sets[0]);
      const outline = { class: "outline", width: size, height: size, "stroke-width": size / 90 };
      const block = ([top, bottom], [left, right]) => h("rect", {
        class: "units seen", x: left, y: top, width: right - left + 1, height: bottom - top + 1,
      });
      const seen = spans.map((rows) => spans.map((columns) => block(rows, columns)));
      this.image.replaceChildren(
        h("figcaption", {}, `seen of the ${size}×${size} image`),
        drawing("9rem", [0, 0, size, size], h("rect", outline), seen));
    }

    drawTable() {
      const { layers, look } = this.state;
      const field = (i, key, word, limits) => {
        const set = (value) => {
          this.state.layers[i][key] = value;
          this.update();
        };
        const get = () => this.state.layers[i][key];
        return h("td", {}, this.input(`${word} of layer ${i + 1}`, limits, get, set));
      };
      const remove = (i) => {
        this.state.layers.splice(i, 1);
        this.update({ look: null, unit: null });
      };
      const row = (_, i) => h("tr", {},
        h("th"),
        field(i, "k", "kernel", [1, 15]), field(i, "s", "stride", [1, 8]),
        field(i, "p", "padding", [0, 8]), field(i, "d", "dilation", [1, 8]),
        h("td"), h("td"), h("td"),
        h("td", {}, this.button("✕", () => remove(i), {
          "aria-label": `remove layer ${i + 1}`, disabled: layers.length === 1,
        })));
      if (this.body.children.length !== layers.length)
        this.refill(this.body, () => layers.map(row));
      [...this.body.children].forEach((row, i) => {
        const { units = "–", size = "–", jump = "–" } = this.levels[i + 1] ?? {};
        row.classList.toggle("chosen", i + 1 === look);
        row.children[0].textContent = layers[i].name;
        [units, size, jump].forEach((value, j) => (row.children[5 + j].textContent = value));
      });
    }

    go(up, right) {
      const { look, unit } = this.state;
      const next = clamp(look + up, 1, this.levels.length - 1);
      this.update({ look: next, unit: up ? null : unit + right });
    }

    point(event) {
      const box = this.picture.getBoundingClientRect();
      const row = this.levels.length - 1 - Math.floor((event.clientY - box.top) / ROW);
      const look = clamp(row, 1, this.levels.length - 1);
      const { start, size, jump } = this.levels[look];
      const pixel = (event.clientX - box.left) / this.scale + this.left;
      this.update({ look, unit: Math.floor((pixel - start - (size - 1) / 2) / jump + 0.5) });
    }
  };
});
