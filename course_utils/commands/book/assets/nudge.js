"use strict";
// The button that changes the picture by a few grey levels until the network answers differently.

const named = (digit) => `${digit === 8 ? "an" : "a"} ${digit}`;

// button: nudges, and goes back. parent: of the pictures before and after. onChange(): another
// picture is to be shown. Returns {result, see, forget}: what lenet5 gave for the nudged picture
// or null; see(result) tells what there is to nudge; forget() goes back.
function nudgeButton(button, parent, weights, settings, onChange) {
  const { h } = window.courseExplorers;
  const TRIES = 20;
  const view = { result: null, see, forget };
  let seen = null;

  const answer = ({ logits, probabilities }) => {
    const [first] = firstTwo(logits);
    return [first, `${first} (${probabilities.data[first].toFixed(3)})`];
  };

  // How many changes of so many grey levels, up or down by chance, change the answer.
  function flipsByChance(levels) {
    const [first] = firstTwo(seen.logits);
    const flips = Array.from({ length: TRIES }, () => {
      const change = seen.image.data.map(() => (Math.random() < 0.5 ? -levels : levels));
      return firstTwo(lenet5(moved(seen.image, change, settings), weights).logits)[0] !== first;
    });
    return flips.filter(Boolean).length;
  }

  function figure(caption, paint) {
    const canvas = h("canvas", { width: 32, height: 32, role: "img", "aria-label": caption });
    paint(canvas);
    return h("figure", {}, canvas, h("figcaption", {}, caption));
  }

  function pictures(result, change) {
    const top = biggest(change), times = Math.round(127 / top);
    return h("div", { class: "nudged" },
      figure(`Before: ${answer(seen)[1]}`, (canvas) => paintInput(canvas, seen.image, settings)),
      figure(`The change, ${times} times as strong; grey is none`, (canvas) =>
        paintNumbers(canvas, change, COLOURS.grey, -top, top)),
      figure(`After: ${answer(result)[1]}`, (canvas) => paintInput(canvas, result.image, settings)));
  }

  function inWords(result, change) {
    const [before, after] = [seen, result].map((one) => named(answer(one)[0]));
    const top = biggest(change), sum = change.reduce((a, b) => a + Math.abs(b), 0);
    const flips = flipsByChance(top) || "none";
    return `No pixel changed by more than ${Math.round(top)} of 255 grey levels, on average by `
      + `${Math.round(sum / change.length)}, and ${before} has become ${after} to the network. Every small `
      + `change was chosen to help that answer, and hundreds of them add up: of ${TRIES} changes as large with signs `
      + `drawn at random, ${flips} change${flips === 1 ? "s" : ""} the answer.`;
  }

  function act() {
    if (view.result) {
      forget();
    } else {
      const { result, levels, changed } = nudge(seen.image, weights, settings);
      const grey = 255 * settings.std;
      const change = result.image.data.map((value, n) => grey * (value - seen.image.data[n]));
      const words = changed ? inWords(result, change) : `${levels} grey levels do not change the answer.`;
      parent.replaceChildren(pictures(result, change), h("p", { role: "status" }, words));
      button.textContent = "Go back";
      view.result = result;
    }
    onChange();
  }

  function see(result, drawn) {
    button.disabled = !drawn;
    seen = view.result ? seen : result;
  }

  function forget() {
    view.result = null;
    parent.replaceChildren();
    button.textContent = "Nudge the picture";
  }

  button.addEventListener("click", act);
  return view;
}
