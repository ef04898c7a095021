"use strict";
// LeNet-5 of the digits lab, in plain JavaScript: nothing but loops over numbers.
//
// A stack of maps is {channels, side, data}: squares of side × side numbers,
// one after the other and each row by row. The number of map c in row i and
// column j is data[(c * side + i) * side + j].

function maps(channels, side, data = new Float32Array(channels * side * side)) {
  return { channels, side, data };
}

// Slide a k × k window over the maps. For each filter o and each place:
// a bias, plus the sum of all products of a number and its weight.
function conv2d(x, weight, bias, k) {
  const y = maps(bias.length, x.side - k + 1);
  let n = 0;
  for (let o = 0; o < y.channels; o++)
    for (let i = 0; i < y.side; i++)
      for (let j = 0; j < y.side; j++) {
        let sum = bias[o];
        for (let c = 0; c < x.channels; c++)
          for (let u = 0; u < k; u++)
            for (let v = 0; v < k; v++)
              sum += x.data[(c * x.side + i + u) * x.side + j + v]
                * weight[((o * x.channels + c) * k + u) * k + v];
        y.data[n++] = sum;
      }
  return y;
}

// Cut each map into squares of 2 × 2 and make one number of each.
function pool2d(x, combine) {
  const y = maps(x.channels, Math.floor(x.side / 2));
  let n = 0;
  for (let c = 0; c < y.channels; c++)
    for (let i = 0; i < y.side; i++)
      for (let j = 0; j < y.side; j++) {
        const above = (c * x.side + 2 * i) * x.side + 2 * j;
        const below = above + x.side;
        y.data[n++] = combine(
          x.data[above], x.data[above + 1], x.data[below], x.data[below + 1]);
      }
  return y;
}

const largest = Math.max;
const mean = (a, b, c, d) => (a + b + c + d) / 4;

// A linear layer: every output is a bias plus a weighted sum of all inputs.
function linear(x, weight, bias) {
  const data = bias.map((b, o) => {
    let sum = b;
    for (let c = 0; c < x.data.length; c++)
      sum += x.data[c] * weight[o * x.data.length + c];
    return sum;
  });
  return maps(data.length, 1, data);
}

function relu(x) {
  return maps(x.channels, x.side, x.data.map((value) => Math.max(0, value)));
}

// Ten numbers to ten probabilities. Subtracting the largest first changes
// nothing, and keeps exp from overflowing.
function softmax(x) {
  const top = Math.max(...x.data);
  const e = x.data.map((value) => Math.exp(value - top));
  const sum = e.reduce((a, b) => a + b);
  return maps(x.channels, x.side, e.map((value) => value / sum));
}

// All that LeNet-5 computes of one image: 1 map of 32 × 32, normalised.
function lenet5(image, w) {
  const conv = (x, name) =>
    relu(conv2d(x, w[name + ".weight"], w[name + ".bias"], 5));
  const C1 = conv(image, "conv1"); //   6 maps of 28 × 28
  const S2 = pool2d(C1, largest); //    6 maps of 14 × 14
  const C3 = conv(S2, "conv2"); //     16 maps of 10 × 10
  const S4 = pool2d(C3, mean); //      16 maps of  5 × 5
  const C5 = conv(S4, "conv3"); //    120 maps of  1 × 1
  const F6 = relu(linear(C5, w["fc1.weight"], w["fc1.bias"])); // 84 numbers
  const logits = linear(F6, w["fc2.weight"], w["fc2.bias"]); // 10 numbers
  const probabilities = softmax(logits);
  return { image, C1, S2, C3, S4, C5, F6, logits, probabilities };
}

// Weights as the lab packed them: float32 numbers, or one byte each and a scale
// for each filter; all of it as letters (base64).
function unpack(packed) {
  const bytes = (text) =>
    Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
  const weights = {};
  for (const [name, { values, codes, scales }] of Object.entries(packed)) {
    if (values) {
      weights[name] = new Float32Array(bytes(values));
    } else {
      const scale = new Float32Array(bytes(scales));
      const code = new Int8Array(bytes(codes));
      const each = code.length / scale.length; // weights in one filter
      weights[name] = Float32Array.from(
        code, (c, n) => c * scale[Math.floor(n / each)]);
    }
  }
  return weights;
}
