"use strict";
/* What the page shows follows from `dials`, `epoch`, `discs`, `open`, `judged`,
   `rival` and `tracks` alone; `draw` shows it. */
(() => {
  const { freshScores, initialState, step, START } = PlaygroundModel;
  const $ = (id) => document.getElementById(`play-${id}`);
  const put = (id, text) => ($(id).textContent = text);
  const path = (id, d) => $(id).setAttribute("d", d);
  const SLIDERS = {
    scale: "0.1 0.2 0.5 1 2 5 10".split(" "),
    slope: "-2 -5/3 -4/3 -1 -2/3 -1/3 0 1/3 2/3 1 4/3 5/3 2".split(" "),
    points: "10 20 50 100 200 500 1000 2000 5000".split(" "),
  };
  const thirds = SLIDERS.slope;
  const DEFAULTS = {
    key: "1",
    points: "1000",
    scale: "1",
    slope: "-1/3",
    rate: "0.3",
    optimizer: "sgd",
    threshold: "0",
    start: "", // the blog's
  };
  const LEVEL = "-3,0,3,0";
  const LAST = 300;
  // The plane: x from -7 to 7, y from -3.5 to 3.5, 50 pixels to one of each.
  const RIGHT = 7;
  const TOP = 3.5;
  const EDGE = [6.7, 3.2]; // of discs
  const across = (x) => 50 * (RIGHT + x);
  const down = (y) => 50 * (TOP - y);
  const pixel = (value) => value.toFixed(1);
  const pixels = ([x, y]) => `${pixel(across(x))} ${pixel(down(y))}`;
  const show = (value, digits = 2) =>
    value.toFixed(digits).replace(/^-(?=0\.?0*$)/, "").replace("-", "\u2212");
  const percent = (share) => `${show(100 * share, 1)}\u202f%`;
  const view = weightsView($("view"), (start, done) => {
    stop();
    turn("start", start, 0);
    if (done) play();
  });
  const app = $("app");

  let dials = { ...DEFAULTS };
  let truth, dataset, limit, run;
  let made; // what the dataset was made from, as text
  let epoch = 0;
  let discs = ends(LEVEL); // your line goes through both
  let open = false; // the true line may be seen
  let judged = ""; // your discs as they were judged, as text
  let rival = ""; // those that a link brought
  let tracks = []; // runs before each turn of a dial
  let settled = true; // whether it has been let go
  let viewed; // the truth that the view shows
  let timer, speech;

  const goOn = () => $("play").focus({ preventScroll: true });

  /** Two places in the plane, unless they are too near to make a line. */
  function ends(text) {
    const numbers = text.split(",").map(Number);
    const [x, y, toX, toY] = numbers;
    const inside = numbers.every((v, i) => Math.abs(v) <= EDGE[i % 2]);
    const apart = Math.hypot(toX - x, toY - y) >= 1;
    return inside && apart && numbers.length === 4 && [[x, y], [toX, toY]];
  }

  /** A line as a rule: label 1 above it, and left of it if it is vertical. */
  function rule(places) {
    const [[x, y], [toX, toY]] = [...places].sort(
      (a, b) => a[0] - b[0] || a[1] - b[1],
    );
    const [w1, w2] = [y - toY, toX - x];
    return { w1, w2, b: -w1 * x - w2 * y };
  }

  function measure(params, threshold = 0) {
    const own = scores(params, dataset, threshold);
    return { own, fresh: freshScores(params, truth, threshold) };
  }

  /** Make the data, and train as far as before. */
  function restart() {
    const { key, points, scale, slope } = dials;
    const recipe = [key, points, scale, slope].join();
    if (recipe !== made) {
      const w1 = scale * (6 - thirds.indexOf(slope));
      truth = { w1, w2: scale * 3, b: scale * 0.1 };
      dataset = PlaygroundData.makeDataset(Number(key), Number(points), truth);
      limit = freshScores(truth, truth);
      [made, tracks] = [recipe, []];
    }
    run = [];
    reach(epoch);
  }

  function reach(wanted) {
    epoch = Math.min(wanted, LAST);
    const [rate, threshold] = [dials.rate, dials.threshold].map(Number);
    const [w1, w2] = dials.start.split(",").map(Number);
    const start = dials.start ? { w1, w2, b: START.b } : START;
    while (run.length <= epoch) {
      const last = run.at(-1);
      const { params, state } = last
        ? step(dials.optimizer, rate, last.params, last.state, last.own.gradient)
        : { params: start, state: initialState() };
      run.push({ params, state, ...measure(params, threshold) });
    }
  }

  /** While the slope is hidden, one number stands for it and the key. */
  function address(hidden, more) {
    const { key, slope, ...others } = dials;
    const puzzle = 13 * key + ((8 * thirds.indexOf(slope)) % 13);
    const all = { ...(hidden ? { puzzle } : { key, slope }), ...others, ...more };
    const hash = Object.entries(all)
      .filter(([name, value]) => value && value !== DEFAULTS[name])
      .map((entry) => entry.join("="));
    return `#${hash.join("&") || "epoch=0"}`;
  }

  function remember() {
    const line = judged || String(discs).replace(LEVEL, "");
    const more = { line, beat: rival, epoch };
    history.replaceState(null, "", address(!open, more));
  }

  function isUsable(name, text) {
    if (name === "line" || name === "beat") return ends(text);
    if (name === "puzzle") return /^\d{1,11}$/.test(text);
    if (name === "epoch") return /^\d{1,3}$/.test(text) && text <= LAST;
    if (!Object.hasOwn(DEFAULTS, name)) return false;
    if (SLIDERS[name]) return SLIDERS[name].includes(text);
    $(name).value = text; // a browser drops what is no option
    return $(name).value === text && $(name).checkValidity();
  }

  /** Set everything as the address says; say what in it is unusable. */
  function read() {
    const hash = location.hash.slice(1).replace(/^[^=]*$/, "");
    if (run && location.hash && !hash) return; // a heading's
    const [given, refused] = [{}, []];
    for (const entry of new URLSearchParams(hash))
      if (isUsable(...entry)) given[entry[0]] = entry[1];
      else refused.push(entry.join("="));
    const { puzzle, line, beat = "", epoch: wanted = 0, ...turned } = given;
    stop();
    dials = { ...DEFAULTS, ...turned };
    if (puzzle) {
      dials.key = String(Math.floor(puzzle / 13));
      dials.slope = thirds[(5 * puzzle) % 13];
    }
    open = hash !== "" && !puzzle;
    if (line || !open) // else they stay
      [discs, judged] = [ends(line ?? LEVEL), open ? line : ""];
    // No model before you have judged.
    [rival, tracks, epoch] = [beat, [], open ? Number(wanted) : 0];
    restart();
    quote(address(false, { epoch }));
    draw();
    if (hash) remember();
    if (refused.length) say(`No such setting: ${refused.join(", ")}.`);
    else report();
  }

  /** Show the address's trial, or what it set. */
  function quote(hash) {
    const trial = document.querySelector(`#try-this li:has([href="${hash}"])`);
    const set = Object.keys(dials)
      .filter((name) => open && dials[name] !== DEFAULTS[name])
      .map((name) => $(name).labels[0].firstChild.data + dials[name])
      .join(", ");
    $("trial").innerHTML = trial?.innerHTML ?? (set && `Set by the link: ${set}.`);
  }

  /** Have it read aloud, if need be again, once all has settled. */
  function speak(text) {
    clearTimeout(speech);
    put("spoken", "");
    speech = setTimeout(put, 400, "spoken", text);
  }

  function say(text) {
    put("status", text);
    speak(text);
  }

  const judge = (line) => measure(rule(ends(line)));
  const right = ({ own, fresh }) =>
    `right on ${percent(own.accuracy)} of these and ` +
    `${percent(fresh.accuracy)} of fresh points`;

  function summary() {
    if (!open) return "";
    if (!epoch && !dials.start)
      return `Press Play: gradient descent trains up to epoch ${LAST}.`;
    const { loss } = run[epoch].own;
    return `Epoch ${epoch}: the model is ${right(run[epoch])}, loss ${show(loss)}.`;
  }

  const report = () => say(summary());

  function verdict() {
    const theirs = rival && judge(rival).fresh.accuracy;
    const mark = percent(theirs);
    if (!judged)
      return (
        (rival && `${mark} of fresh points is the score to beat. `) +
        $("verdict").dataset.ask
      );
    const mine = judge(judged);
    const own = mine.fresh.accuracy;
    const duel =
      own > theirs ? `You beat ${mark}. ` : `You did not get past ${mark}. `;
    const behind = run.findLastIndex(
      ({ fresh }, k) => k <= epoch && (!k || fresh.accuracy <= own),
    );
    const race =
      behind < epoch ? `has led since epoch ${behind + 1}` : "is not ahead";
    return (
      `Your line is ${right(mine)}. ${rival && duel}On fresh points ` +
      `no rule exceeds ${percent(limit.accuracy)}.` +
      (epoch ? ` The model ${race}.` : "")
    );
  }

  /** Where a line meets the plane's edge: left first, or the foot. */
  function cut({ w1, w2, b }) {
    const places = [
      [-RIGHT, (w1 * RIGHT - b) / w2],
      [RIGHT, (-w1 * RIGHT - b) / w2],
      [(w2 * TOP - b) / w1, -TOP],
      [(-w2 * TOP - b) / w1, TOP],
    ].filter(([x, y]) => Math.abs(x) <= RIGHT && Math.abs(y) <= TOP);
    places.sort((a, b) => a[0] - b[0] + 0.4 * (a[1] - b[1]));
    return places.length ? [places[0], places.at(-1)] : [];
  }

  function drawPoints(line) {
    const paths = { right: ["", ""], wrong: ["", ""] };
    const { x, y, label } = dataset;
    $("plane").style = `--size: ${x.length < 100 ? 12 : 7}px`;
    for (let i = 0; i < x.length; i++) {
      const says = Number(line.w1 * x[i] + line.w2 * y[i] + line.b > 0);
      paths[says === label[i] ? "right" : "wrong"][label[i]] +=
        `M${pixels([x[i], y[i]])}${label[i] ? "m0-4l4 7h-8z" : "h0"}`;
    }
    for (const [name, both] of Object.entries(paths))
      both.forEach((d, label) => path(`${name}-${label}`, d));
  }

  /** The colours run along the weights, from logit -4 to logit 4. */
  function drawShade({ w1, w2, b }) {
    for (const [end, logit] of [[1, -4], [2, 4]]) {
      const t = (logit - b) / (w1 * w1 + w2 * w2 || 1e-9);
      $("shade").setAttribute(`x${end}`, pixel(across(t * w1)));
      $("shade").setAttribute(`y${end}`, pixel(down(t * w2)));
    }
  }

  /** The lines of the plane, and in words what lies on either side. */
  function drawLines(lines) {
    const told = [];
    for (const [name, line] of Object.entries(lines)) {
      const at = line ? cut(line).map(pixels) : [];
      path(name, at.length ? `M${at.join("L")}` : "");
      if (line) told.push(tell($(name).dataset.name, line));
    }
    put("text", told.join(" "));
  }

  function drawDiscs() {
    discs.forEach(([x, y], i) => {
      const disc = $(`disc-${i}`);
      disc.style = `left: ${across(x) / 7}%; top: ${down(y) / 3.5}%`;
      disc.ariaValueNow = y;
      disc.ariaValueText = `x ${show(x)}, y ${show(y)}`;
    });
  }

  function drawCurves() {
    const known = run.slice(0, epoch + 1);
    const ghost = tracks.at(-1) ?? [];
    const horizon = Math.max(known.length, ghost.length) < 102 ? 100 : LAST;
    const worst = Math.max(
      ...known.concat(ghost).flatMap(({ own, fresh }) => [own.loss, fresh.loss]),
    );
    const top = [1.2, 2, 4, 12, 40].find((edge) => worst <= edge) ?? 40;
    const width = (k) => pixel(36 + (260 * k) / horizon);
    const height = (loss) => pixel(185 - 170 * Math.min(loss / top, 1));
    const plot = (name, rows, kind) => {
      const at = rows.map((row, k) => [width(k), height(row[kind].loss)]);
      path(`${name}-curve`, at.length ? `M${at.join("L")}h0` : "");
    };
    plot("own", known, "own");
    plot("fresh", known, "fresh");
    plot("ghost", ghost, "own");
    path("limit-curve", `M36 ${height(limit.loss)}h260`);
    put("top", top);
    put("horizon", horizon);
  }

  /** Say what each start came to. */
  function drawFound() {
    const ends = [...tracks, run.slice(0, epoch + 1)].map(
      (rows) => `${show(rows[0].own.loss)} to ${show(rows.at(-1).own.loss)}`,
    );
    put("found", `Loss from ${ends.slice(-4).join(", from ")}.`);
    const { w1, w2 } = run[0].params;
    $("view").ariaValueNow = w1;
    $("view").ariaValueText = `w1 ${show(w1)}, w2 ${show(w2)}`;
  }

  /** Marks from the limit, by the root of percentage points. */
  function drawBar() {
    const marks = Object.entries({
      yours: judged && judge(judged),
      model: epoch > 0 && run[epoch],
      rival: rival && judge(rival),
    });
    for (const kind of ["own", "fresh"])
      for (const [who, mark] of marks) {
        const part = $(`${kind}-${who}`);
        const share = mark ? mark[kind].accuracy : 0;
        part.hidden = !mark;
        part.textContent = `${who} ${percent(share)}`;
        const past = 100 * (share - limit.accuracy);
        const at = (5 + Math.sign(past) * Math.sqrt(Math.abs(past))) / 9.2;
        part.style = `--at: ${at}`;
        part.toggleAttribute("data-out", at < 0 || at > 1);
      }
    put("best", percent(limit.accuracy));
  }

  function drawTables() {
    const { params, own, fresh } = run[epoch];
    const columns = [own, fresh, limit];
    const cells = [
      ...columns.map(({ accuracy }) => percent(accuracy)),
      ...columns.map(({ loss }) => show(loss)),
      ...[params, truth].flatMap(({ w1, w2, b }) => [show(w1), show(w2), show(b)]),
    ];
    const places = $("scores").querySelectorAll("tbody td");
    places.forEach((cell, i) => (cell.textContent = cells[i]));
    put("epoch", `epoch ${epoch}`);
    const { rate, optimizer } = dials;
    const maker = {
      sgd: `sgd(${rate})`,
      momentum: `sgd(${rate}, momentum=0.9)`,
      adam: `adam(${rate})`,
    };
    const w1 = 6 - thirds.indexOf(dials.slope);
    const at = run[0].params;
    const start = dials.start
      ? `{"params": {"w1": ${at.w1.toFixed(2)}, "w2": ${at.w2.toFixed(2)}, "b": 0.0}}`
      : "BLOG_PARAMS";
    put(
      "python",
      `line = Line(w1=${w1}.0, w2=3.0, b=0.1).scaled(${dials.scale})
key = jax.random.key(${dials.key})
dataset = make_dataset(key, n=${dials.points}, line=line)
start = ${start}
optimizer = optax.${maker[optimizer]}
params, history = fit(loss_fn, start, optimizer, dataset, ${epoch})`,
    );
  }

  function drawDials() {
    for (const [name, value] of Object.entries(dials)) {
      const at = SLIDERS[name]?.indexOf(value);
      $(name).value = at ?? value;
      const text = value.replace("-", "\u2212");
      if (at >= 0) $(name).ariaValueText = put(`${name}-value`, text);
    }
  }

  /** Where a line runs and what lies on either side of it, in words. */
  function tell(name, line) {
    const { x, y, label } = dataset;
    const found = [0, 0, 0, 0];
    label.forEach((kind, i) => {
      const logit = line.w1 * x[i] + line.w2 * y[i] + line.b;
      found[2 * Number(logit > 0) + kind] += 1;
    });
    const at = cut(line).map((xy) => `(${xy.map((v) => show(v, 1)).join(", ")})`);
    const side = line.w2 ? (line.w2 < 0 ? "Below" : "Above") : "Left of";
    const count = (i) => `${found[i]} circles and ${found[i + 1]} triangles`;
    return (
      `${name} runs from ${at.join(" to ") || "one place out of sight to another"}. ` +
      `${side} it are ${count(2)}, on the other side ${count(0)}.`
    );
  }

  function draw() {
    const { params } = run[epoch];
    const known = open ? truth : null;
    const model = epoch || (open && dials.start);
    const learned = model && { ...params, b: params.b - dials.threshold };
    const touched = judged || String(discs) !== LEVEL;
    const yours = (touched || !open) && rule(discs);
    app.dataset.stage = model ? "model" : open ? "judged" : "draw";
    drawPoints(learned || yours || truth);
    put("wrong", yours ? "your" : "the true");
    drawShade(params);
    drawLines({ truth: known, learned, yours });
    drawDiscs();
    drawCurves();
    if (known !== viewed) view.data(dataset, truth.b, known);
    viewed = known;
    const paths = [...tracks, run].map((rows) => rows.map((row) => row.params));
    view.path(paths.pop(), epoch, paths);
    drawFound();
    drawBar();
    drawTables();
    drawDials();
    put("verdict", verdict());
    $("judge").disabled = judged;
    $("share").disabled = !judged;
  }

  function advance(by) {
    reach(epoch + by);
    draw();
    if (epoch === LAST) return pause();
    if (epoch % 10 === 0) remember(); // browsers allow no more
    put("status", summary());
    if (epoch % 100 === 0) speak(summary());
  }

  function play() {
    if (epoch === LAST) epoch = 0;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const [by, wait] = calm ? [10, 1000] : [1, 50];
    timer = setInterval(() => advance(by), wait);
    put("play", "Pause");
    say("Training.");
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    put("play", "Play");
  }

  function pause() {
    if (!timer) return;
    stop();
    report();
    remember();
  }

  /** A dial moved: train again to the same epoch, beside the earlier run. */
  function turn(name, value, from = epoch) {
    if (settled && epoch) tracks.push(run.slice(0, epoch + 1));
    settled = false;
    dials[name] = value;
    epoch = from;
    if (name === "slope") open = true;
    restart();
    draw();
    if (!timer) report();
  }

  /** Browsers refuse too many addresses a second: once it is let go. */
  function settle() {
    settled = true;
    remember();
  }

  const number = (below) => String(Math.floor(below * Math.random()));

  const ACTIONS = {
    play: () => (timer ? pause() : play()),
    step() {
      pause();
      advance(1);
      report();
    },
    reset() {
      pause();
      [epoch, tracks, dials.start] = [0, [], ""];
      restart();
      draw();
      report();
    },
    judge() {
      [open, judged] = [true, String(discs)];
      draw();
      goOn();
      put("status", summary());
      speak(verdict());
    },
    fresh: () => turn("key", number(10000)),
    puzzle() {
      history.replaceState(null, "", `#puzzle=${number(130000)}`);
      read();
    },
    async share() {
      const link = new URL(address(true, { beat: judged }), location);
      try {
        await navigator.clipboard.writeText(link);
        say("Link copied. Send it to a friend.");
      } catch {
        prompt("Copy this link and send it to a friend:", link);
      }
    },
  };

  function move(index, place) {
    const near = place.map((value, i) => {
      const inside = Math.min(Math.max(value, -EDGE[i]), EDGE[i]);
      return Math.round(20 * inside) / 20;
    });
    const moved = ends(String(discs.with(index, near)));
    if (!moved) return;
    discs = moved;
    if (judged) judged = String(discs);
    draw();
    speak(judged ? verdict() : tell("Your line", rule(discs)));
  }

  /** A disc is moved by arrow keys, by mouse or by thumb. */
  function connect(index) {
    const disc = $(`disc-${index}`);
    const by = (x, y) => [discs[index][0] + x, discs[index][1] + y];
    disc.onkeydown = (event) => {
      const [x, y] = ARROWS[event.key] ?? [];
      if (x === undefined) return;
      event.preventDefault();
      move(index, by(x / 10, y / 10));
    };
    disc.onpointerdown = ({ pointerId, clientX, clientY }) => {
      const unit = $("plane").clientWidth / (2 * RIGHT);
      const [x, y] = by(-clientX / unit, clientY / unit);
      disc.setPointerCapture(pointerId);
      disc.onpointermove = (to) =>
        move(index, [x + to.clientX / unit, y - to.clientY / unit]);
    };
    disc.onlostpointercapture = () => (disc.onpointermove = null);
  }

  /** Go from a trial back to the plane. */
  function follow({ target }) {
    if (!target.closest('a[href^="#"][href*="="]')) return;
    app.scrollIntoView();
    goOn();
  }

  app.addEventListener("input", ({ target }) => {
    const name = target.id.slice(5);
    if (!target.checkValidity()) return say(target.title);
    turn(name, SLIDERS[name]?.[target.value] ?? target.value);
  });
  app.addEventListener("click", ({ target }) => ACTIONS[target.id.slice(5)]?.());
  for (const kind of ["change", "click", "keyup", "pointerup"])
    app.addEventListener(kind, settle);
  [0, 1].forEach(connect);
  addEventListener("hashchange", read);
  document.addEventListener("click", follow);
  read();
})();
