"use strict";
// Lesson 4: a straight walk between two codes, beside the cross-fade of the two images.

course.figures.walk = async (box) => {
  const ten = course.images((await course.data("pictures")).ten);
  const field = (name) => box.querySelector(`[name=${name}]`);
  const canvas = (name) => box.querySelector(`canvas.${name}`);
  const between = (a, b, way) => a.map((value, i) => value + way * (b[i] - value));
  let decode, from, to;

  async function choose() {
    const model = await course.model(field("model").value);
    decode = model.decode;
    [from, to] = ["first", "second"].map((name) => {
      const image = ten[field(name).value];
      course.draw(canvas(name), image);
      return { image, code: model.encode(image) };
    });
    redraw();
  }

  function redraw() {
    const way = +field("way").value;
    const code = decode(between(from.code, to.code, way));
    const pixels = between(from.image, to.image, way);
    course.draw(canvas("code"), code);
    course.draw(canvas("pixels"), pixels);
    course.say(box.querySelector("output"), {
      way: Math.round(100 * way),
      error: course.error(code, pixels).toFixed(4),
    });
  }
  for (const name of ["first", "second", "model"]) field(name).addEventListener("input", choose);
  field("way").addEventListener("input", redraw);
  await choose();
};
