"use strict";
// What every page needs: loading of scripts, the layers of the models, predictions. No word that a
// reader sees stands in a script; words stand in site/figures/*.html, with places in {braces}.

const course = {
  base: new URL("./", document.currentScript.src).href,
  figures: {}, // name -> function (box): set it up
  arrived: {}, // what scripts in weights/ brought
  pending: {},

  script(path) {
    this.pending[path] ??= new Promise((resolve, reject) => {
      const tag = document.createElement("script");
      tag.onload = resolve;
      tag.onerror = () => reject(new Error(`${path} cannot be read`));
      tag.src = this.base + path;
      document.head.append(tag);
    });
    return this.pending[path];
  },

  loaded(name, value) {
    this.arrived[name] = value;
  },

  async data(name) {
    await this.script(`weights/${name}.js`);
    return this.arrived[name];
  },

  // Float32Array -> Float32Array, as `decode` and, for an autoencoder, `encode`.
  async model(name) {
    const parts = await this.data(name);
    for (const layers of Object.values(parts))
      for (const layer of layers)
        for (const key of ["weight", "bias"])
          if (typeof layer[key] === "string") layer[key] = halves(layer[key]);
    return {
      encode: (image) => run(parts.encoder, image, [1, 28, 28]),
      decode: (code) => run(parts.decoder, code, [code.length]),
    };
  },

  // The bytes of some images as a list of Float32Arrays in [0, 1].
  images(text) {
    const bytes = fromBase64(text);
    return Array.from({ length: bytes.length / 784 }, (_, i) =>
      Float32Array.from(bytes.subarray(784 * i, 784 * (i + 1)), (byte) => byte / 255),
    );
  },

  // Grey pixels on a canvas of 28 x 28 (or another square).
  draw(canvas, pixels) {
    const side = Math.sqrt(pixels.length);
    if (canvas.width !== side) canvas.width = canvas.height = side;
    const context = canvas.getContext("2d");
    const picture = context.createImageData(side, side);
    for (let i = 0; i < pixels.length; i++) {
      picture.data.fill(255 * Math.min(1, Math.max(0, pixels[i])), 4 * i, 4 * i + 3);
      picture.data[4 * i + 3] = 255;
    }
    context.putImageData(picture, 0, 0);
  },

  // Fill a template, `data-say` of an element for instance, and show it there.
  say(element, values, template = element.dataset.say) {
    element.textContent = template.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  },

  error(a, b) {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
    return sum / a.length;
  },

  // The same numbers in [0, 1) for the same seed.
  random(seed) {
    return () => {
      seed = (seed + 0x6d2b79f5) | 0;
      let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  },

  // Pointer on an element -> handler(x, y in [0, 1] from its top left, whether it begins).
  pointer(element, handler) {
    const tell = (event, begins) => {
      const box = element.getBoundingClientRect();
      const inside = (value, low, length) => Math.min(1, Math.max(0, (value - low) / length));
      handler(
        inside(event.clientX, box.left, box.width),
        inside(event.clientY, box.top, box.height),
        begins,
      );
    };
    element.addEventListener("pointerdown", (event) => {
      element.setPointerCapture(event.pointerId);
      tell(event, true);
      event.preventDefault();
    });
    element.addEventListener("pointermove", (event) => {
      if (event.buttons) tell(event, false);
    });
  },
};

function fromBase64(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// Numbers of 16 bits (IEEE 754) in base64.
function halves(text) {
  return Float32Array.from(new Uint16Array(fromBase64(text).buffer), (bits) => {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    return exponent
      ? sign * 2 ** (exponent - 15) * (1 + fraction / 1024)
      : sign * 2 ** -24 * fraction;
  });
}

function run(layers, x, shape) {
  for (const layer of layers) [x, shape] = LAYERS[layer.kind](x, shape, layer);
  return x;
}

const each = (change) => (x, shape) => [x.map(change), shape];

// (numbers, their shape, layer) -> [numbers, shape]; images are (channels, height, width).
const LAYERS = {
  relu: each((value) => Math.max(0, value)),
  sigmoid: each((value) => 1 / (1 + Math.exp(-value))),
  clamp: each((value) => Math.min(1, Math.max(0, value))),
  reshape: (x, _, layer) => [x, layer.shape],

  dense(x, _, { shape: [outs, ins], weight, bias }) {
    const y = bias.slice();
    for (let o = 0, w = 0; o < outs; o++) {
      let sum = 0;
      for (let i = 0; i < ins; i++) sum += weight[w++] * x[i];
      y[o] += sum;
    }
    return [y, [outs]];
  },

  pool(x, [channels, height, width]) {
    const [h, w] = [height >> 1, width >> 1];
    const y = new Float32Array(channels * h * w);
    for (let c = 0; c < channels; c++)
      for (let i = 0; i < h; i++)
        for (let j = 0; j < w; j++) {
          const at = (c * height + 2 * i) * width + 2 * j;
          y[(c * h + i) * w + j] = Math.max(x[at], x[at + 1], x[at + width], x[at + width + 1]);
        }
    return [y, [channels, h, w]];
  },

  // Stride 1. The picture is shifted by each place of the kernel and added up.
  conv(x, [ins, height, width], { shape: [outs, , k], padding, weight, bias }) {
    const y = new Float32Array(outs * height * width);
    for (let o = 0, w = 0; o < outs; o++) {
      y.fill(bias[o], o * height * width, (o + 1) * height * width);
      for (let c = 0; c < ins; c++)
        for (let down = -padding; down < k - padding; down++)
          for (let right = -padding; right < k - padding; right++, w++)
            for (let i = Math.max(0, -down); i < Math.min(height, height - down); i++) {
              const to = (o * height + i) * width;
              const from = (c * height + i + down) * width + right;
              for (let j = Math.max(0, -right); j < Math.min(width, width - right); j++)
                y[to + j] += weight[w] * x[from + j];
            }
    }
    return [y, [outs, height, width]];
  },

  transposed(x, [ins, height, width], { shape: [, outs, k], stride, weight, bias }) {
    const [h, w] = [(height - 1) * stride + k, (width - 1) * stride + k];
    const y = new Float32Array(outs * h * w);
    for (let o = 0; o < outs; o++) y.fill(bias[o], o * h * w, (o + 1) * h * w);
    for (let c = 0; c < ins; c++)
      for (let i = 0; i < height; i++)
        for (let j = 0; j < width; j++) {
          const value = x[(c * height + i) * width + j];
          if (value === 0) continue;
          for (let o = 0; o < outs; o++)
            for (let a = 0; a < k; a++)
              for (let b = 0; b < k; b++)
                y[(o * h + i * stride + a) * w + j * stride + b] +=
                  value * weight[((c * outs + o) * k + a) * k + b];
        }
    return [y, [outs, h, w]];
  },
};

// ---- Predictions: the result of one, and the words that read it, wait for an answer.

function prediction(form) {
  const { page, number } = form.dataset;
  const cell = document.querySelector(`.tag_prediction-${number} .cell_input`);
  const answers = [...document.querySelectorAll(`.tag_answer-${number}`)];
  const own = answers.flatMap((answer) => [...answer.querySelectorAll(".cell_output")]);
  const between = answers.slice(0, -1).flatMap((answer) => textAfter(answer));
  const outputs = [...own, ...between, ...tellsMore(answers.at(-1))];
  const inputs = [...form.querySelectorAll("input, select")];
  const key = (input) => `course/${page}/${input.name}`;
  const note = form.querySelector("output");
  const texts = new Map(); // text nodes of the output as the notebook left them

  const show = (template) => {
    for (const output of outputs) {
      output.hidden = false;
      const walk = document.createTreeWalker(output, NodeFilter.SHOW_TEXT);
      while (walk.nextNode()) {
        const node = walk.currentNode;
        if (!texts.has(node)) texts.set(node, node.data);
        node.data = texts.get(node);
        for (const { value, dataset } of [...inputs].reverse()) // the last stands behind the first
          if (dataset.said)
            node.data = node.data.replace(
              dataset.said + dataset.value,
              dataset.said + (value || "–"), // the notebook's guess is nobody's
            );
      }
    }
    note.textContent = template;
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    for (const input of inputs) remember(key(input), input.value);
    show(note.dataset.sayKept);
  });
  form.querySelector(".show-me").addEventListener("click", () => show(note.dataset.sayShown));

  for (const output of outputs) output.hidden = true;
  if (cell) cell.hidden = true;
  const kept = inputs.map((input) => remember(key(input)));
  if (kept.some((answer) => answer !== null)) {
    inputs.forEach((input, i) => (input.value = kept[i] ?? ""));
    show(note.dataset.sayKept);
  }
}

// What tells a result beside its own cell: the text and the outputs below it up to the picture that
// draws it, and the text below that; up to a heading, a moving figure or, with its question, the
// next form.
function tellsMore(cell) {
  const found = [];
  let drawn = false;
  for (let next = cell.nextElementSibling; next; next = next.nextElementSibling) {
    const isCell = next.matches(".cell");
    const asks = next.matches('[class*="tag_prediction-"]');
    if (next.matches("section, .living-place") || (isCell && drawn && !asks)) break;
    const output = isCell ? next.querySelector(".cell_output") : next;
    if (output) found.push(output);
    if (isCell && output?.querySelector("img")) drawn = true;
    if (next.matches(".prediction")) break;
  }
  return found;
}

// The text between a cell and the next one.
function textAfter(cell) {
  const found = [];
  let next = cell.nextElementSibling;
  for (; next && !next.matches(".cell, section, .prediction, .living-place"); next = next.nextElementSibling)
    found.push(next);
  return found;
}

// The browser's own storage; where there is none, nothing is kept.
function remember(key, value) {
  try {
    if (value === undefined) return localStorage.getItem(key);
    localStorage.setItem(key, value);
  } catch {
    return null;
  }
}

// ---- Paper is white: a dark page is printed as a light one.

let theme;
matchMedia("print").addEventListener("change", ({ matches }) => {
  const root = document.documentElement;
  if (matches) theme = root.dataset.theme;
  root.dataset.theme = matches ? "light" : theme;
});

// ---- Moving figures start when they come near the window.

async function start(box) {
  const name = box.dataset.figure;
  await course.script(`figures/${name}.js`);
  box.hidden = false;
  await course.figures[name](box);
  for (const still of document.querySelectorAll(`.tag_static-of-${name} .cell_output`))
    still.hidden = true; // the moving figure shows the same
  box.dataset.ready = "";
}

document.addEventListener("DOMContentLoaded", () => {
  const forms = document.querySelectorAll("form.prediction");
  for (const form of forms) form.hidden = false;
  forms.forEach(prediction);
  const near = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries)
        if (isIntersecting) {
          near.unobserve(target);
          start(target.querySelector(".living"));
        }
    },
    { rootMargin: "800px" },
  );
  document.querySelectorAll(".living-place").forEach((place) => near.observe(place));
});
