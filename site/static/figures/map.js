"use strict";
// Lesson 7: thumbnails at the places of their two-dimensional codes; a cross decodes any place.

course.figures.map = async (box) => {
  const { decode } = await course.model("stacked_2");
  const shown = await course.data("pictures");
  const [images, codes] = [course.images(shown.map_images), shown.map_codes];
  const canvas = (name) => box.querySelector(`canvas.${name}`);
  const classes = [...box.querySelectorAll(".classes li")].map((item) => item.textContent);
  const sheet = canvas("sheet");
  const context = sheet.getContext("2d");
  const sliders = ["x", "y"].map((name) => box.querySelector(`[name=${name}]`));
  // A few codes lie far out: the map holds all but the outermost fiftieth on each side.
  const range = [0, 1].map((axis) => {
    const sorted = codes.map((code) => code[axis]).sort((a, b) => a - b);
    return [sorted[Math.floor(codes.length / 50)], sorted[Math.floor((codes.length * 49) / 50)]];
  });
  const share = (value, axis) => (value - range[axis][0]) / (range[axis][1] - range[axis][0]);
  const place = ([x, y]) => [20 + 520 * share(x, 0), 540 - 520 * share(y, 1)];

  const still = document.createElement("canvas"); // the thumbnails, drawn once
  still.width = still.height = 560;
  const thumbnail = document.createElement("canvas");
  codes.forEach((code, i) => {
    course.draw(thumbnail, images[i]);
    const [x, y] = place(code);
    still.getContext("2d").drawImage(thumbnail, x - 11, y - 11, 22, 22);
  });

  sliders.forEach((slider, axis) => {
    const [low, high] = range[axis];
    Object.assign(slider, { min: low, max: high, step: (high - low) / 60, value: (low + high) / 2 });
    slider.addEventListener("input", redraw);
  });
  course.pointer(sheet, (x, y) => {
    const to = [(560 * x - 20) / 520, (540 - 560 * y) / 520];
    sliders.forEach((slider, i) => (slider.value = range[i][0] + to[i] * (range[i][1] - range[i][0])));
    redraw();
  });

  function redraw() {
    const code = sliders.map((slider) => +slider.value);
    const distances = codes.map((other) => Math.hypot(other[0] - code[0], other[1] - code[1]));
    const nearest = distances.indexOf(Math.min(...distances));
    course.draw(canvas("decoded"), decode(Float32Array.from(code)));
    course.draw(canvas("nearest"), images[nearest]);
    const [x, y] = place(code);
    context.fillRect(0, 0, 560, 560);
    context.drawImage(still, 0, 0);
    context.strokeStyle = "#e69f00";
    context.lineWidth = 4;
    context.stroke(new Path2D(`M${x - 16},${y}h32M${x},${y - 16}v32`));
    course.say(box.querySelector("output"), {
      x: code[0].toFixed(2), y: code[1].toFixed(2),
      distance: distances[nearest].toFixed(2), name: classes[shown.map_labels[nearest]],
    });
  }
  redraw();
};
