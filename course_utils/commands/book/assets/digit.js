"use strict";
// From strokes of a pen to the picture that the network sees, by MNIST's recipe:
// ink that fits a box of 20 × 20 pixels, with its centre of mass in the middle
// of 28 × 28. Then, as in the digits lab: 32 × 32 pixels, minus the mean, over
// the standard deviation.
//
// Strokes are lists of points [x, y], in any unit. Pictures are stacks of one
// map, as in lenet.js.

const SIDE = 28, BOX = 20;
const PEN = 1.3; // half the width of a stroke, in pixels: as dark as MNIST

// The same strokes, scaled so that their ink just fits the box. What is smaller
// than `smallest` is not enlarged as far: a dot stays a dot.
function fitBox(strokes, smallest) {
  const points = strokes.flat();
  const xs = points.map(([x]) => x), ys = points.map(([, y]) => y);
  const left = Math.min(...xs), top = Math.min(...ys);
  const size = Math.max(Math.max(...xs) - left, Math.max(...ys) - top, smallest);
  const scale = (BOX - 2 * PEN) / size;
  return strokes.map((stroke) =>
    stroke.map(([x, y]) => [(x - left) * scale, (y - top) * scale]));
}

// How far a place is from the nearest point of a stroke.
function distance(x, y, stroke) {
  let nearest = Infinity; // squared
  for (let n = 0; n < stroke.length; n++) {
    const [ax, ay] = stroke[Math.max(0, n - 1)], [bx, by] = stroke[n];
    const dx = bx - ax, dy = by - ay, squared = dx * dx + dy * dy;
    const along = squared ? ((x - ax) * dx + (y - ay) * dy) / squared : 0;
    const t = Math.min(1, Math.max(0, along)); // 0 at a, 1 at b
    const right = x - ax - t * dx, down = y - ay - t * dy;
    nearest = Math.min(nearest, right * right + down * down);
  }
  return Math.sqrt(nearest);
}

// A picture of the strokes, moved by (dx, dy): 1 on them, 0 off, grey between.
function ink(strokes, dx, dy) {
  const picture = maps(1, SIDE);
  for (let i = 0; i < SIDE; i++)
    for (let j = 0; j < SIDE; j++) {
      const x = j + 0.5 - dx, y = i + 0.5 - dy; // the middle of the pixel
      const away = Math.min(...strokes.map((stroke) => distance(x, y, stroke)));
      picture.data[i * SIDE + j] = Math.min(1, Math.max(0, PEN + 0.5 - away));
    }
  return picture;
}

// Where the ink is on average: [x, y] from the picture's corner.
function centreOfMass({ data, side }) {
  let mass = 0, x = 0, y = 0;
  data.forEach((value, n) => {
    mass += value;
    x += value * ((n % side) + 0.5);
    y += value * (Math.floor(n / side) + 0.5);
  });
  return [x / mass, y / mass];
}

// Draw, weigh, and draw again where the centre of mass belongs: in the middle of
// pixel 14 (counted from 0) of 28, as in MNIST.
function pictureOf(strokes, smallest = 0) {
  const fitted = fitBox(strokes, smallest);
  const [x, y] = centreOfMass(ink(fitted, SIDE / 4, SIDE / 4));
  const middle = SIDE / 2 + 0.5 + SIDE / 4;
  return ink(fitted, middle - x, middle - y);
}

// Another size, bilinear: each new pixel is a mean of the four nearest old ones,
// the nearer the more.
function resize({ data, side: old }, side) {
  const places = Array.from({ length: side }, (_, n) => {
    const at = ((n + 0.5) * old) / side - 0.5; // in old pixels
    const place = Math.min(old - 1, Math.max(0, at)), low = Math.floor(place);
    return [low, Math.min(old - 1, low + 1), place - low];
  });
  const resized = maps(1, side);
  places.forEach(([top, bottom, v], i) =>
    places.forEach(([left, right, h], j) => {
      const row = (r) =>
        data[r * old + left] * (1 - h) + data[r * old + right] * h;
      resized.data[i * side + j] = row(top) * (1 - v) + row(bottom) * v;
    }));
  return resized;
}

function normalise(picture, { mean, std }) {
  const data = picture.data.map((value) => (value - mean) / std);
  return maps(1, picture.side, data);
}
