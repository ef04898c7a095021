"use strict";
// A field to draw in: with mouse, pen or finger, or with the keys. Strokes are lists of points
// [x, y] on a field of 100 × 100. onChange() is called whenever they, or the keyboard's pen, change.
function drawingField(canvas, onChange) {
  const { clamp } = window.courseExplorers;
  const SIDE = 100, MIDDLE = [50, 50];
  const field = { strokes: [], down: false, take, undo, clear, show };
  let given = false; // whether the strokes were taken from elsewhere: an own one starts afresh
  let cross = null; // [x, y] of the keyboard's pen, while it is in use

  function begin(point) {
    if (given) field.strokes = [];
    given = false;
    field.down = true;
    field.strokes.push([point]);
    onChange();
  }

  function extend(point) {
    const stroke = field.strokes.at(-1), [x, y] = stroke.at(-1);
    if (Math.hypot(point[0] - x, point[1] - y) < 0.7) return; // a shaking hand adds only work
    stroke.push(point);
    onChange();
  }

  function lift() {
    field.down = false;
    onChange();
  }

  function take(strokes) {
    field.strokes = strokes;
    given = true;
    lift();
  }

  function undo() {
    if (given) field.strokes = [];
    field.strokes.pop();
    lift();
  }

  function clear() {
    field.strokes = [];
    lift();
  }

  // --- pointers: the first finger draws, others do nothing -------------------------------------

  function place(event) {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const [x, y] = [(event.clientX - left) / width, (event.clientY - top) / height];
    return [clamp(SIDE * x, 0, SIDE), clamp(SIDE * y, 0, SIDE)];
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary) return;
    canvas.setPointerCapture(event.pointerId); // a stroke may leave the field and come back
    cross = null;
    begin(place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (field.down && !cross && event.isPrimary) extend(place(event));
  });
  for (const name of ["pointerup", "pointercancel"])
    canvas.addEventListener(name, (event) => {
      if (field.down && !cross && event.isPrimary) lift();
    });

  // --- keys: arrows move a cross, Space puts the pen down there and lifts it ----------------------

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  function press(event) {
    const held = event.ctrlKey || event.metaKey, arrow = ARROWS[event.key];
    if (held && event.key === "z") {
      undo();
    } else if (arrow && !held && !event.altKey) {
      const far = event.shiftKey ? 10 : 4;
      cross = (cross ?? MIDDLE).map((at, k) => clamp(at + far * arrow[k], 0, SIDE));
      if (field.down) extend(cross);
      else onChange();
    } else if ((event.key === " " || event.key === "Enter") && !event.repeat) {
      cross ??= MIDDLE;
      if (field.down) lift();
      else begin(cross);
    } else {
      return;
    }
    event.preventDefault(); // the page would scroll
  }

  canvas.addEventListener("keydown", press);
  canvas.addEventListener("blur", () => {
    if (!cross) return;
    cross = null;
    lift();
  });

  // --- what one sees --------------------------------------------------------------------------------

  function show() {
    const context = canvas.getContext("2d"), unit = canvas.width / SIDE;
    const line = (points) => {
      context.beginPath();
      points.forEach(([x, y]) => context.lineTo(x, y));
      context.stroke();
    };
    context.setTransform(unit, 0, 0, unit, 0, 0);
    context.clearRect(0, 0, SIDE, SIDE);
    Object.assign(context, { lineCap: "round", lineJoin: "round", lineWidth: 8 });
    context.strokeStyle = "#fff";
    for (const stroke of field.strokes) line([stroke[0], ...stroke]); // a dot is a line, too
    if (!cross) return;
    const [x, y] = cross;
    Object.assign(context, { lineWidth: 1.5, strokeStyle: field.down ? "#f0a35e" : "#6cb6e6" });
    for (const [dx, dy] of Object.values(ARROWS))
      line([[x + 3 * dx, y + 3 * dy], [x + 9 * dx, y + 9 * dy]]);
  }

  return field;
}
