"use strict";
// Lesson 8: the plane of the variational model's codes, decoded on a grid and under the cross.

course.figures.sheet = async (box) => {
  const { decode } = await course.model("variational_2");
  const density = fromBase64((await course.data("pictures")).density); // 48 x 48, from -3 to 3
  const sheet = box.querySelector("canvas.sheet");
  const context = sheet.getContext("2d");
  const field = (name) => box.querySelector(`[name=${name}]`);

  const still = document.createElement("canvas"); // 20 x 20 garments, drawn once
  still.width = still.height = 560;
  const piece = document.createElement("canvas");
  for (let row = 0; row < 20; row++)
    for (let column = 0; column < 20; column++) {
      const code = [-3 + 0.3 * (column + 0.5), 3 - 0.3 * (row + 0.5)];
      course.draw(piece, decode(Float32Array.from(code)));
      still.getContext("2d").drawImage(piece, 28 * column, 28 * row);
    }
  const cloud = document.createElement("canvas");
  cloud.width = cloud.height = 48;
  const picture = cloud.getContext("2d").createImageData(48, 48);
  density.forEach((value, i) => {
    const at = 4 * ((47 - Math.floor(i / 48)) * 48 + (i % 48)); // upwards is more
    picture.data.set([230, 159, 0, value], at);
  });
  cloud.getContext("2d").putImageData(picture, 0, 0);

  function redraw() {
    const [x, y] = [+field("x").value, +field("y").value];
    course.draw(box.querySelector("canvas.decoded"), decode(Float32Array.of(x, y)));
    context.globalAlpha = 1;
    context.drawImage(still, 0, 0);
    context.globalAlpha = +field("density").value;
    context.drawImage(cloud, 0, 0, 560, 560);
    context.globalAlpha = 1;
    context.strokeStyle = "#56b4e9";
    context.lineWidth = 4;
    const [left, top] = [((x + 3) / 6) * 560, ((3 - y) / 6) * 560];
    context.stroke(new Path2D(`M${left - 16},${top}h32M${left},${top - 16}v32`));
    const bin = (value) => Math.min(47, Math.floor(((value + 3) / 6) * 48));
    course.say(box.querySelector("output"), {
      x: x.toFixed(1), y: y.toFixed(1),
      density: Math.round(density[bin(y) * 48 + bin(x)] / 2.55),
    });
  }
  course.pointer(sheet, (x, y) => {
    field("x").value = 6 * x - 3;
    field("y").value = 3 - 6 * y;
    redraw();
  });
  for (const name of ["x", "y", "density"]) field(name).addEventListener("input", redraw);
  redraw();
};
