"use strict";
// Lesson 3: spoil a garment, by a kind of damage or by hand, and see who repairs it.

course.figures.denoise = async (box) => {
  const ten = course.images((await course.data("pictures")).ten);
  const [dae, control, affine] = await Promise.all(["dae", "control", "affine"].map((name) => course.model(name)));
  const restorers = {
    dae: (x) => dae.decode(dae.encode(x)),
    control: (x) => control.decode(control.encode(x)),
    affine: (x) => affine.decode(x),
  };
  const canvas = (name) => box.querySelector(`canvas.${name}`);
  const field = (name) => box.querySelector(`[name=${name}]`);
  const painted = new Map(); // pixel -> what the pointer left there
  let frame = 14 * 28 + 14; // where the keyboard draws

  // As in course_utils.corruption; the same garment is spoiled in the same way at every level.
  const damages = {
    dropout: (x, p, random) => x.map((value) => (random() >= p ? value / (1 - p) : 0)),
    masking: (x, p, random) => x.map((value) => (random() >= p ? value : 0)),
    gaussian: (x, sigma, random) => x.map((value) => {
      const noise = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
      return Math.min(1, Math.max(0, value + sigma * noise));
    }),
    specks: (x, p, random) => x.map((value) => {
      const chance = random();
      return chance < p / 2 ? 0 : chance < p ? 1 : value;
    }),
    block: (x, level, random) => {
      const side = Math.round(28 * level);
      const [top, left] = [random(), random()].map((chance) => Math.floor(chance * (29 - side)));
      return x.map((value, i) => {
        const [row, column] = [Math.floor(i / 28) - top, (i % 28) - left];
        return row >= 0 && row < side && column >= 0 && column < side ? 0 : value;
      });
    },
  };

  function redraw() {
    const original = ten[field("garment").value];
    const level = +field("level").value;
    const damaged = damages[field("kind").value](original, level, course.random(+field("garment").value));
    painted.forEach((value, pixel) => (damaged[pixel] = value));
    const pictures = { damaged };
    for (const [name, restore] of Object.entries(restorers)) pictures[name] = restore(damaged);
    const decibels = { level: level.toFixed(2) };
    for (const [name, picture] of Object.entries(pictures)) {
      course.draw(canvas(name), picture);
      const error = course.error(picture, original);
      decibels[name] = error > 0 ? (10 * Math.log10(1 / error)).toFixed(1) : "∞";
    }
    course.draw(canvas("original"), original);
    if (document.activeElement === canvas("damaged")) {
      const context = canvas("damaged").getContext("2d");
      context.strokeStyle = "#e69f00";
      context.strokeRect((frame % 28) - 0.5, Math.floor(frame / 28) - 0.5, 2, 2);
    }
    course.say(box.querySelector("output"), decibels);
  }

  function paint(row, column) {
    for (const [a, b] of [[0, 0], [0, 1], [1, 0], [1, 1]])
      if (row + a < 28 && column + b < 28)
        painted.set((row + a) * 28 + column + b, +field("pen").value);
  }
  course.pointer(canvas("damaged"), (x, y) => {
    paint(Math.min(27, Math.floor(28 * y)), Math.min(27, Math.floor(28 * x)));
    redraw();
  });
  canvas("damaged").addEventListener("keydown", (event) => {
    const [row, column] = [Math.floor(frame / 28), frame % 28];
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (step) {
      const inside = (value) => Math.min(27, Math.max(0, value));
      frame = inside(row + step[0]) * 28 + inside(column + step[1]);
    } else if (event.key === " ") paint(row, column);
    else return;
    event.preventDefault();
    redraw();
  });
  canvas("damaged").addEventListener("focus", redraw);
  canvas("damaged").addEventListener("blur", redraw);
  box.querySelector("button").addEventListener("click", () => (painted.clear(), redraw()));
  for (const name of ["kind", "level"]) field(name).addEventListener("input", redraw);
  field("garment").addEventListener("input", () => (painted.clear(), redraw()));
  redraw();
};
