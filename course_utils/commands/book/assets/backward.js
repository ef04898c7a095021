"use strict";
// The way back through LeNet-5: how much an output would grow if a pixel of the
// image grew a little, for all pixels at once. Each function takes the gradient
// with respect to what a layer gave (d), and returns that for what it was given
// (x): the same loops as in lenet.js, with the sums run the other way.

function conv2dBack(d, weight, x, k) {
  const back = maps(x.channels, x.side);
  let n = 0;
  for (let o = 0; o < d.channels; o++)
    for (let i = 0; i < d.side; i++)
      for (let j = 0; j < d.side; j++) {
        const gradient = d.data[n++];
        if (gradient === 0) continue; // half of them, behind ReLU
        for (let c = 0; c < x.channels; c++)
          for (let u = 0; u < k; u++)
            for (let v = 0; v < k; v++)
              back.data[(c * x.side + i + u) * x.side + j + v]
                += gradient * weight[((o * x.channels + c) * k + u) * k + v];
      }
  return back;
}

// share(four numbers): how much of the gradient each of the four gets.
function pool2dBack(d, x, share) {
  const back = maps(x.channels, x.side);
  d.data.forEach((gradient, n) => {
    const row = Math.floor(n / d.side), j = n % d.side; // of all maps' rows
    const above = 2 * row * x.side + 2 * j, below = above + x.side;
    const places = [above, above + 1, below, below + 1];
    share(places.map((place) => x.data[place])).forEach((part, m) => {
      back.data[places[m]] = part * gradient;
    });
  });
  return back;
}

const toLargest = (four) => {
  const first = four.indexOf(Math.max(...four));
  return four.map((_, n) => (n === first ? 1 : 0));
};
const toAll = () => [1 / 4, 1 / 4, 1 / 4, 1 / 4];

function linearBack(d, weight, x) {
  const inputs = x.data.length;
  const data = x.data.map((_, c) =>
    d.data.reduce((sum, gradient, o) => sum + gradient * weight[o * inputs + c], 0));
  return maps(x.channels, x.side, data);
}

// What ReLU made zero, nothing before it can change.
function reluBack(d, y) {
  return maps(d.channels, d.side, d.data.map((value, n) => (y.data[n] > 0 ? value : 0)));
}

// result: of lenet5. onLogits: how much each of the ten outputs counts.
function imageGradient(result, w, onLogits) {
  const conv = (d, to, from, name) =>
    conv2dBack(reluBack(d, result[to]), w[name + ".weight"], result[from], 5);
  const F6 = linearBack(onLogits, w["fc2.weight"], result.F6);
  const C5 = linearBack(reluBack(F6, result.F6), w["fc1.weight"], result.C5);
  const S4 = conv(C5, "C5", "S4", "conv3");
  const C3 = pool2dBack(S4, result.C3, toAll);
  const S2 = conv(C3, "C3", "S2", "conv2");
  const C1 = pool2dBack(S2, result.C1, toLargest);
  return conv(C1, "C1", "image", "conv1");
}

// The two largest of ten numbers: [the place of the first, of the second].
function firstTwo({ data }) {
  const places = [...data.keys()].sort((a, b) => data[b] - data[a]);
  return places.slice(0, 2);
}

// The image with each pixel changed by so many grey levels, within black and white.
function moved(image, change, { mean, std }) {
  const black = -mean / std, white = (1 - mean) / std;
  return maps(1, image.side, image.data.map((value, n) =>
    Math.min(white, Math.max(black, value + change[n] / 255 / std))));
}

// Move every pixel by one grey level to where the second answer gains on the
// first; look again; and so on, until the answer changes or `most` levels are
// reached. Returns {result, levels, changed}.
function nudge(image, w, settings, most = 128) {
  let result = lenet5(image, w), levels = 0;
  const [before] = firstTwo(result.logits);
  const changed = () => firstTwo(result.logits)[0] !== before;
  while (levels < most && !changed()) {
    const aim = maps(10, 1), [first, second] = firstTwo(result.logits);
    [aim.data[second], aim.data[first]] = [1, -1];
    const gradient = imageGradient(result, w, aim).data;
    result = lenet5(moved(result.image, gradient.map(Math.sign), settings), w);
    levels++;
  }
  return { result, levels, changed: changed() };
}
