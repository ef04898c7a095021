"use strict";
// From strokes of a pen to the picture that the network sees, by the recipe of MNIST: ink that fits
// a box of 20 × 20 pixels, its centre of mass in the middle of 28 × 28. Then, as in the digits lab:
// 32 × 32 pixels, minus the mean, over the standard deviation.
//
// Strokes are lists of points [x, y], in any unit. Pictures are stacks of one map, as in lenet.js.

const SIDE = 28, BOX = 20;
const PEN = 1.15; // half the width of a stroke in pixels: about as dark as MNIST on the whole

// The same strokes, scaled so that their ink just fits the box; a dot stays a dot.
function fitBox(strokes, smallest) {
  const points = strokes.flat(), xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
  const spread = (values) => Math.max(...values) - Math.min(...values);
  const scale = (BOX - 2 * PEN) / Math.max(spread(xs), spread(ys), smallest);
  const left = Math.min(...xs), top = Math.min(...ys);
  return strokes.map((stroke) => stroke.map(([x, y]) => [(x - left) * scale, (y - top) * scale]));
}

// How far a pixel's middle is from a stroke's nearest point.
function distance(px, py, stroke) {
  let nearest = Infinity;
  for (let n = 0; n < stroke.length; n++) {
    const [ax, ay] = stroke[Math.max(0, n - 1)], [bx, by] = stroke[n];
    const dx = bx - ax, dy = by - ay, length2 = dx * dx + dy * dy;
    const along = length2 ? ((px - ax) * dx + (py - ay) * dy) / length2 : 0;
    const t = Math.min(1, Math.max(0, along));
    nearest = Math.min(nearest, Math.hypot(px - ax - t * dx, py - ay - t * dy));
  }
  return nearest;
}

// A picture of the strokes, moved by (dx, dy): 1 on the stroke, 0 outside, grey at the edge.
function ink(strokes, dx, dy) {
  const picture = maps(1, SIDE);
  for (let i = 0; i < SIDE; i++)
    for (let j = 0; j < SIDE; j++) {
      const away = Math.min(...strokes.map((s) => distance(j + 0.5 - dx, i + 0.5 - dy, s)));
      picture.data[i * SIDE + j] = Math.min(1, Math.max(0, PEN + 0.5 - away));
    }
  return picture;
}

// Mean row and column of the ink, [x, y], counted from the picture's corner.
function centreOfMass(picture) {
  let mass = 0, x = 0, y = 0;
  picture.data.forEach((value, n) => {
    mass += value;
    x += value * ((n % picture.side) + 0.5);
    y += value * (Math.floor(n / picture.side) + 0.5);
  });
  return [x / mass, y / mass];
}

// Bilinear: each new pixel is a mean of the four old ones around its place.
function resize(picture, side) {
  const larger = maps(1, side), { data, side: old } = picture;
  const places = Array.from({ length: side }, (_, n) => {
    const at = Math.min(old - 1, Math.max(0, ((n + 0.5) * old) / side - 0.5));
    const low = Math.floor(at);
    return [low, Math.min(old - 1, low + 1), at - low];
  });
  places.forEach(([top, bottom, v], i) =>
    places.forEach(([left, right, h], j) => {
      const row = (r) => data[r * old + left] * (1 - h) + data[r * old + right] * h;
      larger.data[i * side + j] = row(top) * (1 - v) + row(bottom) * v;
    }),
  );
  return larger;
}

const normalise = (x, { mean, std }) => maps(1, x.side, x.data.map((value) => (value - mean) / std));

// `smallest`: a drawing smaller than this is not enlarged further. Returns a picture of 28 × 28.
function pictureOf(strokes, smallest) {
  const fitted = fitBox(strokes, smallest), corner = (SIDE - BOX) / 2 + PEN;
  const [x, y] = centreOfMass(ink(fitted, corner, corner));
  // MNIST's mean is at the middle of pixel 14, counted from 0
  return ink(fitted, corner + SIDE / 2 + 0.5 - x, corner + SIDE / 2 + 0.5 - y);
}
