"use strict";
// All maps of LeNet-5, layer by layer, and one of them enlarged with what made it.

const LENET_LAYERS = [
  // field: side of what one number sees of the input, in pixels; step: from one number to the next
  { key: "C1", from: "image", name: "conv1", kind: "conv", count: 6, field: 5, step: 1, shown: 80,
    text: "6 maps of 28 × 28. Each slides its own 5 × 5 filter over the input" },
  { key: "S2", from: "C1", kind: "pool", of: "largest", count: 6, field: 6, step: 2, shown: 64,
    text: "The same maps at 14 × 14: the largest of every 2 × 2 numbers" },
  { key: "C3", from: "S2", name: "conv2", kind: "conv", count: 16, field: 14, step: 2, shown: 80,
    text: "16 maps of 10 × 10. Each adds up six filters, one for each map of S2" },
  { key: "S4", from: "C3", kind: "pool", of: "mean", count: 16, field: 16, step: 4, shown: 38,
    text: "The same maps at 5 × 5: the mean of every 2 × 2 numbers" },
  { key: "C5", from: "S4", name: "conv3", kind: "conv", count: 120, field: 32, step: 0, shown: 24,
    text: "120 maps of one number each: a filter of 5 × 5 now sees all that is left" },
  { key: "F6", from: "C5", name: "fc1", kind: "linear", count: 84, shown: 24,
    text: "84 numbers. Each weighs all 120" },
  { key: "logits", title: "Output", from: "F6", name: "fc2", kind: "linear", count: 10, shown: 24,
    text: "10 numbers, one for each digit. Softmax makes probabilities of them" },
];

// --- pictures of numbers --------------------------------------------------------------------------

// Colours at equal distances, as in the chapters: matplotlib's gray, viridis and RdBu_r.
const COLOURS = Object.fromEntries(
  Object.entries({
    grey: "000000 ffffff",
    map: "440154 472d7b 3b528b 2c728e 21918c 28ae80 5ec962 addc30 fde725",
    signed: "053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f",
  }).map(([name, stops]) => [name, stops.split(" ").map((stop) => [0, 2, 4].map(
    (at) => parseInt(stop.slice(at, at + 2), 16)))]),
);

function colourAt(stops, t) {
  const place = Math.min(1, Math.max(0, t)) * (stops.length - 1);
  const low = Math.min(stops.length - 2, Math.floor(place));
  return stops[low].map((c, n) => c + (stops[low + 1][n] - c) * (place - low));
}

// One pixel for each number: `low` has the first of the colours, `high` the last.
function paintNumbers(canvas, data, stops, low, high) {
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(canvas.width, canvas.height);
  data.forEach((value, n) => {
    pixels.data.set([...colourAt(stops, (value - low) / (high - low || 1)), 255], 4 * n);
  });
  context.putImageData(pixels, 0, 0);
}

const biggest = (data) => data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

const paintSigned = (canvas, data) =>
  paintNumbers(canvas, data, COLOURS.signed, -biggest(data), biggest(data));

const paintInput = (canvas, image, { mean, std }) =>
  paintNumbers(canvas, image.data, COLOURS.grey, -mean / std, (1 - mean) / std);

const numbersOf = (x, c) => x.data.subarray(c * x.side ** 2, (c + 1) * x.side ** 2);

// All maps of a layer have one scale. Only the outputs did not go through ReLU.
function paintMap(canvas, layer, x, c) {
  const [stops, low] = layer.key === "logits" ? [COLOURS.signed, -1] : [COLOURS.map, 0];
  paintNumbers(canvas, numbersOf(x, c), stops, low * biggest(x.data), biggest(x.data));
}

// --- layers ---------------------------------------------------------------------------------------

