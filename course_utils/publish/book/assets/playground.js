"use strict";
// The page around lenet.js and digit.js: a field to draw in, ten bars, and every map of the network.
{
  const FIELD = 100; // the field's side in the unit of strokes
  const SMALLEST = 8; // a drawing smaller than this is a dot
  const { weights: packed, ...about } = LENET_WEIGHTS;
  const weights = unpack(packed);

  // field: how many pixels of the input one number sees; step: how far apart two neighbours look.
  const LAYERS = [
    { key: "C1", from: "image", name: "conv1", kind: "conv", field: 5, step: 1, side: 80,
      text: "6 maps of 28 × 28. Each slides its own 5 × 5 filter over the input" },
    { key: "S2", from: "C1", kind: "pool", of: "largest", field: 6, step: 2, side: 64,
      text: "The same maps at 14 × 14: the largest of every 2 × 2 numbers" },
    { key: "C3", from: "S2", name: "conv2", kind: "conv", field: 14, step: 2, side: 80,
      text: "16 maps of 10 × 10. Each adds up six filters, one for each map of S2" },
    { key: "S4", from: "C3", kind: "pool", of: "mean", field: 16, step: 4, side: 38,
      text: "The same maps at 5 × 5: the mean of every 2 × 2 numbers" },
    { key: "C5", from: "S4", name: "conv3", kind: "conv", field: 32, step: 0, side: 24,
      text: "120 maps of one number each: a filter of 5 × 5 now sees all that is left" },
    { key: "F6", from: "C5", name: "fc1", kind: "linear", field: 32, step: 0, side: 24,
      text: "84 numbers. Each weighs all 120" },
    { key: "logits", title: "Output", from: "F6", name: "fc2", kind: "linear", field: 32, step: 0,
      side: 24, text: "10 numbers, one for each digit. Softmax makes probabilities of them" },
  ];
  const byKey = Object.fromEntries(LAYERS.map((layer) => [layer.key, layer]));
  const title = (key) => (key === "image" ? "the input" : byKey[key].title || key);

  function nameOf(layer, map) {
    if (layer.key === "logits") return `Output for the digit ${map}`;
    return `${layer.key}, ${layer.kind === "linear" ? "number" : "map"} ${map + 1}`;
  }

  // --- small tools ------------------------------------------------------------------------------

  const find = (id) => document.getElementById(`play-${id}`);

  function make(tag, properties = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(properties))
      if (name.includes("-") || name === "role") node.setAttribute(name, value);
      else node[name] = value;
    node.append(...children);
    return node;
  }

  const picture = (side, width, label, height = side) => {
    const canvas = make("canvas", { width: side, height, role: "img", "aria-label": label });
    canvas.style.width = `${width}px`;
    return canvas;
  };

  const number = (value) => (Math.abs(value) < 0.005 ? "0" : value.toFixed(2).replace("-", "−"));

  // Colours at equal distances: those of the chapters' figures (matplotlib's viridis and RdBu).
  const parse = (stops) =>
    stops.split(" ").map((s) => [0, 2, 4].map((at) => parseInt(s.slice(at, at + 2), 16)));
  const GREY = parse("000000 ffffff");
  const VIRIDIS = parse("440154 472d7b 3b528b 2c728e 21918c 28ae80 5ec962 addc30 fde725");
  const ORANGE = "#ff9e3d"; // frames, on whatever map they lie
  const RED_BLUE = parse("053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f");

  function colour(stops, t) {
    const at = Math.min(1, Math.max(0, t)) * (stops.length - 1);
    const low = Math.min(stops.length - 2, Math.floor(at));
    return stops[low].map((c, n) => c + (stops[low + 1][n] - c) * (at - low));
  }

  function paint(canvas, data, stops, low, high) {
    const context = canvas.getContext("2d");
    const pixels = context.createImageData(canvas.width, canvas.height);
    data.forEach((value, n) => {
      pixels.data.set(colour(stops, (value - low) / (high - low || 1)), 4 * n);
      pixels.data[4 * n + 3] = 255;
    });
    context.putImageData(pixels, 0, 0);
  }

  const biggest = (data) => data.reduce((top, value) => Math.max(top, Math.abs(value)), 0);
  const mapOf = (x, c) => x.data.subarray(c * x.side ** 2, (c + 1) * x.side ** 2);
  const paintSigned = (canvas, data, limit) => paint(canvas, data, RED_BLUE, -limit, limit);

  // Outputs may be negative; all others went through ReLU. A layer has one scale for all its maps.
  const paintMap = (canvas, layer, x, c) =>
    layer.key === "logits"
      ? paintSigned(canvas, mapOf(x, c), biggest(x.data))
      : paint(canvas, mapOf(x, c), VIRIDIS, 0, biggest(x.data));

  // --- the drawing ------------------------------------------------------------------------------

  const SAMPLES = [
    ["50,14 34,22 27,42 27,60 35,80 50,87 65,79 73,60 73,42 66,22 50,14"],
    ["57,13 51,50 45,87"],
    ["28,31 36,17 52,13 67,22 68,38 56,56 40,71 27,86 50,85 75,84"],
    ["28,21 44,13 62,16 68,28 60,42 44,48 62,52 72,65 66,80 48,88 28,81"],
    ["38,14 32,36 25,57 50,57 76,55", "62,30 60,56 58,88"],
    ["69,14 50,15 35,16 33,32 30,46 46,42 63,48 70,63 62,80 46,87 28,80"],
    ["62,12 46,26 34,46 29,66 36,82 51,88 66,80 68,65 58,55 43,57 31,68"],
    ["25,18 48,17 74,15 64,36 53,60 45,88"],
    ["66,22 52,13 36,20 36,34 50,46 66,60 68,77 52,88 35,80 33,64 48,47 63,34 66,22"],
    ["68,32 58,17 42,17 32,31 38,46 54,48 66,36 69,24 67,50 62,70 56,88"],
  ];

  // A smooth line through a few points (Catmull and Rom, 1974), as many short ones.
  function smooth(text) {
    const p = text.split(" ").map((pair) => pair.split(",").map(Number));
    const line = [p[0]];
    for (let n = 0; n + 1 < p.length; n++) {
      const [a, b, c, d] = [p[Math.max(0, n - 1)], p[n], p[n + 1], p[Math.min(p.length - 1, n + 2)]];
      for (let t = 0.125; t <= 1; t += 0.125)
        line.push([0, 1].map((k) => b[k] + 0.5 * t * (c[k] - a[k]
          + t * (2 * a[k] - 5 * b[k] + 4 * c[k] - d[k] + t * (3 * (b[k] - c[k]) + d[k] - a[k])))));
    }
    return line;
  }

  let strokes = [];
  let sample = false; // whether the strokes are ours: the first own stroke then starts afresh
  let cross = null; // [x, y] of the keyboard's pen, while it is in use
  let down = false; // whether a pen, of whatever kind, is on the field

  const field = find("field");

  function begin(point) {
    if (sample) strokes = [];
    sample = false;
    down = true;
    strokes.push([point]);
    changed();
  }

  function extend(point) {
    strokes.at(-1).push(point);
    changed();
  }

  function lift() {
    down = false;
    changed();
  }

  function place(event) {
    const box = field.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * FIELD,
      ((event.clientY - box.top) / box.height) * FIELD,
    ];
  }

  field.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary) return;
    field.setPointerCapture(event.pointerId);
    cross = null;
    begin(place(event));
  });
  field.addEventListener("pointermove", (event) => {
    if (!down || cross || !event.isPrimary) return;
    const between = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    (between.length ? between : [event]).forEach((part) => extend(place(part)));
  });
  for (const name of ["pointerup", "pointercancel"])
    field.addEventListener(name, (event) => {
      if (down && !cross && event.isPrimary) lift();
    });

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  field.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    if ((event.ctrlKey || event.metaKey) && event.key === "z") {
      undo();
    } else if (arrow && !event.altKey && !event.ctrlKey && !event.metaKey) {
      cross = cross || [FIELD / 2, FIELD / 2];
      const far = event.shiftKey ? 10 : 4;
      cross = cross.map((at, k) => Math.min(96, Math.max(4, at + far * arrow[k])));
      if (down) extend(cross);
      else show();
    } else if (event.key === " " || event.key === "Enter") {
      cross = cross || [FIELD / 2, FIELD / 2];
      if (down) lift();
      else begin(cross);
    } else {
      return;
    }
    event.preventDefault();
  });
  field.addEventListener("blur", () => {
    if (cross && down) lift();
    cross = null;
    show();
  });

  function undo() {
    if (sample) strokes = [];
    else strokes.pop();
    down = false;
    changed();
  }

  find("undo").addEventListener("click", undo);
  find("clear").addEventListener("click", () => {
    strokes = [];
    down = false;
    changed();
  });

  function take(digit) {
    strokes = SAMPLES[digit].map(smooth);
    sample = true;
    down = false;
    changed();
  }

  SAMPLES.forEach((_, digit) => {
    const label = `Sample ${digit}`;
    const button = make("button", { type: "button", textContent: digit, "aria-label": label });
    button.addEventListener("click", () => take(digit));
    find("samples").append(button);
  });

  function showField() {
    const context = field.getContext("2d"), unit = field.width / FIELD;
    context.setTransform(unit, 0, 0, unit, 0, 0);
    context.clearRect(0, 0, FIELD, FIELD);
    Object.assign(context, { lineCap: "round", lineJoin: "round", lineWidth: 8 });
    context.strokeStyle = "#fff";
    for (const stroke of strokes) {
      context.beginPath();
      stroke.forEach(([x, y]) => context.lineTo(x, y));
      context.lineTo(...stroke.at(-1)); // a dot is a line, too
      context.stroke();
    }
    if (cross) {
      const [x, y] = cross;
      Object.assign(context, { lineWidth: 1.5, strokeStyle: down ? "#f0a35e" : "#6cb6e6" });
      context.beginPath();
      for (const [dx, dy] of Object.values(ARROWS)) {
        context.moveTo(x + 3 * dx, y + 3 * dy);
        context.lineTo(x + 9 * dx, y + 9 * dy);
      }
      context.stroke();
    }
  }

  // --- the answer -------------------------------------------------------------------------------

  let result = null; // what lenet5 gave for the strokes; of nothing drawn, an empty picture's
  const blank = maps(1, SIDE);

  const bars = Array.from({ length: 10 }, (_, digit) => {
    const bar = make("span", { className: "bar" }), value = make("span", { className: "value" });
    const track = make("span", { className: "track" }, bar);
    const name = make("span", { className: "digit", textContent: digit });
    const row = make("li", {}, name, track, value);
    find("bars").append(row);
    return { row, bar, value };
  });

  const named = (digit) => `${digit === 8 ? "an" : "a"} ${digit}`;

  function showAnswer() {
    const p = Array.from(result.probabilities.data), drawn = strokes.length > 0;
    const order = p.map((_, digit) => digit).sort((a, b) => p[b] - p[a]), [first, second] = order;
    bars.forEach(({ row, bar, value }, digit) => {
      bar.style.transform = `scaleX(${drawn ? p[digit] : 0})`;
      value.textContent = drawn ? p[digit].toFixed(3) : "–";
      row.classList.toggle("first", drawn && digit === first);
    });
    const sure = p[first] >= 0.8;
    const verdict = find("verdict");
    verdict.setAttribute("aria-busy", down);
    verdict.textContent = !drawn
      ? "Draw a digit."
      : sure
        ? `This is ${named(first)}, says the network.`
        : `This is ${named(first)}, or perhaps ${named(second)}: the network is not sure.`;
  }

  // --- the maps ---------------------------------------------------------------------------------

  const painters = []; // functions that bring one picture up to date
  let detailPainters = [];
  let chosen = null; // {layer, map, button}

  const input = picture(32, 96, "What the network sees: 32 by 32 pixels");
  find("input").append(input);
  const showInput = (canvas) => {
    const grey = result.image.data, { mean: m, std } = about;
    paint(canvas, grey, GREY, -m / std, (1 - m) / std);
  };
  painters.push(() => showInput(input));

  for (const layer of LAYERS) {
    const group = make("div", { className: "maps", role: "group", "aria-label": title(layer.key) });
    const range = make("span", { className: "range" });
    const heading = make("h2", { textContent: title(layer.key) });
    const text = make("p", {}, `${layer.text} `, range);
    find("layers").append(make("section", { className: "layer" }, heading, text, group));
    const count = { C1: 6, S2: 6, C3: 16, S4: 16, C5: 120, F6: 84, logits: 10 }[layer.key];
    const side = { C1: 28, S2: 14, C3: 10, S4: 5 }[layer.key] || 1;
    for (let c = 0; c < count; c++) {
      const label = nameOf(layer, c);
      const canvas = make("canvas", { width: side, height: side });
      canvas.style.width = `${layer.side}px`;
      const button = make("button", { type: "button", tabIndex: c ? -1 : 0 }, canvas);
      if (layer.key === "logits") button.append(c);
      button.setAttribute("aria-label", label);
      button.setAttribute("aria-expanded", false);
      button.addEventListener("click", () => choose(layer, c, button));
      group.append(button);
      painters.push(() => paintMap(canvas, layer, result[layer.key], c));
    }
    painters.push(() => {
      const top = biggest(result[layer.key].data), low = layer.key === "logits" ? -top : 0;
      range.textContent = `(colours: ${number(low)} to ${number(top)}).`;
    });
    group.addEventListener("keydown", (event) => walk(event, [...group.children]));
  }

  // One stop of the Tab key for each layer; arrows walk from map to map.
  function walk(event, buttons) {
    const at = buttons.indexOf(event.target.closest("button"));
    const steps = { ArrowRight: 1, ArrowLeft: -1, Home: -at, End: buttons.length - 1 - at };
    const rowLength = buttons.filter((b) => b.offsetTop === buttons[0].offsetTop).length;
    Object.assign(steps, { ArrowDown: rowLength, ArrowUp: -rowLength });
    const next = buttons[at + steps[event.key]];
    if (event.key === "Escape" && chosen) choose(chosen.layer, chosen.map, chosen.button);
    if (!next) return;
    event.preventDefault();
    buttons[at].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  // --- one map, enlarged ------------------------------------------------------------------------

  const detail = make("div", { className: "detail", role: "region", "aria-label": "One map" });

  function choose(layer, map, button) {
    const again = chosen && chosen.button === button;
    if (chosen) {
      chosen.button.setAttribute("aria-expanded", false);
      chosen.button.tabIndex = -1;
    }
    detail.remove();
    detailPainters = [];
    chosen = again ? null : { layer, map, button };
    const buttons = [...button.parentNode.children];
    buttons.forEach((other) => (other.tabIndex = other === button ? 0 : -1));
    if (!chosen) return;
    button.setAttribute("aria-expanded", true);
    detail.replaceChildren(...describe(layer, map));
    button.closest(".layer").append(detail);
    detailPainters.forEach((repaint) => repaint());
  }

  const figure = (caption, ...pictures) =>
    make("figure", {}, make("div", { className: "pictures" }, ...pictures),
      make("figcaption", { textContent: caption }));

  function describe(layer, map) {
    const close = make("button", { type: "button", className: "close", textContent: "Close" });
    close.addEventListener("click", () => {
      const { button } = chosen;
      choose(layer, map, button);
      button.focus();
    });
    const head = make("div", { className: "head" }, make("h3", { textContent: nameOf(layer, map) }), close);
    const parts = { conv: describeConv, pool: enlarged, linear: describeLinear }[layer.kind];
    return [head, make("div", { className: "parts" }, ...parts(layer, map))];
  }

  // A map, or the input, blown up, with a frame around what one number sees. `repaint` fills `small`.
  function framed(label, repaintSmall) {
    const large = picture(256, 128, label), small = make("canvas");
    const repaint = (side, row, column, size) => {
      small.width = small.height = side;
      repaintSmall(small);
      const context = large.getContext("2d"), unit = large.width / side, line = 6;
      context.imageSmoothingEnabled = false;
      context.drawImage(small, 0, 0, large.width, large.height);
      Object.assign(context, { strokeStyle: ORANGE, lineWidth: line });
      const [left, top] = [column * unit + line / 2, row * unit + line / 2];
      context.strokeRect(left, top, size * unit - line, size * unit - line);
    };
    return [large, repaint];
  }

  // The map itself, large, with a reading cursor; beside it what one of its numbers sees.
  function enlarged(layer, map) {
    const { side } = result[layer.key], pool = layer.kind === "pool";
    const [seen, showSeen] = framed("The pixels of the input that it sees", showInput);
    const [source, showSource] = framed(`The same map of ${layer.from}`, (canvas) =>
      paintMap(canvas, byKey[layer.from], result[layer.from], map),
    );
    const large = picture(side, side > 1 ? 196 : 64, "The number"), marker = make("span", { className: "marker" });
    const said = make("p", { className: "said", role: "status" });
    let at = null; // [row, column]; the largest number at first

    const repaint = () => {
      const x = result[layer.key], numbers = mapOf(x, map);
      if (!at) {
        const top = numbers.indexOf(Math.max(...numbers));
        at = [Math.floor(top / side), top % side];
      }
      const [row, column] = at, value = numbers[row * side + column];
      paintMap(large, layer, x, map);
      showSeen(32, row * layer.step, column * layer.step, layer.field);
      if (pool) showSource(2 * side, 2 * row, 2 * column, 2);
      const where = side > 1 ? `Row ${row + 1}, column ${column + 1}: ` : "Now: ";
      const cut = !pool && value === 0 ? " (the sum was negative: ReLU)" : "";
      said.setAttribute("aria-busy", down);
      said.textContent = where + number(value) + cut;
      Object.assign(marker.style, { left: `${(100 * column) / side}%`, width: `${100 / side}%` });
      Object.assign(marker.style, { top: `${(100 * row) / side}%`, height: `${100 / side}%` });
    };
    const moveTo = (place) => {
      at = place.map((n) => Math.min(side - 1, Math.max(0, Math.floor(n))));
      repaint();
    };
    const read = (event) => {
      const box = large.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left, event.clientY - box.top];
      moveTo([(y / box.height) * side, (x / box.width) * side]);
    };
    let caption = "The map is one number.";
    if (side > 1) {
      caption = "Point at a number, or walk with the arrow keys.";
      large.tabIndex = 0;
      large.setAttribute("role", "application");
      large.setAttribute("aria-label", "The map, enlarged: arrow keys read its numbers");
      large.addEventListener("pointermove", read);
      large.addEventListener("pointerdown", read);
      large.addEventListener("keydown", (event) => {
        const arrow = ARROWS[event.key];
        if (!arrow) return;
        event.preventDefault();
        moveTo([at[0] + arrow[1], at[1] + arrow[0]]);
      });
    } else {
      marker.hidden = true;
    }
    detailPainters.push(repaint);
    return [
      make("div", {}, figure(caption, make("div", { className: "large" }, large, marker)), said),
      ...(pool ? [figure(`The ${layer.of} of four numbers of ${layer.from}`, source)] : []),
      figure(`It sees ${layer.field} × ${layer.field} pixels of the input`, seen),
    ];
  }

  function filterOf(layer, map) {
    const all = weights[`${layer.name}.weight`], bias = weights[`${layer.name}.bias`];
    const each = all.length / bias.length;
    return { filter: all.subarray(map * each, (map + 1) * each), bias: bias[map] };
  }

  function describeConv(layer, map) {
    const { filter, bias } = filterOf(layer, map), limit = biggest(filter);
    const channels = filter.length / 25, width = channels === 1 ? 110 : 44;
    const pairs = Array.from({ length: channels }, (_, c) => {
      const of = channels === 1 ? "the input" : `${layer.from}, map ${c + 1}`;
      const window = picture(5, width, `Filter for ${of}`);
      paintSigned(window, filter.subarray(25 * c, 25 * (c + 1)), limit);
      if (channels === 1) return window;
      const side = result[layer.from].side, before = picture(side, width, of);
      detailPainters.push(() => paintMap(before, byKey[layer.from], result[layer.from], c));
      return make("span", { className: "pair" }, before, window);
    });
    const under = `each under the map of ${layer.from} that it slides over`;
    const what = channels === 1 ? "Its filter" : `Its ${channels} filters, ${under}`;
    const caption = `${what}: from −${number(limit)} (blue) to ${number(limit)} (red). `
      + `Add the bias ${number(bias)}; what is below zero becomes zero.`;
    const filters = figure(caption, ...pairs);
    filters.classList.toggle("wide", channels > 1);
    return [...enlarged(layer, map), filters];
  }

    function describeLinear(layer, map) {
    const { filter, bias } = filterOf(layer, map), rows = filter.length / 12;
    const own = picture(12, 168, `Its ${filter.length} weights`, rows);
    const now = picture(12, 168, "Each weight times its input", rows);
    paintSigned(own, filter, biggest(filter));
    const sum = make("p", { className: "said", role: "status" });
    detailPainters.push(() => {
      const product = filter.map((weight, n) => weight * result[layer.from].data[n]);
      paintSigned(now, product, biggest(product));
      const total = product.reduce((a, b) => a + b, 0);
      const relued = layer.key === "F6" && total + bias < 0 ? ", so ReLU makes it 0" : "";
      sum.setAttribute("aria-busy", down);
      const added = `${bias < 0 ? "−" : "+"} ${number(Math.abs(bias))} (bias)`;
      sum.textContent = `${number(total)} (all products) ${added} = ${number(total + bias)}${relued}`;
    });
    const whose = `Its weights for the ${filter.length} numbers of ${layer.from}`;
    const products = "Each weight times its number of now: what speaks for (red) and against (blue)";
    return [
      figure(`${whose}: blue below zero, red above`, own),
      make("div", {}, figure(products, now), sum),
    ];
  }

  // --- all together -----------------------------------------------------------------------------

  let waiting = false;

  function changed() {
    find("undo").disabled = find("clear").disabled = strokes.length === 0;
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      const drawn = strokes.length ? pictureOf(strokes, SMALLEST) : blank;
      result = lenet5(normalise(resize(drawn, 32), about), weights);
      show();
    });
  }

  function show() {
    showField();
    showAnswer();
    painters.forEach((repaint) => repaint());
    detailPainters.forEach((repaint) => repaint());
  }

  take(3);
}
