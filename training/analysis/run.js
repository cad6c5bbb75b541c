"use strict";
// The film strips of a run's page: a screen of held-out film, the keys a model expects there, and every key by its loss.
// And its pairs: what was typed, and what a model types from the same key on, each with its screens.

const SURPRISE = 6; // nats that are shown as bad as can be

function addStrip(parent, strip) {
  const box = element("section", "strip");
  const stage = element("div", "stage");
  const screen = element("div");
  const guesses = element("div");
  const typed = element("div", "typed");
  const slider = element("input");
  stage.append(screen);
  box.append(element("h3", "", strip.title), stage, guesses, slider, typed);
  parent.append(box);
  const view = new ScreenView(screen, strip.rows, strip.cols);
  const screens = new Screens(strip.screens);
  Object.assign(slider, { type: "range", min: 0, max: strip.keys.length - 1, value: 0 });
  slider.setAttribute("aria-label", "Step of the film");
  const buttons = strip.keys.map((key, step) => {
    const button = element("button", "", key.name);
    button.style.setProperty("--loss", Math.min(100, (100 * key.loss) / SURPRISE) + "%");
    button.title = `${key.loss.toFixed(2)} nats`;
    button.addEventListener("click", () => show(step));
    return button;
  });
  typed.append(...buttons);
  function show(step) {
    const { rows, y, x } = screens.at(step);
    view.draw(rows.map((number) => strip.screens.rows[number]), y, x);
    slider.value = step;
    buttons.forEach((button, at) => (at === step ? button.setAttribute("aria-current", "true") : button.removeAttribute("aria-current")));
    const key = strip.keys[step];
    guesses.replaceChildren(element("div", "soft", `step ${step + 1} of ${strip.keys.length}, the next key`), ...key.guesses.map((guess) => {
      const line = element("div", guess.name === key.name ? "guess pressed" : "guess");
      const bar = element("span", "bar");
      bar.style.width = 100 * guess.chance + "%";
      line.append(element("code", "", guess.name), element("span", "", (100 * guess.chance).toFixed(0) + " %"), bar);
      return line;
    }));
  }
  slider.addEventListener("input", () => show(Number(slider.value)));
  const fit = () => view.fit(box.clientWidth > 860 ? box.clientWidth - 260 : box.clientWidth, Infinity, 5, 9);
  addEventListener("resize", fit);
  fit();
  show(0);
}

for (const strip of pageData("strip-data")) addStrip(document.getElementById("strips"), strip);

// One side of a pair: its screen, and its keys. `show(step)` draws what it has there, or its last.
function addSide(parent, title, film, rows, cols, mark) {
  const side = element("div", "side");
  const screen = element("div");
  const stage = element("div", "stage");
  stage.append(screen);
  const typed = element("div", "typed");
  const buttons = film.keys.map((key, step) => element("button", mark(step), key));
  typed.append(...buttons);
  side.append(element("div", "soft", title), stage, typed);
  parent.append(side);
  const view = new ScreenView(screen, rows, cols);
  const screens = new Screens(film.screens);
  const fit = () => view.fit(side.clientWidth, Infinity, 4, 9);
  addEventListener("resize", fit);
  fit();
  return {
    buttons,
    show(step) {
      const { rows: numbers, y, x } = screens.at(Math.min(step, screens.length - 1));
      view.draw(numbers.map((number) => film.screens.rows[number]), y, x);
      buttons.forEach((button, at) => (at === step - 1 ? button.setAttribute("aria-current", "true") : button.removeAttribute("aria-current")));
    },
  };
}

function addPair(parent, pair) {
  const box = element("section", "pair");
  const slider = element("input");
  box.append(element("h3", "", pair.title), element("p", "soft", pair.words), slider);
  parent.append(box);
  const other = pair.own.keys.findIndex((key, at) => key !== pair.recorded.keys[at]);
  const mark = (step) => (step < pair.given ? "given" : other >= 0 && step >= other ? "off" : "on");
  const sides = [
    addSide(box, "as recorded", pair.recorded, pair.rows, pair.cols, (step) => (step < pair.given ? "given" : "")),
    addSide(box, "on its own", pair.own, pair.rows, pair.cols, mark),
  ];
  const last = Math.max(...sides.map((side) => side.buttons.length));
  Object.assign(slider, { type: "range", min: 0, max: last, value: pair.given });
  slider.setAttribute("aria-label", "Keys typed");
  const show = (step) => {
    slider.value = step;
    sides.forEach((side) => side.show(step));
  };
  sides.forEach((side) => side.buttons.forEach((button, at) => button.addEventListener("click", () => show(at + 1))));
  slider.addEventListener("input", () => show(Number(slider.value)));
  show(last);
}

for (const pair of pageData("pair-data")) addPair(document.getElementById("pairs"), pair);
