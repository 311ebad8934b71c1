"use strict";
// Lesson 3: the shipped sweep over latent dimensions, its error and what each model restores.

course.figures.sweep = async (box) => {
  const shown = await course.data("pictures");
  const [dims, errors] = [shown.sweep_dims, shown.sweep_errors];
  const [corrupted, restored] = [course.images(shown.sweep_corrupted), course.images(shown.sweep_restored)];
  const slider = box.querySelector("input");
  const chart = box.querySelector("svg");
  slider.max = dims.length - 1;

  const add = (kind, attributes, text = "") => {
    const mark = document.createElementNS("http://www.w3.org/2000/svg", kind);
    for (const [name, value] of Object.entries(attributes)) mark.setAttribute(name, value);
    mark.textContent = text;
    chart.append(mark);
    return mark;
  };
  const largest = Math.max(...errors);
  const x = (i) => 40 + (360 * Math.log(dims[i] / dims[0])) / Math.log(dims.at(-1) / dims[0]);
  const y = (i) => 160 - (140 * errors[i]) / largest;
  add("polyline", { points: dims.map((_, i) => `${x(i)},${y(i)}`).join(" "), class: "line" });
  dims.forEach((k, i) => {
    add("circle", { cx: x(i), cy: y(i), r: 3, class: "point" });
    if (i < 7 || i === 9) add("text", { x: x(i), y: 178, "text-anchor": "middle" }, k);
  });
  for (const value of [0, 0.01, 0.02, 0.03])
    add("text", { x: 4, y: 164 - (140 * value) / largest }, value);
  const mark = add("circle", { r: 8, class: "mark" });

  const rows = box.querySelector(".rows");
  const canvases = corrupted.map((image) => {
    const figure = box.querySelector("template").content.cloneNode(true);
    course.draw(figure.querySelector(".corrupted"), image);
    const canvas = figure.querySelector(".restored");
    rows.append(figure);
    return canvas;
  });

  function redraw() {
    const i = +slider.value;
    canvases.forEach((canvas, n) => course.draw(canvas, restored[i * corrupted.length + n]));
    mark.setAttribute("cx", x(i));
    mark.setAttribute("cy", y(i));
    course.say(box.querySelector("output"), {
      k: dims[i], error: errors[i].toFixed(4), psnr: (10 * Math.log10(1 / errors[i])).toFixed(1),
    });
  }
  slider.addEventListener("input", redraw);
  redraw();
};
