"use strict";
// Lesson 1: ten sliders, one for each number of the code, and the garment that they decode to.

course.figures.sliders = async (box) => {
  const [{ encode, decode }, shown] = [await course.model("dense_10"), await course.data("pictures")];
  const ten = course.images(shown.ten);
  const [low, high] = shown.ranges;
  const dead = low.map((value, i) => value === high[i]);
  const canvas = (name) => box.querySelector(`canvas.${name}`);
  const place = box.querySelector(".sliders");
  const garment = box.querySelector("select");
  let code;

  const sliders = low.map((_, i) => {
    const label = document.createElement("label");
    const words = document.createElement("span");
    course.say(words, { n: i + 1 }, dead[i] ? place.dataset.sayDead : place.dataset.sayAlive);
    const slider = Object.assign(document.createElement("input"), {
      type: "range", min: low[i], max: dead[i] ? low[i] + 1 : high[i], step: "any", disabled: dead[i],
    });
    slider.addEventListener("input", redraw);
    slider.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (!way || slider.disabled) return;
      slider.value = +slider.value + (way * (high[i] - low[i])) / 20;
      event.preventDefault();
      redraw();
    });
    label.append(words, slider);
    place.append(label);
    return slider;
  });

  function redraw() {
    const yours = sliders.map((slider, i) => (dead[i] ? code[i] : +slider.value));
    const picture = decode(Float32Array.from(yours));
    course.draw(canvas("yours"), picture);
    course.say(box.querySelector("output"), {
      moved: yours.filter((value, i) => Math.abs(value - code[i]) > 1e-3).length,
      dead: dead.filter(Boolean).length,
      error: course.error(picture, ten[garment.value]).toFixed(4),
    });
  }

  function choose() {
    code = encode(ten[garment.value]);
    course.draw(canvas("original"), ten[garment.value]);
    course.draw(canvas("decoded"), decode(code));
    sliders.forEach((slider, i) => (slider.value = code[i]));
    redraw();
  }
  garment.addEventListener("change", choose);
  box.querySelector("button").addEventListener("click", choose);
  choose();
};
