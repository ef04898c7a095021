// Inception and residual blocks as boxes: shapes, parameters and MACs, while the widths change.
courseExplorers.define("course-block", ({ Explorer, h, fromKeys, count, outSize }) => {
  const conv = (k, out, key, stride = 1) => ({ k, out, key, stride });
  const residual = { words: "residual block", join: "add, then ReLU" };

  // The branches of each kind, as lists of steps; `key` names a width that a person may change.
  const KINDS = {
    inception: {
      words: "Inception block",
      join: "concatenate",
      branches: (s) => [
        [conv(1, s.c1, "c1")],
        [conv(1, s.r3, "r3"), conv(3, s.c3, "c3")],
        [conv(1, s.r5, "r5"), conv(5, s.c5, "c5")],
        [{ pool: true }, conv(1, s.cp, "cp")],
      ],
    },
    basic: {
      ...residual,
      branches: (s) => [
        [conv(3, s.channels, "channels", s.stride), conv(3, s.channels)],
        shortcut(s, s.channels),
      ],
    },
    bottleneck: {
      ...residual,
      words: "bottleneck block",
      branches: (s) => [
        [
          conv(1, s.channels, "channels"),
          conv(3, s.channels, null, s.stride),
          conv(1, 4 * s.channels),
        ],
        shortcut(s, 4 * s.channels),
      ],
    },
  };

  // The identity where shapes agree, else a 1×1 convolution.
  const shortcut = (s, out) =>
    s.stride === 1 && s.in_channels === out ? [{ identity: true }] : [conv(1, out, null, s.stride)];

  // "28 192 64" and keys "size in_channels c1" -> { size: 28, in_channels: 192, c1: 64 }
  const sizes = (keys) => (text) => {
    const numbers = text.split(" ").map(Number);
    return fromKeys(keys.split(" "), () => numbers.shift());
  };
  const ofInception = sizes("size in_channels c1 r3 c3 r5 c5 cp");
  const ofResidual = sizes("size in_channels channels stride");
  const PRESETS = {
    inception: {
      "3a": ofInception("28 192 64 96 128 16 32 32"),
      "3b": ofInception("28 256 128 128 192 32 96 64"),
      "4a": ofInception("14 480 192 96 208 16 48 64"),
      "4e": ofInception("14 528 256 160 320 32 128 128"),
      "5b": ofInception("7 832 384 192 384 48 128 128"),
    },
    basic: {
      "ResNet-18, stage 1": ofResidual("56 64 64 1"),
      "stage 2, first": ofResidual("56 64 128 2"),
      "stage 2": ofResidual("28 128 128 1"),
      "stage 4": ofResidual("7 512 512 1"),
    },
    bottleneck: {
      "ResNet-50, stage 1, first": ofResidual("56 64 64 1"),
      "stage 1": ofResidual("56 256 64 1"),
      "stage 2, first": ofResidual("56 256 128 2"),
      "stage 4": ofResidual("7 2048 512 1"),
    },
  };

  // One step from [channels, side] on. Counted as `summary` counts: a bias or a normalisation has
  // parameters, but only the multiplications of the convolution are MACs.
  function cost([channels, side], { k, out, key, pool, identity, stride }, norm) {
    const free = { shape: [channels, side], parameters: 0, macs: 0 };
    if (identity) return { ...free, name: "identity" };
    if (pool) return { ...free, name: "3×3 max pooling" };
    const after = outSize(side, k, stride, k >> 1);
    const weights = channels * out * k * k;
    return {
      name: `${k}×${k} convolution${stride > 1 ? `, stride ${stride}` : ""}`,
      key,
      shape: [out, after],
      parameters: weights + (norm ? 2 : 1) * out,
      macs: weights * after * after,
    };
  }

  const say = ([channels, side]) => `${channels}×${side}×${side}`;

  return class extends Explorer {
    static start = {
      kind: "inception", stride: 1, channels: 64, batch_norm: false, ...PRESETS.inception["3a"],
    };

    build() {
      const { state } = this;
      const presets = () => PRESETS[state.kind];
      const first = (kind) => Object.values(PRESETS[kind])[0];
      const own = () => fromKeys(Object.keys(first(state.kind)), (key) => state[key]);
      const kinds = () => fromKeys(Object.keys(KINDS), (kind) => KINDS[kind].words);
      const change = (kind) => this.update({ kind, ...first(kind) });
      this.stride = this.whole("stride", "stride", [1, 4]);
      this.norm = this.check("batch normalisation", () => state.batch_norm,
        (batch_norm) => this.update({ batch_norm }));
      this.from = h("div", { class: "box" });
      this.branches = h("div", { class: "branches" });
      this.join = h("div", { class: "box" });
      this.total = h("p", { "aria-live": "polite" });
      this.add(
        h("div", { class: "controls" },
          this.choice("block", kinds, () => state.kind, change),
          this.preset("sizes of", presets, own, (sizes) => sizes),
          this.whole("channels in", "in_channels", [1, 4096]),
          this.whole("image side", "size", [1, 512]),
          this.stride, this.norm),
        this.from, this.branches, this.join, this.total,
      );
    }

    // The costs of all steps, branch by branch.
    measure() {
      const { kind, in_channels, size, batch_norm } = this.state;
      return KINDS[kind].branches(this.state).map((steps) => {
        let shape = [in_channels, size];
        return steps.map((step) => {
          const made = cost(shape, step, kind !== "inception" || batch_norm);
          shape = made.shape;
          return made;
        });
      });
    }

    draw() {
      const { kind, in_channels, size } = this.state;
      const branches = this.measure();
      const steps = branches.flat();
      const sum = (key) => steps.reduce((total, step) => total + step[key], 0);
      this.stride.hidden = kind === "inception";
      this.norm.hidden = kind !== "inception";
      this.from.textContent = `input ${say([in_channels, size])}`;
      if (this.built !== kind)
        this.refill(this.branches, () => branches.map((steps) => this.branch(steps)));
      this.built = kind;
      this.branches.style.setProperty("--columns", branches.length);
      [...this.branches.querySelectorAll(".box")].forEach((box, i) => {
        const { name, shape, parameters, macs } = steps[i];
        const texts = [name, say(shape), `${count(parameters)} parameters`, `${count(macs)} MACs`];
        const parts = [...box.querySelectorAll("strong, span")];
        parts.forEach((part, j) => (part.textContent = texts[j]));
        box.querySelector(".bar").style.width = `${(100 * macs) / sum("macs")}%`;
      });
      const ends = branches.map((steps) => steps.at(-1).shape);
      const channels = kind === "inception" ? ends.reduce((all, [c]) => all + c, 0) : ends[0][0];
      const out = say([channels, ends[0][1]]);
      this.join.textContent = `${KINDS[kind].join}: ${out}`;
      this.total.textContent = `Together: ${out}, ${count(sum("parameters"))} parameters, `
        + `${count(sum("macs"))} MACs. The bars share out the MACs.`;
    }

    // Empty boxes for the steps, one below the other; `draw` fills them.
    branch(steps) {
      const arrow = () => h("div", { class: "arrow", "aria-hidden": "true" }, "↓");
      const width = (key) => this.input(`channels ${key}`, [1, 2048],
        () => this.state[key], (value) => this.update({ [key]: value }));
      const boxes = steps.map(({ key }) => h("div", { class: "box" },
        h("strong"),
        key ? h("label", {}, "channels ", width(key)) : null,
        h("span"), h("span"), h("span"),
        h("div", { class: "bar" })));
      return h("div", { class: "branch" }, arrow(), boxes.map((box) => [box, arrow()]));
    }
  };
});
