// Inception and residual blocks as boxes: shapes, parameters and MACs, while the widths change.
courseExplorers.define("course-block", ({ Explorer, h, count, outSize }) => {
  const step = (k, out, key, stride = 1) => ({ k, out, key, stride });
  const POOL = { k: 3, pool: true, stride: 1 };

  // The branches of each kind, as lists of steps; `key` names the width that a person may change.
  const KINDS = {
    inception: {
      words: "Inception block",
      join: "concatenate",
      branches: (s) => [
        [step(1, s.c1, "c1")],
        [step(1, s.r3, "r3"), step(3, s.c3, "c3")],
        [step(1, s.r5, "r5"), step(5, s.c5, "c5")],
        [POOL, step(1, s.cp, "cp")],
      ],
    },
    basic: {
      words: "residual block",
      join: "add, then ReLU",
      branches: (s) => [
        [step(3, s.channels, "channels", s.stride), step(3, s.channels)],
        shortcut(s, s.channels),
      ],
    },
    bottleneck: {
      words: "bottleneck block",
      join: "add, then ReLU",
      branches: (s) => [
        [step(1, s.channels, "channels"), step(3, s.channels, null, s.stride), step(1, 4 * s.channels)],
        shortcut(s, 4 * s.channels),
      ],
    },
  };

  // The identity where shapes agree, else a 1×1 convolution.
  const shortcut = (s, out) =>
    s.stride === 1 && s.in_channels === out ? [{ identity: true }] : [step(1, out, null, s.stride)];

  const inception = (size, in_channels, c1, r3, c3, r5, c5, cp) => ({ size, in_channels, c1, r3, c3, r5, c5, cp });
  const residual = (size, in_channels, channels, stride = 1) => ({ size, in_channels, channels, stride });
  const PRESETS = {
    inception: {
      "3a": inception(28, 192, 64, 96, 128, 16, 32, 32), "3b": inception(28, 256, 128, 128, 192, 32, 96, 64),
      "4a": inception(14, 480, 192, 96, 208, 16, 48, 64), "4e": inception(14, 528, 256, 160, 320, 32, 128, 128),
      "5b": inception(7, 832, 384, 192, 384, 48, 128, 128),
    },
    basic: {
      "stage 1": residual(56, 64, 64), "stage 2, first": residual(56, 64, 128, 2), "stage 2": residual(28, 128, 128),
      "stage 3, first": residual(28, 128, 256, 2), "stage 3": residual(14, 256, 256), "stage 4": residual(7, 512, 512),
    },
    bottleneck: {
      "stage 1, first": residual(56, 64, 64), "stage 1": residual(56, 256, 64), "stage 2, first": residual(56, 256, 128, 2),
      "stage 3": residual(14, 1024, 256), "stage 4": residual(7, 2048, 512),
    },
  };

  // One step from [channels, side] on. Counted as `summary` counts: a bias or a normalisation has
  // parameters, but only the multiplications of the convolution are MACs.
  function cost([channels, side], { k, out, pool, identity, stride }, norm) {
    if (identity) return { name: "identity", shape: [channels, side], parameters: 0, macs: 0 };
    const after = outSize(side, k, stride, k >> 1);
    const halving = stride > 1 ? `, stride ${stride}` : "";
    if (pool) return { name: `${k}×${k} max pooling`, shape: [channels, after], parameters: 0, macs: 0 };
    const weights = channels * out * k * k;
    return {
      name: `${k}×${k} convolution${halving}`,
      shape: [out, after],
      parameters: weights + (norm ? 2 : 1) * out,
      macs: weights * after * after,
    };
  }

  const shapeText = ([channels, side]) => `${channels}×${side}×${side}`;

  return class extends Explorer {
    static start = { kind: "inception", stride: 1, channels: 64, batch_norm: false, ...PRESETS.inception["3a"] };

    build() {
      const presets = () => PRESETS[this.state.kind];
      const sizes = () => Object.fromEntries(Object.keys(Object.values(presets())[0]).map((key) => [key, this.state[key]]));
      this.stride = this.whole("stride", "stride", 1, 4);
      this.norm = this.check("batch normalisation", "batch_norm");
      this.from = h("div", { class: "box" });
      this.branches = h("div", { class: "branches" });
      this.join = h("div", { class: "box" });
      this.total = h("p", { "aria-live": "polite" });
      this.add(
        h("div", { class: "controls" },
          this.choice("block", () => Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, KINDS[kind].words])),
            () => this.state.kind, (kind) => this.update({ kind, ...Object.values(PRESETS[kind])[0] })),
          this.preset("sizes of", presets, sizes, (sizes) => sizes),
          this.whole("channels in", "in_channels", 1, 4096),
          this.whole("image side", "size", 1, 512),
          this.stride, this.norm),
        this.from, this.branches, this.join, this.total,
      );
    }

    // Every branch as a list of costs.
    measure() {
      const { kind, in_channels, size, batch_norm } = this.state;
      return KINDS[kind].branches(this.state).map((steps) => {
        let shape = [in_channels, size];
        return steps.map((step) => {
          const made = { ...cost(shape, step, kind !== "inception" || batch_norm), key: step.key };
          shape = made.shape;
          return made;
        });
      });
    }

    draw() {
      const { kind, in_channels, size } = this.state;
      const branches = this.measure();
      const boxes = branches.flat();
      const sum = (key) => boxes.reduce((total, box) => total + box[key], 0);
      const [parameters, macs] = [sum("parameters"), sum("macs")];
      if (this.built !== kind) this.refill(this.branches, () => branches.map((boxes) => this.branch(boxes)));
      this.built = kind;
      this.branches.style.setProperty("--columns", branches.length);
      this.stride.hidden = kind === "inception";
      this.norm.hidden = kind !== "inception";
      this.from.textContent = `input ${shapeText([in_channels, size])}`;
      [...this.branches.querySelectorAll(".box")].forEach((node, i) => {
        const box = boxes[i];
        const texts = [box.name, shapeText(box.shape), `${count(box.parameters)} parameters`, `${count(box.macs)} MACs`];
        [...node.querySelectorAll("strong, span")].forEach((part, j) => (part.textContent = texts[j]));
        node.querySelector(".bar").style.width = `${macs ? (100 * box.macs) / macs : 0}%`;
      });
      const ends = branches.map((steps) => steps.at(-1).shape);
      const channels = kind === "inception" ? ends.reduce((total, [c]) => total + c, 0) : ends[0][0];
      const out = shapeText([channels, ends[0][1]]);
      this.join.textContent = `${KINDS[kind].join}: ${out}`;
      this.total.textContent =
        `Together: ${out}, ${count(parameters)} parameters, ${count(macs)} MACs. The bars share out the MACs.`;
    }

    branch(boxes) {
      const arrow = () => h("div", { class: "arrow", "aria-hidden": "true" }, "↓");
      const nodes = boxes.map(({ key }) => h("div", { class: "box" },
        h("strong"),
        key ? h("label", {}, "channels ", this.input(`channels ${key}`, 1, 2048, () => this.state[key], (value) => this.update({ [key]: value }))) : null,
        h("span"), h("span"), h("span"), h("div", { class: "bar" })));
      return h("div", { class: "branch" }, arrow(), nodes.flatMap((node) => [node, arrow()]));
    }
  };
});
