"use strict";
// One number of a layer, taken apart: what it sees, its weights, and their products.

// Of a convolution with k × k windows (a linear layer is one with k = 1), the number of map `map`
// in that row and column: a part for each map of x, {seen, filter, products, sum}; the `sum` of
// all parts, the `bias`, and the `total` before ReLU.
function takeApart(x, weight, bias, k, map, row = 0, column = 0) {
  const parts = Array.from({ length: x.channels }, (_, c) => {
    const first = (map * x.channels + c) * k * k, filter = weight.subarray(first, first + k * k);
    const place = (n) => (c * x.side + row + Math.floor(n / k)) * x.side + column + (n % k);
    const seen = filter.map((_, n) => x.data[place(n)]);
    const products = filter.map((value, n) => value * seen[n]);
    return { seen, filter, products, sum: products.reduce((a, b) => a + b, 0) };
  });
  const sum = parts.reduce((total, part) => total + part.sum, 0);
  return { parts, sum, bias: bias[map], total: sum + bias[map] };
}

// "the 25 products add up to 0.5; with the bias, −0.1, that is 0.4, and ReLU keeps it"
function sumInWords({ parts, sum, bias, total }, hasReLU) {
  const number = (value) => window.courseExplorers.show(value, 3);
  const cut = total > 0 ? ", and ReLU keeps it" : ", and ReLU makes it 0";
  const what = parts.length > 1 && parts[0].seen.length > 1
    ? `${parts.length} parts` : `${parts.length * parts[0].seen.length} products`;
  return `The ${what} add up to ${number(sum)}; with the bias, ${number(bias)}, that is `
    + `${number(total)}${hasReLU ? cut : ""}.`;
}

// A column of pictures for each map before: the window in it, the filter, their products, and what
// these add up to. names: of the maps; width: of a picture; paintSeen(canvas, numbers).
// Returns [columns, paint(what takeApart gave)].
function sumPictures(names, width, paintSeen) {
  const { h, show } = window.courseExplorers;
  const columns = names.map((name) => {
    const small = (label) => h("canvas", {
      width: 5, height: 5, style: `width:${width}px`, role: "img", "aria-label": `${label} ${name}`,
    });
    const pictures = [small("Window in"), small("Filter for"), small("Products for")];
    return { pictures, tile: h("span", { class: "part", style: `min-width:${width}px` }) };
  });

  function paint({ parts }) {
    const limit = (key) => Math.max(...parts.map((part) => biggest(part[key])));
    const [filters, products] = [limit("filter"), limit("products")];
    const sums = biggest(parts.map((part) => part.sum));
    columns.forEach(({ pictures: [seen, filter, product], tile }, c) => {
      const part = parts[c], t = sums ? (part.sum / sums + 1) / 2 : 1 / 2;
      paintSeen(seen, part.seen);
      paintNumbers(filter, part.filter, COLOURS.signed, -filters, filters);
      paintNumbers(product, part.products, COLOURS.signed, -products, products);
      tile.textContent = show(part.sum, 2);
      tile.style.background = `rgb(${colourAt(COLOURS.signed, t).map(Math.round)})`;
      tile.style.color = Math.abs(t - 1 / 2) > 0.3 ? "#fff" : "#000"; // the ends are dark
    });
  }

  const nodes = columns.map(({ pictures, tile }) => h("span", { class: "pair" }, pictures, tile));
  return [nodes, paint];
}
