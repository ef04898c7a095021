"use strict";
// The page "Draw a digit": a field, the answer of lenet.js as ten bars, a nudge against it
// (nudge.js), and all maps (maps.js).
{
  const { h, range } = window.courseExplorers;
  const DOT = 8; // of the field's 100: a drawing smaller than this is not made larger
  const find = (id) => document.getElementById(`play-${id}`);
  const weights = unpack(LENET_WEIGHTS.weights);
  const field = drawingField(find("field"), changed);
  const layers = find("layers"); // on the title page there are none, and no nudge
  const showMaps = layers ? featureMaps(layers, weights, LENET_WEIGHTS) : () => {};
  const nudger = layers
    ? nudgeButton(find("nudge"), find("nudged"), weights, LENET_WEIGHTS, soon)
    : { result: null, see() {}, forget() {} };

  // --- ten digits for those who have no pen -----------------------------------------------------

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

  // A smooth line through a few points (Catmull and Rom, 1974), as many short straight ones.
  function smooth(text) {
    const points = text.split(" ").map((pair) => pair.split(",").map(Number));
    const line = [points[0]];
    for (let n = 0; n + 1 < points.length; n++) {
      const b = points[n], c = points[n + 1];
      const a = points[n - 1] ?? b, d = points[n + 2] ?? c;
      for (let t = 0.125; t <= 1; t += 0.125)
        line.push([0, 1].map((k) => b[k] + 0.5 * t * (c[k] - a[k]
          + t * (2 * a[k] - 5 * b[k] + 4 * c[k] - d[k] + t * (3 * (b[k] - c[k]) + d[k] - a[k])))));
    }
    return line;
  }

  const take = (digit) => field.take(SAMPLES[digit].map(smooth));

  find("samples").append(...range(10).map((digit) =>
    h("button", { type: "button", "aria-label": `Sample ${digit}`, onclick: () => take(digit) }, digit)));
  find("undo").addEventListener("click", field.undo);
  find("clear").addEventListener("click", field.clear);

  // --- the answer -------------------------------------------------------------------------------

  const bars = range(10).map((digit) => {
    const bar = h("span", { class: "bar" }), value = h("span", { class: "value" });
    const row = h("li", {}, h("span", {}, digit), h("span", { class: "track" }, bar), value);
    return { row, bar, value };
  });
  find("bars").append(...bars.map(({ row }) => row));
  const input = h("canvas", { width: 32, height: 32, role: "img", "aria-label": "What the network sees" });
  find("input").append(input);

  function showAnswer(result, drawn) {
    const probabilities = result.probabilities.data;
    const [first, second] = firstTwo(result.probabilities);
    bars.forEach(({ row, bar, value }, digit) => {
      bar.style.transform = `scaleX(${drawn ? probabilities[digit] : 0})`;
      value.textContent = drawn ? probabilities[digit].toFixed(3) : "–";
      row.classList.toggle("first", drawn && digit === first);
    });
    const unsure = `, or perhaps ${named(second)}: the network is not sure.`;
    const sure = probabilities[first] >= 0.8;
    const answer = `This is ${named(first)}${sure ? ", says the network." : unsure}`;
    find("verdict").setAttribute("aria-busy", field.down); // read out when the pen is lifted
    find("verdict").textContent = drawn ? answer : "Draw a digit.";
  }

  // --- all together: at most one answer for each picture on the screen ----------------------------

  let waiting = false;

  function changed() {
    nudger.forget();
    soon();
  }

  function soon() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(show);
  }

  function show() {
    waiting = false;
    const drawn = field.strokes.length > 0;
    const drawing = drawn ? pictureOf(field.strokes, DOT) : maps(1, SIDE);
    const result = nudger.result ?? lenet5(normalise(resize(drawing, 32), LENET_WEIGHTS), weights);
    find("undo").disabled = find("clear").disabled = !drawn;
    field.show();
    showAnswer(result, drawn);
    paintInput(input, result.image, LENET_WEIGHTS);
    nudger.see(result, drawn);
    showMaps(result, field.down);
  }

  take(3);
}
