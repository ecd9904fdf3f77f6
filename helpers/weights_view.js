/** Which way an arrow key leads. */
const ARROWS = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, 1],
  ArrowDown: [0, -1],
};

const sigmoid = (logit) => 1 / (1 + Math.exp(-logit));

/** The loss of label 0: log(1 + exp(logit)), of any logit. */
const softplus = (logit) =>
  Math.max(logit, 0) + Math.log1p(Math.exp(-Math.abs(logit)));

/**
 * How a line does on points with labels, if it says 1 where the logit exceeds
 * the threshold, and the gradient of its loss. Source: Bishop, equation 4.91.
 */
function scores({ w1, w2, b }, { x, y, label }, threshold = 0) {
  const n = x.length;
  const gradient = { w1: 0, w2: 0, b: 0 };
  let [loss, right] = [0, 0];
  for (let i = 0; i < n; i++) {
    const logit = w1 * x[i] + w2 * y[i] + b;
    const slope = (sigmoid(logit) - label[i]) / n;
    loss += softplus(label[i] ? -logit : logit) / n;
    right += Number(logit > threshold) === label[i];
    gradient.w1 += slope * x[i];
    gradient.w2 += slope * y[i];
    gradient.b += slope;
  }
  return { loss, accuracy: right / n, gradient };
}

/**
 * Draw the loss over the weights w1 and w2, at a fixed b, and a run's path.
 * On the ray from the origin through the true weights lie all those of the
 * true line (if b grows too): the farther out, the surer.
 *
 * @param {SVGSVGElement} svg an empty one, for the page to style
 * @param {(start: string, done: boolean) => void} begin is told where it
 *   is pressed, as "w1,w2", and if let go
 */
function weightsView(svg, begin) {
  const EDGES = [0.5, 1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300];
  // 200 pixels each way, the origin at (100, 150).
  svg.setAttribute("viewBox", "-34 -8 246 232");
  svg.innerHTML = `<svg width="200" height="200" style="overflow:hidden">
    <path class="axis" d="M0 150H200M100 0V200"/>
    <g class="known"><path class="contour"/><path class="ray"/>
    <circle class="truth" r="6"/></g>
    <path class="track"/><path class="path"/>
    <path class="path tens" style="stroke-width:7;stroke-linecap:round"/>
    <circle class="path start" r="4" style="fill:var(--paper,#fff)"/>
    <circle class="mark" r="5"/></svg>
    <g style="text-anchor:middle"><text x="100" y="218">0</text>
    <text class="tick" x="150" y="218"/><text x="200" y="218">w1</text></g>
    <g style="text-anchor:end"><text x="-6" y="155">0</text>
    <text class="tick" x="-6" y="105"/><text x="-6" y="10">w2</text></g>`;
  const set = (name, values) => {
    for (const key in values)
      svg.querySelector(`.${name}`).setAttribute(key, values[key]);
  };
  let points, b, truth;
  let edge; // w1 is shown from -edge to edge
  let start; // of the run
  const pixels = ({ w1, w2 }) =>
    [100 + (100 * w1) / edge, 150 - (100 * w2) / edge].map((n) => n.toFixed(1));

  /** Contours by marching squares, denser where the loss is low. */
  function contours() {
    const spots = Array.from({ length: 33 * 33 }, (_, i) => {
      const [x, y] = [i % 33, Math.floor(i / 33)];
      const at = { w1: (edge * (x - 16)) / 16, w2: (edge * (24 - y)) / 16, b };
      return [x, y, scores(at, points).loss];
    });
    const heights = spots.map((spot) => spot[2]);
    const [least, most] = [Math.min(...heights), Math.max(...heights)];
    const cuts = [];
    for (let k = 1; k < 9; k++) {
      const level = least + (most - least) * (k / 9) ** 3;
      for (let i = 0; i < 33 * 32; i++) {
        if (i % 33 === 32) continue;
        const square = [i, i + 1, i + 34, i + 33, i].map((j) => spots[j]);
        for (let side = 0; side < 4; side++) {
          const [[x, y, from], [x2, y2, to]] = square.slice(side);
          if (from < level === to < level) continue;
          const t = (level - from) / (to - from);
          const cut = [x + t * (x2 - x), y + t * (y2 - y)];
          cuts.push(cut.map((n) => (6.25 * n).toFixed(1)));
        }
      }
    }
    // Of each square two sides are cut, or four.
    return cuts.map((cut, i) => "ML"[i % 2] + cut).join("");
  }

  function rescale() {
    for (const tick of svg.querySelectorAll(".tick"))
      tick.textContent = edge / 2;
    set("known", { visibility: truth ? "visible" : "hidden" });
    if (!truth) return;
    const [x, y] = pixels(truth);
    set("contour", { d: contours() });
    set("ray", { d: `M100 150l${99 * (x - 100)} ${99 * (y - 150)}` });
    set("truth", { cx: x, cy: y });
  }

  const reach = ({ w1, w2 }) => Math.max(Math.abs(w1), -2 * w2, w2 / 1.5);

  /** A start within the map. */
  function put(w1, w2, done) {
    const inside = (w, low) =>
      Math.min(Math.max(w, low * edge), (low + 2) * edge).toFixed(2);
    begin(`${+inside(w1, -1)},${+inside(w2, -0.5)}`, done);
  }
  svg.onpointerdown = svg.onpointermove = svg.onpointerup = (event) => {
    const { type, pointerId, clientX, clientY } = event;
    if (type === "pointerdown" && !event.button) svg.setPointerCapture(pointerId);
    if (!svg.hasPointerCapture(pointerId)) return;
    const place = new DOMPoint(clientX, clientY);
    const { x, y } = place.matrixTransform(svg.getScreenCTM().inverse());
    put((edge * (x - 100)) / 100, (edge * (150 - y)) / 100, type === "pointerup");
  };
  svg.onkeydown = (event) => {
    const done = event.key === "Enter" || event.key === " ";
    const [x, y] = ARROWS[event.key] ?? [0, 0];
    if (!x && !y && !done) return;
    event.preventDefault();
    put(start.w1 + (x * edge) / 20, start.w2 + (y * edge) / 20, done);
  };

  return {
    /** While the truth is null, neither it nor the contours are shown. */
    data({ x, y, label }, offset, weights) {
      // A thousand points will do.
      [x, y, label] = [x, y, label].map((column) => column.slice(0, 1000));
      [points, b, truth, edge] = [{ x, y, label }, offset, weights, 0];
    },
    /** Draw a run, rows of w1 and w2, up to row k, and earlier ones. */
    path(rows, k, earlier) {
      const run = rows.slice(0, k + 1);
      start = run[0];
      // Room for start, truth and path, unless the path goes far.
      const least = Math.max(reach(run[0]), reach(truth ?? run[0]));
      const most = Math.min(Math.max(...run.map(reach), least), 3 * least);
      // It grows, but under a finger it stays as it is.
      if (most > edge) {
        edge = EDGES.find((one) => one > 1.1 * most) ?? 1000;
        rescale();
      }
      const [cx, cy] = pixels(run[k]);
      set("mark", { cx, cy, "data-w1": run[k].w1, "data-w2": run[k].w2 });
      const line = (places) => `M${places.map(pixels).join("L")}`;
      set("path", { d: line(run) });
      const tens = line(run.filter((_, i) => i % 10 === 0));
      set("tens", { d: `${tens}h0`.replaceAll("L", "h0M") });
      set("start", { transform: `translate(${pixels(start)})` });
      set("track", { d: earlier.map(line).join("") });
    },
  };
}