// Puts all layers into `parent`; returns show(result, busy), which brings them up to date.
// settings: mean and std of the input. busy: more will come at once, so nothing is read out.
function featureMaps(parent, weights, settings) {
  const { h, clamp, onKeys, show: text } = window.courseExplorers;
  const layerOf = Object.fromEntries(LENET_LAYERS.map((layer) => [layer.key, layer]));
  const painters = []; // each brings one thing up to date
  let detailPainters = [];
  let result = null, busy = false, chosen = null;

  function nameOf(layer, map) {
    if (layer.key === "logits") return `Output for the digit ${map}`;
    return `${layer.key}, ${layer.kind === "linear" ? "number" : "map"} ${map + 1}`;
  }

  const picture = (side, width, label, height = side) =>
    h("canvas", { width: side, height, style: `width:${width}px`, role: "img", "aria-label": label });

  function addLayer(layer) {
    const title = layer.title ?? layer.key, side = result[layer.key].side;
    const scale = h("span", { class: "range" });
    const group = h("div", { class: "maps", role: "group", "aria-label": title });
    parent.append(h("section", { class: "layer" }, h("h2", {}, title), h("p", {}, layer.text, " ", scale), group));
    const buttons = Array.from({ length: layer.count }, (_, map) => {
      const canvas = h("canvas", { width: side, height: side, style: `width:${layer.shown}px` });
      const button = h("button", {
        type: "button", tabindex: map ? -1 : 0, "aria-expanded": "false", "aria-label": nameOf(layer, map),
        onclick: (event) => choose(layer, map, button, event.detail ? placeIn(canvas, event, side) : null),
      }, canvas, layer.key === "logits" ? map : null);
      painters.push(() => paintMap(canvas, layer, result[layer.key], map));
      return button;
    });
    group.append(...buttons);
    painters.push(() => {
      const top = biggest(result[layer.key].data), low = layer.key === "logits" ? -top : 0;
      scale.textContent = `(colours: ${text(low, 2)} to ${text(top, 2)}).`;
    });
    walkWithArrows(group, buttons);
  }

  // One stop of the Tab key for each layer; arrows walk from map to map.
  function walkWithArrows(group, buttons) {
    const at = () => buttons.indexOf(document.activeElement);
    const inRow = () => buttons.filter((b) => b.offsetTop === buttons[0].offsetTop).length;
    const go = (place) => {
      const next = buttons[place];
      if (!next) return;
      for (const button of buttons) button.tabIndex = button === next ? 0 : -1;
      next.focus();
    };
    onKeys(group, {
      ArrowRight: () => go(at() + 1), ArrowLeft: () => go(at() - 1),
      ArrowDown: () => go(at() + inRow()), ArrowUp: () => go(at() - inRow()),
      Home: () => go(0), End: () => go(buttons.length - 1),
    });
  }

  // --- one map, enlarged --------------------------------------------------------------------------

  const detail = h("div", { class: "detail", role: "region", "aria-label": "One map" });
  onKeys(detail, { Escape: () => close() });

  function close() {
    const { button } = chosen;
    choose(chosen.layer, chosen.map, button);
    button.focus();
  }

  // Which of side × side numbers the pointer is at: [row, column].
  function placeIn(canvas, event, side) {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const places = [(event.clientY - top) / height, (event.clientX - left) / width];
    return places.map((n) => clamp(Math.floor(n * side), 0, side - 1));
  }

  // A second time closes it again. at: [row, column] of the number to begin with, or null.
  function choose(layer, map, button, at = null) {
    const again = chosen?.button === button;
    chosen?.button.setAttribute("aria-expanded", "false");
    for (const other of button.parentNode.children) other.tabIndex = other === button ? 0 : -1;
    detailPainters = [];
    detail.remove();
    chosen = again ? null : { layer, map, button };
    if (again) return;
    button.setAttribute("aria-expanded", "true");
    const parts = { conv: describeConv, pool: enlarge, linear: describeLinear }[layer.kind](layer, map, at);
    detail.replaceChildren(
      h("div", { class: "head" }, h("h3", {}, nameOf(layer, map)),
        h("button", { type: "button", onclick: close }, "Close")),
      h("div", { class: "parts" }, parts));
    button.closest(".layer").append(detail);
    for (const repaint of detailPainters) repaint();
  }

  const figure = (caption, ...pictures) =>
    h("figure", {}, h("div", { class: "pictures" }, pictures), h("figcaption", {}, caption));

  // A line that says what changes; it is read out once the pen is lifted.
  function spoken() {
    const line = h("p", { class: "said", role: "status" });
    const say = (words) => {
      line.setAttribute("aria-busy", busy);
      line.textContent = words;
    };
    return [line, say];
  }

  // A picture blown up, with a frame around a part of it; `paint` fills its small copy.
  function framed(label, paint) {
    const large = picture(256, 128, label), small = h("canvas");
    const frame = (side, row, column, size) => {
      small.width = small.height = side;
      paint(small);
      const context = large.getContext("2d"), unit = large.width / side, line = 6;
      context.imageSmoothingEnabled = false;
      context.drawImage(small, 0, 0, large.width, large.height);
      Object.assign(context, { strokeStyle: "#ff9e3d", lineWidth: line });
      const length = size * unit - line;
      context.strokeRect(column * unit + line / 2, row * unit + line / 2, length, length);
    };
    return [large, frame];
  }

  // The map, large, with a reading cursor; beside it what the number there sees.
  // at: [row, column], or null for the largest number. explain(row, column): how it came about.
  function enlarge(layer, map, at, explain = fromPool) {
    const { side } = result[layer.key], pool = layer.kind === "pool";
    const [seen, frameSeen] = framed("The pixels that it sees", (canvas) =>
      paintInput(canvas, result.image, settings));
    const [source, frameSource] = framed(`The same map of ${layer.from}`, (canvas) =>
      paintMap(canvas, layerOf[layer.from], result[layer.from], map));
    const large = picture(side, side > 1 ? 280 : 64, "The number");
    const marker = h("span", { class: "marker" });
    const [line, say] = spoken();

    function repaint() {
      const x = result[layer.key], numbers = numbersOf(x, map);
      const top = numbers.indexOf(Math.max(...numbers));
      at ??= [Math.floor(top / side), top % side];
      const [row, column] = at, value = numbers[row * side + column];
      paintMap(large, layer, x, map);
      frameSeen(32, row * layer.step, column * layer.step, layer.field);
      if (pool) frameSource(2 * side, 2 * row, 2 * column, 2);
      const place = (n) => `${(100 * n) / side}%`;
      Object.assign(marker.style, { left: place(column), top: place(row), width: place(1), height: place(1) });
      const where = side > 1 ? `Row ${row + 1}, column ${column + 1}` : "Now";
      say(`${where}: ${text(value, 3)}. ${explain(layer, map, row, column)}`);
    }

    function read(place) {
      at = place.map((n) => clamp(n, 0, side - 1));
      repaint();
    }

    if (side > 1) {
      const point = (event) => read(placeIn(large, event, side));
      const step = (down, right) => () => read([at[0] + down, at[1] + right]);
      large.addEventListener("pointermove", point);
      large.addEventListener("pointerdown", point);
      large.tabIndex = 0;
      large.setAttribute("role", "application");
      large.setAttribute("aria-label", "The map, enlarged: arrow keys read its numbers");
      onKeys(large, {
        ArrowLeft: step(0, -1), ArrowRight: step(0, 1), ArrowUp: step(-1, 0), ArrowDown: step(1, 0),
      });
    } else {
      marker.hidden = true;
    }
    detailPainters.push(repaint);
    const caption = side > 1 ? "Point at a number, or walk with the arrow keys." : "The map is one number.";
    return [
      h("div", { class: pool ? null : "apart" }, figure(caption, h("div", { class: "large" }, large, marker)), line),
      h("div", { class: "stack" },
        pool ? figure(`The ${layer.of} of four numbers of ${layer.from}`, source) : null,
        figure(`It sees ${layer.field} × ${layer.field} pixels of the input`, seen)),
    ];
  }

  function fromPool(layer, map, row, column) {
    const x = result[layer.from], above = 2 * row * x.side + 2 * column;
    const four = [0, 1, x.side, x.side + 1].map((step) => numbersOf(x, map)[above + step]);
    return `The ${layer.of} of ${four.map((value) => text(value, 3)).join(", ")}.`;
  }

  function apart(layer, map, row, column) {
    const [weight, bias] = ["weight", "bias"].map((kind) => weights[`${layer.name}.${kind}`]);
    const k = layer.kind === "conv" ? 5 : 1;
    return takeApart(result[layer.from], weight, bias, k, map, row, column);
  }

  function describeConv(layer, map, at) {
    const from = layerOf[layer.from], { channels, side } = result[layer.from];
    const names = from ? Array.from({ length: channels }, (_, c) => nameOf(from, c)) : ["the input"];
    const paintSeen = (canvas, numbers) => (from
      ? paintNumbers(canvas, numbers, COLOURS.map, 0, biggest(result[layer.from].data))
      : paintInput(canvas, { data: numbers }, settings));
    const [columns, paintSum] = sumPictures(names, from ? 42 : 72, paintSeen);
    const framedMaps = side > 5 && from ? columns.map((column, c) => { // else it is seen anyway
      const [small, frame] = framed(names[c], (canvas) => paintMap(canvas, from, result[layer.from], c));
      small.style.width = "42px";
      column.prepend(small);
      return frame;
    }) : [];
    const explain = (_, __, row, column) => {
      const sum = apart(layer, map, row, column);
      paintSum(sum);
      for (const frame of framedMaps) frame(side, row, column, 5);
      return sumInWords(sum, true);
    };
    const order = from ? `For each map of ${layer.from}, from top to bottom` : "From left to right";
    const window = framedMaps.length ? "the map, the window in it" : "the window";
    const sum = figure(`${order}: ${window}, the filter, their products, and the sum of these. Blue is `
      + "below zero, red above.", columns);
    sum.classList.add(from ? "wide" : "alone");
    const [large, stack] = enlarge(layer, map, at, explain);
    if (!from) stack.append(sum); // small enough to stand beside the map
    return [large, stack, from ? sum : null];
  }

  function describeLinear(layer, map) {
    const { channels } = result[layer.from], rows = channels / 12;
    const [seen, own, now] = [`The ${channels} numbers of ${layer.from}`, "Their weights",
      "Each number times its weight"].map((label) => picture(12, 156, label, rows));
    const [line, say] = spoken();
    detailPainters.push(() => {
      const sum = apart(layer, map), all = (key) => sum.parts.map((part) => part[key][0]);
      paintNumbers(seen, all("seen"), COLOURS.map, 0, biggest(all("seen")));
      paintSigned(own, all("filter"));
      paintSigned(now, all("products"));
      const value = layer.key === "F6" ? Math.max(0, sum.total) : sum.total;
      say(`Now: ${text(value, 3)}. ${sumInWords(sum, layer.key === "F6")}`);
    });
    return [
      figure(`The ${channels} numbers of ${layer.from}, which it sees all`, seen),
      figure("Their weights: blue below zero, red above", own),
      figure("Each number times its weight: what speaks for (red) and against (blue)", now),
      line,
    ];
  }

  return function show(newResult, isBusy) {
    [result, busy] = [newResult, isBusy];
    if (!painters.length) LENET_LAYERS.forEach(addLayer);
    for (const repaint of [...painters, ...detailPainters]) repaint();
  };
}
